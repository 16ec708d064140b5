"""An annotation's JSON gives boxes as fractions, or the reason why it can't."""

import json
from typing import Any

import numpy as np
import pytest

from detector.channels.annotations import AnnotationError, parse_annotation

OBJECT = {"class_id": 1, "left": 20, "top": 10, "width": 40, "height": 30}
SIZE = [{"width": 200, "height": 100, "depth": 3}]


def parse(**document: Any) -> Any:
    return parse_annotation(json.dumps({"image_size": SIZE, "annotations": [OBJECT]} | document).encode())


def test_pixels_become_fractions() -> None:
    annotation = parse(annotations=[OBJECT, OBJECT | {"class_id": 0, "left": 0}])
    np.testing.assert_allclose(annotation.labels, [[1, 0.1, 0.1, 0.3, 0.4], [0, 0, 0.1, 0.2, 0.4]], atol=1e-7)
    assert annotation.labels.dtype == np.float32
    assert annotation.size == (200, 100)
    assert annotation.label_width == 12


def test_a_picture_may_show_nothing() -> None:
    annotation = parse(annotations=[])
    assert annotation.labels.shape == (0, 5)
    assert annotation.label_width == 2


def test_ground_truths_own_keys_and_a_byte_order_mark_are_passed_over() -> None:
    text = json.dumps({"image_size": SIZE, "annotations": [OBJECT], "categories": [{"class_id": 1, "name": "dog"}]})
    assert len(parse_annotation(b"\xef\xbb\xbf" + text.encode()).labels) == 1


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"image_size": None}, "its image_size is not a list of one object"),
        ({"image_size": SIZE * 2}, "its image_size is not a list of one object"),
        ({"image_size": [{"width": 0, "height": 10}]}, "its image_size has no width and height above 0"),
        ({"image_size": [{"width": "200", "height": 10}]}, "its image_size has no width and height above 0"),
        ({"annotations": None}, "its annotation has no list named annotations"),
        ({"annotations": [OBJECT, 3]}, "object 1 of its annotation has no number class_id"),
        ({"annotations": [{**OBJECT, "left": "20"}]}, "object 0 of its annotation has no number left"),
        ({"annotations": [{**OBJECT, "top": float("nan")}]}, "object 0 of its annotation has no number top"),
        ({"annotations": [{**OBJECT, "width": True}]}, "object 0 of its annotation has no number width"),
        ({"annotations": [{**OBJECT, "height": 10**400}]}, "object 0 of its annotation has no number height"),
        ({"annotations": [{**OBJECT, "height": 1e300}]}, "a number of its annotation is too large"),
        ({"annotations": [{**OBJECT, "class_id": 0.5}]}, "object 0 of its annotation has class_id 0.5"),
    ],
)
def test_what_is_wrong_with_an_annotation_is_said(document: dict[str, Any], reason: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        parse(**document)
    assert str(caught.value) == reason


@pytest.mark.parametrize("text", [b"", b"\xff", b"{", b"[" * 100_000, b'{"a": ' + b"1" * 10_000 + b"}"])
def test_what_is_not_json_is_said(text: bytes) -> None:
    with pytest.raises(AnnotationError, match="is not JSON"):
        parse_annotation(text)


def test_a_list_and_an_endless_document_are_refused() -> None:
    with pytest.raises(AnnotationError, match="not a JSON object"):
        parse_annotation(b"[]")
    with pytest.raises(AnnotationError, match="bytes, more than"):
        parse_annotation(b" " * (17 << 20))
