"""A short soak, and proof that a wrong document would be noticed by it."""

from typing import Any

import pytest

from dropspot.images import Box
from soak.faults import Rates
from soak.instant import CLASSES, seen
from soak.place import RUN, deployed
from soak.running import Plan, Soak, mismatch, picture


def document(body: bytes, **changes: Any) -> dict[str, Any]:
    class_id, score, *box = seen(body)
    sides = Box(*box).clipped()
    found = {
        "label": CLASSES[int(class_id)],
        "score": score,
        "box": {side: getattr(sides, side) for side in ("xmin", "ymin", "xmax", "ymax")},
    }
    right = {
        "status": "detected",
        "image": {"etag": "etag"},
        "model": {"run_id": RUN.run_id},
        "detections": [found],
        "rejection": None,
    }
    return right | changes


def test_a_wrong_document_is_noticed() -> None:
    body = picture(1)
    assert mismatch(document(body), body, "etag") is None
    assert mismatch(document(body), body, "another") == "it describes another version"
    assert "not" in str(mismatch(document(picture(2)), body, "etag"))
    assert "rejected" in str(mismatch(document(body, status="rejected"), body, "etag"))
    assert "run" in str(mismatch(document(body, model={"run_id": "pets-0000000000"}), body, "etag"))
    rejection = {"code": "corrupt_image"}
    assert "code" in str(mismatch(document(body, rejection=rejection), b"no picture", "etag"))


@pytest.mark.timeout(600)
def test_under_faults_every_image_ends_as_one_correct_document() -> None:
    plan = Plan(200, kills=120, container_kills=250, replacements=400, rates=Rates(0.05, 0.03, 0.01, 0.01))
    with deployed(DetectConcurrency="2", LogLevel="INFO") as place:
        soak = Soak(place, plan)
        assert soak.run() == []
    troubles = {
        "images replaced, events reversed",
        "events doubled",
        "images deleted",
        "images to be rejected",
        "workers killed",
        "endpoint processes killed",
        "endpoints replaced",
        "throttles",
        "500s of the model",
        "503s of S3",
        "answers lost",
    }
    assert troubles <= soak.done.keys()
