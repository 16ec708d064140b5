"""What a new worker's first image costs: `python first_image.py HANDLER EVENT` prints its processor seconds.

HANDLER is the name of a module with a `handler`; EVENT a file. Run as Lambda would, with the function's environment.
"""

import importlib
import json
import resource
import sys
from pathlib import Path


class Context:  # noqa: D101 - what Powertools reads of Lambda's
    function_name, memory_limit_in_mb, invoked_function_arn, aws_request_id = "f", 1024, "arn", "1"

    def get_remaining_time_in_millis(self) -> int:
        return 180_000


def main() -> None:
    """Import the handler, let it handle the event, and say what that took of the processor."""
    handler = importlib.import_module(sys.argv[1]).handler
    answer = handler(json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")), Context())
    if answer["batchItemFailures"]:
        raise SystemExit("the image was given back")
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime)


if __name__ == "__main__":
    main()
