"""Proof that a wrong document would be noticed by the soak."""

from typing import Any

from dropspot.images import Box
from soak.instant import CLASSES, seen
from soak.place import RUN
from soak.running import mismatch, picture


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
