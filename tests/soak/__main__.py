"""`python -m soak --images 5000 --seed 0`: images through the deployed stack under faults; exit code 1 with any wrong.

Workers and the endpoint's container are killed at random, the endpoint is replaced, requests are throttled and fail,
answers get lost, events come doubled and in reverse. In the end every image has exactly one correct document.
"""

from __future__ import annotations

import argparse
import sys
import time

from soak.place import deployed
from soak.running import Plan, Soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    with deployed(DetectConcurrency="3", LogLevel="INFO") as place:
        began = time.monotonic()
        soak = Soak(place, Plan(told.images, told.seed))
        wrong = soak.run()
        seconds = time.monotonic() - began
    for line in wrong[:50]:
        print(f"WRONG: {line}")
    print(", ".join(f"{count} {what}" for what, count in sorted(soak.done.items())))
    print(f"{told.images} images of seed {told.seed} in {seconds:.0f} s: {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
