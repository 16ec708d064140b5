import json
from pathlib import Path

import pytest

from prep.quarantine import CODES, Entry, Quarantine


def test_a_line_says_which_entry_and_which_box_of_a_file_is_meant(tmp_path: Path) -> None:
    quarantine = Quarantine()
    quarantine.leave_out("a.json", "degenerate_box", "flat", box=2, item="17")
    quarantine.leave_out("a.json", "annotation_without_image", "gone", item="9")
    quarantine.remark("a.json", "size_mismatch", "small", item="17")
    quarantine.leave_out("b.jpg", "corrupt_image", "cut", annotation="a.json")
    quarantine.write(tmp_path / "report" / "quarantine.jsonl")
    lines = (tmp_path / "report" / "quarantine.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"file": "a.json", "code": "size_mismatch", "reason": "small", "item": "17", "left_out": False},
        {"file": "a.json", "code": "degenerate_box", "reason": "flat", "item": "17", "box": 2},
        {"file": "a.json", "code": "annotation_without_image", "reason": "gone", "item": "9"},
        {"file": "b.jpg", "code": "corrupt_image", "reason": "cut", "annotation": "a.json"},
    ]


def test_the_place_of_an_entry_can_be_looked_up() -> None:
    assert Entry("a.json", "no_object", "", item="17").place == "a.json, entry 17"
    assert Entry("a.xml", "no_object", "").place == "a.xml"


def test_what_is_left_out_and_what_is_remarked_on_are_counted_apart() -> None:
    quarantine = Quarantine()
    quarantine.leave_out("a.jpg", "no_object", "nothing", deliberate=True)
    quarantine.leave_out("a.xml", "degenerate_box", "flat", box=0)
    quarantine.remark("b.jpg", "not_listed", "new")
    assert quarantine.counts() == {"degenerate_box": 1, "no_object": 1}
    assert quarantine.counts(left_out=False) == {"not_listed": 1}
    assert [entry.file for entry in quarantine.pictures_left_out(["a.jpg", "b.jpg"])] == ["a.jpg"]


def test_a_code_that_is_not_documented_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Entry("a", "nonsense", "b")
    assert all(code.islower() and " " not in code and meaning for code, meaning in CODES.items())
