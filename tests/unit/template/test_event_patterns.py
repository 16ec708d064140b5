"""The matcher that the rules are tested with, held to the examples of EventBridge's user guide."""

from typing import Any

import pytest
from unit.template.event_patterns import matches


def _detail(value: Any) -> dict[str, Any]:
    return {"source": "here", "detail": {"field": value}}


@pytest.mark.parametrize(
    ("condition", "matching", "others"),
    [
        ("a", ["a", ["b", "a"]], ["A", "ab", "", None, ["b"], {"a": 1}]),
        (5, [5, 5.0], ["5", 6, None]),
        (None, [None], ["", 0, False, "null"]),
        (True, [True], [False, 1, "true"]),
        ({"prefix": "images/"}, ["images/", "images/a b+c.jpg"], ["Images/a", "my/images/a", 3]),
        ({"prefix": {"equals-ignore-case": "images/"}}, ["IMAGES/a"], ["my/images/"]),
        ({"suffix": ".jpg"}, ["a.jpg", ".jpg"], ["a.jpg.json", "ajpg"]),
        ({"equals-ignore-case": "Cat"}, ["cat", "CAT"], ["cats"]),
        ({"wildcard": "app-*-train"}, ["app-x-train", "app--train"], ["app-train", "app-x-train2", "xapp-x-train"]),
        ({"wildcard": "a\\*b"}, ["a*b"], ["axb", "ab"]),
        ({"numeric": [">", 0, "<=", 5]}, [1, 5, 0.5], [0, 5.1, "3", True, None]),
        ({"numeric": ["=", 3]}, [3, 3.0], [4]),
        ({"exists": True}, ["", None, 0, [1]], [{"object": 1}, []]),
        ({"anything-but": "a"}, ["b", "", ["a", "b"]], ["a", ["a"]]),
        ({"anything-but": ["a", 2]}, ["b", 3], ["a", 2]),
        ({"anything-but": {"prefix": "tmp/"}}, ["a", 7], ["tmp/a"]),
        ({"anything-but": {"suffix": ".txt"}}, ["a"], ["a.txt"]),
        ({"anything-but": {"wildcard": "*-eval"}}, ["a-train"], ["a-eval"]),
    ],
)
def test_a_condition_matches_what_the_guide_says(condition: Any, matching: list[Any], others: list[Any]) -> None:
    pattern = {"detail": {"field": [condition]}}
    assert [value for value in matching if not matches(pattern, _detail(value))] == []
    assert [value for value in others if matches(pattern, _detail(value))] == []


def test_a_field_that_is_absent_matches_exists_false_only() -> None:
    absent = {"source": "here", "detail": {}}
    conditions = ["a", None, {"exists": True}, {"anything-but": "a"}, {"prefix": ""}, {"numeric": [">", 0]}]
    assert [c for c in conditions if matches({"detail": {"field": [c]}}, absent)] == []
    assert matches({"detail": {"field": [{"exists": False}]}}, absent)
    assert matches({"detail": {"deeper": {"field": [{"exists": False}]}}}, absent)
    assert not matches({"source": [{"exists": False}]}, absent)


def test_every_field_must_match_and_any_value_of_a_field() -> None:
    pattern = {"source": ["here", "there"], "detail": {"field": ["a"]}}
    assert matches(pattern, {"source": "there", "detail": {"field": "a"}})
    assert not matches(pattern, {"source": "elsewhere", "detail": {"field": "a"}})
    assert not matches(pattern, {"source": "here", "detail": {"field": "b"}})


def test_or_takes_one_of_its_patterns() -> None:
    pattern = {"source": ["here"], "detail": {"$or": [{"a": [1]}, {"b": [{"prefix": "x"}]}]}}
    assert matches(pattern, {"source": "here", "detail": {"b": "xy"}})
    assert not matches(pattern, {"source": "here", "detail": {"a": 2, "b": "y"}})


def test_an_object_in_an_array_is_matched_as_a_whole() -> None:
    pattern = {"detail": {"items": {"a": [1], "b": [2]}}}
    assert matches(pattern, {"detail": {"items": [{"a": 0}, {"a": 1, "b": 2}]}})
    assert not matches(pattern, {"detail": {"items": [{"a": 1, "b": 0}, {"a": 0, "b": 2}]}})


@pytest.mark.parametrize(
    "pattern",
    [
        {},
        {"source": "here"},
        {"source": []},
        {"source": [["here"]]},
        {"source": [{"prefx": "h"}]},
        {"source": [{"prefix": "h", "suffix": "e"}]},
        {"source": [{"prefix": 3}]},
        {"source": [{"exists": "yes"}]},
        {"source": [{"wildcard": "a**b"}]},
        {"source": [{"wildcard": "a\\b"}]},
        {"source": [{"numeric": [">"]}]},
        {"source": [{"numeric": ["~", 1]}]},
        {"source": [{"anything-but": []}]},
        {"source": [{"anything-but": {"numeric": [">", 1]}}]},
        {"other": ["x"], "source": "here"},
    ],
)
def test_a_pattern_that_eventbridge_refuses_is_refused(pattern: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        matches(pattern, {"source": "here"})
