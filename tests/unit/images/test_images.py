import json
import random
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropspot import images
from dropspot.errors import InvalidInputError
from dropspot.images import (
    REFUSED_BY_MODEL,
    TOO_LARGE,
    Box,
    ImageRef,
    Model,
    Picture,
    RejectedImageError,
    detected_document,
    is_image_key,
    rejected_document,
)

NOW = datetime(2026, 11, 12, 1, 2, 3, tzinfo=UTC)
SCHEMA = json.loads(files("dropspot").joinpath("schemas/detections-1.json").read_text(encoding="utf-8"))
MODEL = Model("pets-0123456789", "dropspot-pets-0123456789-config", ("cat", "dog"), 0.5)
PICTURE = Picture(ImageRef("b", "images/cat.jpg"), "etag", "v1", "image/jpeg", 10, "seq", width=200, height=100)

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=80).filter(
    lambda name: is_image_key(f"images/{name}")
)


def validated(document: dict[str, Any]) -> dict[str, Any]:
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document.keys() == SCHEMA["properties"].keys()
    assert document["image"].keys() == SCHEMA["properties"]["image"]["properties"].keys()
    return document


@given(names)
def test_an_image_is_found_again_by_its_document(name: str) -> None:
    image = ImageRef.from_key("b", f"images/{name}")
    assert image.key == f"images/{name}"
    assert ImageRef.from_detections_key("b", image.detections_key) == image


@given(names, names)
def test_two_images_never_share_a_document(one: str, other: str) -> None:
    keys = {ImageRef.from_key("b", f"images/{name}").detections_key for name in (one, other)}
    assert len(keys) == len({one, other})


def test_the_suffix_is_added_not_exchanged() -> None:
    keys = ["images/a/cat.jpg", "images/a/cat.png", "images/a/cat", "images/a/cat.jpg.json"]
    assert [ImageRef.from_key("b", key).detections_key for key in keys] == [
        "detections/a/cat.jpg.json",
        "detections/a/cat.png.json",
        "detections/a/cat.json",
        "detections/a/cat.jpg.json.json",
    ]


@pytest.mark.parametrize(
    "key",
    [
        "images/",
        "images/a/",
        "images/.DS_Store",
        "images/a/.DS_Store",
        "images/a/._cat.jpg",
        "images/Thumbs.db",
        "images/a/desktop.ini",
        "detections/cat.jpg",
        "image/cat.jpg",
    ],
)
def test_what_file_managers_leave_behind_is_no_image(key: str) -> None:
    assert not is_image_key(key)
    with pytest.raises(InvalidInputError, match="is no image"):
        ImageRef.from_key("b", key)


@pytest.mark.parametrize("key", ["images/.hidden.jpg", "images/_cat.jpg", "images/a/Thumbs.db.jpg", "images//x"])
def test_an_unusual_name_is_an_image_still(key: str) -> None:
    assert is_image_key(key)


def test_a_key_whose_document_s_key_is_too_long_is_refused() -> None:
    fits = "images/" + "é" * 504
    assert len(ImageRef.from_key("b", fits).detections_key.encode()) <= 1024
    with pytest.raises(InvalidInputError, match="too long"):
        ImageRef.from_key("b", fits + "é")


@pytest.mark.parametrize("key", ["detections/cat.jpg", "images/cat.jpg.json", "detections/.json"])
def test_a_key_that_no_document_has_leads_to_no_image(key: str) -> None:
    with pytest.raises(InvalidInputError):
        ImageRef.from_detections_key("b", key)


sides = st.floats(min_value=-3, max_value=4, allow_nan=False)
lengths = st.integers(min_value=1, max_value=100_000)


@given(sides, sides, sides, sides, lengths, lengths)
def test_a_clipped_box_lies_inside_the_picture(
    xmin: float, ymin: float, xmax: float, ymax: float, width: int, height: int
) -> None:
    box = Box(xmin, ymin, xmax, ymax).clipped()
    assert all(0 <= side <= 1 for side in (box.xmin, box.ymin, box.xmax, box.ymax))
    assert box.clipped() == box
    if not box.is_empty:
        pixels = box.pixels(width, height)
        assert pixels["left"] >= 0
        assert pixels["top"] >= 0
        assert pixels["width"] >= 1
        assert pixels["height"] >= 1
        assert pixels["left"] + pixels["width"] <= width
        assert pixels["top"] + pixels["height"] <= height
        assert abs(pixels["left"] - box.xmin * width) <= 1
        assert abs(pixels["left"] + pixels["width"] - box.xmax * width) <= 1


rows = st.lists(
    st.tuples(st.integers(-1, 1), st.floats(0, 1), sides, sides, sides, sides).map(lambda row: [float(n) for n in row]),
    max_size=20,
)


@given(rows, st.randoms(use_true_random=False))
def test_a_document_is_valid_sorted_and_independent_of_the_rows_order(
    rows: list[list[float]], shuffler: random.Random
) -> None:
    document = validated(detected_document(PICTURE, MODEL, rows, NOW))
    scores = [found["score"] for found in document["detections"]]
    assert scores == sorted(scores, reverse=True)
    assert all(score >= MODEL.score_threshold for score in scores)
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    assert detected_document(PICTURE, MODEL, shuffled, NOW) == document


def test_a_document_states_what_was_seen_of_which_version_by_which_model() -> None:
    rows: list[list[float]] = [
        [1, 0.75, 0.1, 0.2, 0.3, 0.6],
        [0, 0.9, -0.5, 0.5, 0.5, 1.5],
        [0, 0.49, 0, 0, 1, 1],
        [-1, 1, 0, 0, 1, 1],
    ]
    assert validated(detected_document(PICTURE, MODEL, rows, NOW)) == {
        "schema": "dropspot/detections/1",
        "status": "detected",
        "image": {
            "bucket": "b",
            "key": "images/cat.jpg",
            "etag": "etag",
            "version_id": "v1",
            "sequencer": "seq",
            "width": 200,
            "height": 100,
            "content_type": "image/jpeg",
            "bytes": 10,
        },
        "model": {
            "run_id": "pets-0123456789",
            "endpoint_config": "dropspot-pets-0123456789-config",
            "classes": ["cat", "dog"],
            "score_threshold": 0.5,
            "class_thresholds": None,
        },
        "detections": [
            {
                "label": "cat",
                "class_id": 0,
                "score": 0.9,
                "box": {"xmin": 0.0, "ymin": 0.5, "xmax": 0.5, "ymax": 1.0},
                "pixels": {"left": 0, "top": 50, "width": 100, "height": 50},
            },
            {
                "label": "dog",
                "class_id": 1,
                "score": 0.75,
                "box": {"xmin": 0.1, "ymin": 0.2, "xmax": 0.3, "ymax": 0.6},
                "pixels": {"left": 20, "top": 20, "width": 40, "height": 40},
            },
        ],
        "rejection": None,
        "created_at": "2026-11-12T01:02:03Z",
    }


@pytest.mark.parametrize(
    "row",
    [
        [2, 0.9, 0, 0, 1, 1],
        [0, 0.9, 0, 0, 1],
        [0, 0.9, 0, 0, 1, 1, 1],
        [0, float("nan"), 0, 0, 1, 1],
        [0, 0.9, 0, 0, float("inf"), 1],
        [10**400, 0.9, 0, 0, 1, 1],
        [0, 0.9, -(10**400), 0, 1, 1],
    ],
)
def test_an_answer_that_no_model_of_ours_gives_makes_no_document(row: list[float]) -> None:
    with pytest.raises(ValueError, match="prediction has"):
        detected_document(PICTURE, MODEL, [row], NOW)


CODES = SCHEMA["properties"]["rejection"]["properties"]["code"]["enum"]


def test_the_schema_knows_every_code() -> None:
    ours = {
        images.UNSUPPORTED_FORMAT,
        images.CORRUPT_IMAGE,
        images.TOO_LARGE,
        images.DECOMPRESSION_BOMB,
        images.EMPTY_OBJECT,
        images.REFUSED_BY_MODEL,
    }
    assert set(CODES) == ours


@pytest.mark.parametrize("code", CODES)
def test_a_rejection_is_a_document_with_the_reason(code: str) -> None:
    picture = Picture(ImageRef("b", "images/cat.jpg"), "etag", None, "", 0)
    document = validated(rejected_document(picture, RejectedImageError(code, "because"), NOW))
    assert document["rejection"] == {"code": code, "message": "because"}
    assert (document["status"], document["model"], document["detections"]) == ("rejected", None, [])


@pytest.mark.parametrize(
    "change",
    [
        {"status": "seen"},
        {"rejection": {"code": "too_large", "message": "x"}},
        {"model": None},
        {"schema": "dropspot/detections/2"},
        {"created_at": "yesterday"},
        {"detections": [{"label": "cat", "class_id": 0, "score": 1.5}]},
    ],
)
def test_the_schema_refuses_what_is_no_document(change: dict[str, Any]) -> None:
    document = detected_document(PICTURE, MODEL, [], NOW) | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(document)


def test_only_a_model_s_refusal_names_a_run() -> None:
    refusal = RejectedImageError(REFUSED_BY_MODEL, "because", MODEL.run_id)
    document = validated(rejected_document(PICTURE, refusal, NOW))
    assert document["rejection"]["run_id"] == MODEL.run_id
    document["rejection"]["code"] = TOO_LARGE
    with pytest.raises(jsonschema.ValidationError):
        validated(document)
