"""The two forms of an answer, and which one is asked for."""

import json
import time

import numpy as np
import pytest

from detector.answers import Answer, wants_annotation


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("application/json;annotation=1", True),
        ("application/json; annotation=1", True),
        ("text/plain, Application/JSON;q=0.9;annotation=1", True),
        ('application/json; annotation="1"', True),
        ('text/html, application/json;profile="a,b;c\\"d";Annotation="1"', True),
        ('application/json;annotation=1;profile="without end', True),
        ('application/json;profile="annotation=1"', False),
        ('application/json;profile="\\";annotation=1', False),
        ('text/html;title=", application/json;annotation=1"', False),
        ('application/json;annotation="10"', False),
        ("application/json", False),
        ("application/json;annotation=10", False),
        ("text/plain;annotation=1, application/json", False),
        ("*/*", False),
        ("", False),
        (";;,,;", False),
        ('annotation;;,,;"', False),
    ],
)
def test_pixel_boxes_are_asked_for_by_a_parameter(accept: str, wanted: bool) -> None:
    assert wants_annotation(accept) is wanted


def test_a_long_header_is_looked_through_once() -> None:
    began = time.monotonic()
    for piece in ('"\\', '\\"', '"', "\\", ';"', ",;", " ", "annotation="):
        assert not wants_annotation("annotation" + piece * 30_000)
    assert time.monotonic() - began < 5


def test_rows_are_rounded_to_six_digits() -> None:
    rows = np.array([[0, 1 / 3, 0.1, 0.2, 0.30000001, 1]], np.float32)
    assert Answer(10, 10, rows).encoded(pixels=False) == b'{"prediction":[[0.0,0.333333,0.1,0.2,0.3,1.0]]}'


def test_rows_may_lie_in_memory_in_any_order() -> None:
    rows = np.random.default_rng(0).random((5, 6))
    expected = Answer(10, 10, rows).encoded(pixels=False)
    assert Answer(10, 10, np.asfortranarray(rows)).encoded(pixels=False) == expected
    assert Answer(10, 10, np.repeat(rows, 2, axis=0)[::2]).encoded(pixels=False) == expected


def test_pixel_boxes_neither_leave_the_picture_nor_a_gap_between_neighbours() -> None:
    rows = np.array([[0, 0.9, 0, 0, 0.335, 1], [1, 0.8, 0.335, 0, 1, 1]])
    left, right = Answer(101, 7, rows).annotation()["annotations"]
    assert left["left"] + left["width"] == right["left"]
    assert (right["left"] + right["width"], right["top"] + right["height"]) == (101, 7)


def test_no_row_is_an_empty_list() -> None:
    empty = Answer(4, 3, np.zeros((0, 6)))
    assert json.loads(empty.encoded(pixels=False)) == {"prediction": []}
    assert json.loads(empty.encoded(pixels=True))["annotations"] == []
