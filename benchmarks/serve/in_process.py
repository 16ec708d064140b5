"""Decode, infer, suppress in this process, without a server: what serving is measured against.

`python in_process.py MODEL PICTURE`, in the serving environment. Each line `THREADS PICTURES` on standard input is
answered by one of JSON: the seconds that all took and each one's own.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from detector.served_model import ServedModel


def main() -> None:
    """Look at the picture as often as asked."""
    model, data = ServedModel(Path(sys.argv[1])), Path(sys.argv[2]).read_bytes()

    def one(_number: int) -> float:
        began = time.perf_counter()
        model.detect(data)
        return time.perf_counter() - began

    rows = len(model.detect(data).rows)
    print(json.dumps({"rows": rows}), flush=True)
    for line in sys.stdin:
        threads, pictures = (int(word) for word in line.split())
        with ThreadPoolExecutor(threads) as pool:
            began = time.perf_counter()
            each = list(pool.map(one, range(pictures)))
            print(json.dumps({"seconds": time.perf_counter() - began, "each": each}), flush=True)


if __name__ == "__main__":
    main()
