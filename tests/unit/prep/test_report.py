"""report.json: counted from what was written, the same for the same content."""

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import pytest
from unit.prep.prepared_pictures import CAT, DOG, PIXELS, Case, Decision, labelled, shared_out

from dropspot.preparation_plan import OUTPUTS, PreparationPlan, Split
from prep.model import Box, LabelledPicture
from prep.quarantine import Quarantine
from prep.report import MOST_CLASSES_WARNED, MOST_WARNINGS_TOLD, digest, told_warnings

Shared = dict[str, list[LabelledPicture]]
CLASSES = ("cat", "dog")


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return shared_out(tmp_path)


def test_the_report_counts_pictures_boxes_and_classes(tmp_path: Path, shared: Shared) -> None:
    report = Case(tmp_path, shared, found=13).report()
    assert report["schema"] == "dropspot/report/1"
    assert report["output"] == "recordio"
    assert report["images"] == {"found": 13, "used": 11, "left_out": 2}
    assert report["splits"] == {
        "train": {"images": 6, "boxes": 8, "max_boxes": 2},
        "validation": {"images": 2, "boxes": 2, "max_boxes": 1},
        "test": {"images": 3, "boxes": 4, "max_boxes": 2},
    }
    assert report["classes"] == [
        {"class_id": 0, "name": "cat", "boxes": {"train": 4, "validation": 1, "test": 2}},
        {"class_id": 1, "name": "dog", "boxes": {"train": 4, "validation": 1, "test": 2}},
    ]
    assert (report["num_training_samples"], report["label_width"]) == (6, 2 + 5 * (2 + 4))
    assert report["layouts"] == {"voc": 11}
    assert report["conventions"] == {"voc": PIXELS.document}
    assert report["split"] == {"how": "content", "reason": "drawn by content, 70/10/20"}
    assert report["warnings"] == []


def test_only_the_outputs_name_differs_between_outputs(tmp_path: Path, shared: Shared) -> None:
    reports = [Case(tmp_path, shared, output=output).report() for output in OUTPUTS]
    assert [report.pop("output") for report in reports] == list(OUTPUTS)
    assert reports[0] == reports[1] == reports[2]


def test_the_report_is_json_and_holds_no_time(tmp_path: Path, shared: Shared) -> None:
    first, second = (json.dumps(Case(tmp_path / name, shared).report()) for name in "ab")
    assert first == second


def test_the_digest_does_not_see_names_folders_or_order(tmp_path: Path, shared: Shared) -> None:
    draw = random.Random(1)
    other: Shared = {}
    for side, pictures in shared.items():
        other[side] = [
            dataclasses.replace(
                picture,
                source=dataclasses.replace(picture.source, path=f"else/where/{i}.png"),
                payload=Path("elsewhere"),
                boxes=tuple(reversed(picture.boxes)),
            )
            for i, picture in enumerate(pictures)
        ]
        draw.shuffle(other[side])
    assert digest(other, CLASSES) == digest(shared, CLASSES)


def moved(shared: Shared) -> Shared:
    return shared | {"train": shared["train"][1:], "test": [*shared["test"], shared["train"][0]]}


def first_changed(shared: Shared, **changes: Any) -> Shared:
    return shared | {"train": [dataclasses.replace(shared["train"][0], **changes), *shared["train"][1:]]}


@pytest.mark.parametrize(
    "change",
    [
        moved,
        lambda shared: first_changed(shared, payload_digest="0" * 64),
        lambda shared: first_changed(shared, boxes=(DOG,)),
        lambda shared: first_changed(shared, boxes=(CAT, CAT)),
        lambda shared: first_changed(shared, boxes=(dataclasses.replace(CAT, xmin=0.1000001),)),
        lambda shared: first_changed(shared, boxes=(dataclasses.replace(CAT, difficult=True),)),
    ],
)  # fmt: skip
def test_the_digest_sees_every_change_of_content(change, shared: Shared) -> None:
    assert digest(change(shared), CLASSES) != digest(shared, CLASSES)


def test_the_digest_sees_the_classes_and_their_order(shared: Shared) -> None:
    digests = {digest(shared, classes) for classes in (("cat", "dog"), ("dog", "cat"), ("cat", "dog", "owl"))}
    assert len(digests) == 3


def test_a_class_missing_in_a_part_is_warned_of(tmp_path: Path) -> None:
    owl = dataclasses.replace(CAT, name="owl")
    shared = {side: [labelled(tmp_path, n, [CAT])] for n, side in enumerate(("train", "validation", "test"))}
    shared["train"].append(labelled(tmp_path, 9, [CAT, owl]))
    case = Case(tmp_path, shared, classes=("cat", "owl"))
    assert case.report()["warnings"] == ["class 'owl' is not in validation or test: it has 1 picture; it takes 3"]
    followed = Decision({"how": "lists", "reason": "the data set's own lists are followed: train.txt (2)"})
    case = Case(tmp_path / "again", shared, classes=("cat", "owl"), findings={"division": followed})
    # More pictures would not help where the lists decide.
    assert case.report()["warnings"] == ["class 'owl' is not in validation or test: it has 1 picture"]


def test_a_log_tells_the_first_warnings_and_how_many_more_there_are() -> None:
    warnings = [f"class 'a\\n{number}\x1b[2J' is not in test" for number in range(MOST_WARNINGS_TOLD)]
    told = list(told_warnings(warnings))
    assert told[0] == "warning: class 'a\\n0\ufffd[2J' is not in test"  # whatever would command a terminal is gone
    assert len(told) == MOST_WARNINGS_TOLD
    assert list(told_warnings(["one", *warnings]))[-1] == "1 more warning in report.html"
    assert list(told_warnings([*warnings, *warnings]))[-1] == f"{MOST_WARNINGS_TOLD} more warnings in report.html"
    assert list(told_warnings([])) == []


def test_what_may_spoil_every_box_is_told_before_the_classes(tmp_path: Path, shared: Shared) -> None:
    conventions = {"voc": Decision(PIXELS.document | {"warnings": ["in doubt"]})}
    case = Case(tmp_path, shared, classes=(*CLASSES, "owl"), findings={"conventions": conventions})
    first, last = case.report()["warnings"]
    assert first == "in doubt"
    assert last.startswith("class 'owl' is not in")


def test_a_long_tail_of_missing_classes_is_counted(tmp_path: Path) -> None:
    names = [f"c{i:03d}" for i in range(MOST_CLASSES_WARNED + 7)]
    boxes = [Box(name, 0, 0, 1, 1) for name in names]
    shared = {"train": [labelled(tmp_path, 1, boxes)], "validation": [labelled(tmp_path, 2, boxes[:1])], "test": []}
    warnings = Case(tmp_path, shared, classes=names).report()["warnings"]
    assert len(warnings) == MOST_CLASSES_WARNED + 1
    assert warnings[-1] == "7 more classes are not in every part"


@pytest.mark.parametrize(
    ("layout", "stated", "warned"),
    [
        ("voc", {}, ""),
        ("voc", {"first_pixel": 1, "last_pixel_inside": True}, ""),  # as VOC itself has it
        ("coco", {"first_pixel": 1}, "the boxes of the coco annotations are read as pixels counted from 1"),
        ("voc", {"units": "ratio"}, "the boxes of the voc annotations are read as fractions of the picture"),
        ("coco", {"units": "percent"}, "the boxes of the coco annotations are read as percentages of the picture"),
        ("yolo", {"units": "ratio"}, ""),
        ("yolo", {"units": "pixel"}, "the boxes of the yolo annotations are read as pixels"),
    ],
)
def test_unusual_units_are_warned_of(
    layout: str, stated: dict[str, Any], warned: str, tmp_path: Path, shared: Shared
) -> None:
    conventions = {layout: Decision(PIXELS.document | stated)}
    warnings = Case(tmp_path, shared, findings={"conventions": conventions}).report()["warnings"]
    assert warnings == ([f"{warned}: {PIXELS.document['evidence']}"] if warned else [])


@pytest.mark.parametrize(
    ("lists", "how", "plan", "warned"),
    [
        (["train.txt", "test.txt"], "content", "auto", True),
        (["train.txt", "test.txt"], "lists", "auto", False),
        (["train.txt", "test.txt"], "content", "ignore", False),  # as was asked for
        ([], "content", "auto", False),
    ],
)
def test_lists_that_are_not_followed_are_warned_of_with_the_reason(
    lists: list[str], how: str, plan: str, warned: bool, tmp_path: Path, shared: Shared
) -> None:
    findings = {"lists": lists, "division": Decision({"how": how, "reason": "the test part has no boxes"})}
    case = Case(tmp_path, shared, findings=findings, plan=PreparationPlan(split=Split(lists=plan)))
    sentence = "the data set's own lists (test.txt, train.txt) are not followed: the test part has no boxes"
    assert case.report()["warnings"] == ([sentence] if warned else [])


def test_remarks_that_matter_are_warned_of_in_words(tmp_path: Path, shared: Shared) -> None:
    quarantine = Quarantine()
    for name in ("a", "b"):
        quarantine.remark(name, "damaged_image", "its end is missing")
    quarantine.remark("c", "box_clipped", "by a pixel", box=1)
    report = Case(tmp_path, shared, quarantine=quarantine).report()
    assert report["remarks"] == {"box_clipped": 1, "damaged_image": 2}
    [warning] = report["warnings"]
    assert warning.startswith("damaged_image, 2 times: ")


def test_losses_are_warned_of_with_their_number_but_not_what_was_left_out_on_purpose(
    tmp_path: Path, shared: Shared
) -> None:
    quarantine = Quarantine()
    for number in range(3):
        quarantine.leave_out(f"{number}.jpg", "unsafe_member", "a link")
    quarantine.leave_out("a.xml", "annotation_without_image", "a.jpg is not there")
    quarantine.leave_out("b.jpg", "no_object", "none")
    quarantine.leave_out("README", "unsupported_file", "no picture")
    quarantine.leave_out("c.json", "duplicate_annotation", "a copy", deliberate=True)
    warnings = Case(tmp_path, shared, quarantine=quarantine).report()["warnings"]
    assert warnings == [
        "unsafe_member, left out 3 times: a link, a device or a name that leaves the folder",
        "annotation_without_image, left out once: an annotation whose picture is not there",
    ]


@pytest.mark.parametrize(("clipped", "warned"), [(1, False), (2, True)])
def test_many_clipped_boxes_are_warned_of(clipped: int, warned: bool, tmp_path: Path, shared: Shared) -> None:
    quarantine = Quarantine()
    for number in range(clipped):
        quarantine.remark("a.json", "box_clipped", "by 90 pixels", box=number)
    warnings = Case(tmp_path, shared, quarantine=quarantine).report()["warnings"]
    assert [warning.startswith("box_clipped, 2 times for 14 boxes used: ") for warning in warnings] == [True] * warned


def test_what_is_in_doubt_about_a_layout_is_warned_of(tmp_path: Path, shared: Shared) -> None:
    conventions = {"voc": Decision(PIXELS.document | {"warnings": ["9 of 20 annotations could be percentages"]})}
    warnings = Case(tmp_path, shared, findings={"conventions": conventions}).report()["warnings"]
    assert warnings == ["9 of 20 annotations could be percentages"]
