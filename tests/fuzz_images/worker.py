"""The child process (fuzzing.supervisor): hands detect_objects an image for each case, `detected` or `rejected`."""

from __future__ import annotations

import argparse
import faulthandler
import io
import json
import logging
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
from handlers import FakeContext, load_handler
from PIL import Image

from dropspot import endpoint, looking, sniff
from dropspot.answering import attributes_of, variant_of
from dropspot.errors import InvalidInputError
from dropspot.images import ImageRef
from dropspot.runs import Run
from dropspot.testing import MemoryServices, memory_services
from fuzz_images import saboteurs
from fuzz_images.cases import Case, make_case

MAX_MEMORY_KIB = 512 * 1024  # that the whole process may ever hold
MAX_SECONDS = 5.0  # of the processor, so that it doesn't matter what else runs
PAYLOAD_LIMIT = 60_000  # instead of 6 MiB, so that the larger pictures must be shrunk
CLASSES = ("cat", "dog")
KEY = "images/case.jpg"
RUN = Run("dropspot", "fuzz-0123456789")
SCHEMA = json.loads(files("dropspot").joinpath("schemas/detections-1.json").read_text(encoding="utf-8"))

Predict = Callable[[bytes], Any]


def predict(payload: bytes) -> Any:
    """A detector that looks at what it is sent, refuses what has no sound header, and else sees one thing in it."""
    if len(payload) > PAYLOAD_LIMIT:
        raise AssertionError(f"{len(payload)} bytes were sent, above the limit")
    header = sniff.sniff(payload)
    if header is None or not header.is_plain:
        raise AssertionError("what was sent is no plain picture")
    try:
        with Image.open(io.BytesIO(payload), formats=("JPEG", "PNG")) as picture:
            width, height = picture.size
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidInputError("the model's container answered 400: no picture") from error
    if (width, height) != (header.width, header.height):
        raise AssertionError(f"{width} x {height} is taken for {header.width} x {header.height}")
    return [[0.0, 0.9, -0.1, 0.1, 0.5, 1.2]]


# Powertools reads these when the handler is imported.
os.environ |= {"POWERTOOLS_METRICS_NAMESPACE": "dropspot", "POWERTOOLS_SERVICE_NAME": "fuzz"}


def world(sees: Predict) -> MemoryServices[Any]:
    """detect_objects' services in memory with a model in service."""
    app = load_handler("detect_objects")
    settings = app.Settings(
        "dropspot",
        "bucket",
        "dropspot-endpoint",
        image_queue_url="queue",
        image_dead_letter_queue_url="dead",
        image_receives=10,
        detect_threads=1,
        recheck_seconds=240,
        score_threshold="0.3",
        inference_mode="realtime",
    )
    services = memory_services(settings)
    services.store.put_json(RUN.key("prepared", "classes.json"), {"classes": CLASSES})
    services.store.put_json(endpoint.CHAMPION, {"run_id": RUN.run_id})
    services.inference.serve("dropspot-endpoint", variant_of(CLASSES), sees, attributes_of(RUN))
    return services


def try_case(case: Case, sees: Predict) -> dict[str, Any]:
    """Upload one case and let the function handle its event; say how it went."""
    app, services, began = load_handler("detect_objects"), world(sees), time.process_time()
    services.store.put(KEY, case.body)
    detail = {"object": {"key": KEY, "size": len(case.body)}}
    record = {
        "messageId": "1",
        "receiptHandle": "1",
        "body": json.dumps({"detail-type": "Object Created", "detail": detail}),
        "attributes": {"ApproximateReceiveCount": "1"},
    }
    try:
        answer = app.handler({"Records": [record]}, FakeContext(), services)
    except Exception:  # noqa: BLE001 - that is what is looked for
        return {"outcome": "failed", "told": traceback.format_exc()}
    seconds = time.process_time() - began
    if answer["batchItemFailures"]:
        return {"outcome": "failed", "told": "the image was given back"}
    document = services.store.json(ImageRef.from_key("bucket", KEY).detections_key)
    wrong = [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)]
    if seconds > MAX_SECONDS:
        wrong.append(f"it took {seconds:.1f} s")
    if document["status"] == "detected" and len(document["detections"]) != 1:
        wrong.append("what was seen is not told")
    if len(services.bus.events) != 1:
        wrong.append(f"{len(services.bus.events)} events tell of it")
    code = document["rejection"]["code"] if document["rejection"] else "detected"
    return {"outcome": "failed" if wrong else document["status"], "told": "; ".join(wrong), "code": code}


def main() -> None:
    """Try the cases that stdin names until it ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--saboteur", choices=sorted(saboteurs.BY_NAME))
    told = parser.parse_args()
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    looking.PAYLOAD_LIMIT = sniff.PAYLOAD_LIMIT = PAYLOAD_LIMIT  # type: ignore[misc]
    sees = saboteurs.BY_NAME[told.saboteur] if told.saboteur else predict
    answers, sys.stdout = sys.stdout, io.StringIO()
    logging.disable(logging.INFO)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        case = make_case(told.seed, int(line))
        Path("/proc/self/clear_refs").write_text("5")  # what it took to spoil the picture doesn't count
        answer = try_case(case, sees)
        sys.stdout.seek(sys.stdout.truncate(0))  # the metrics
        if (held := high_water_kib()) > MAX_MEMORY_KIB:
            answer |= {"outcome": "failed", "told": f"it took {held >> 10} MiB of memory"}
        print(json.dumps({"case": int(line), **answer}), file=answers, flush=True)


def high_water_kib() -> int:
    """The largest resident set of this program since clear_refs."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
