from pathlib import Path

import pytest

from dropspot.errors import InvalidInputError
from dropspot.preparation_plan import BoxRules, PreparationPlan
from prep.limits import check_classes, check_losses, wanted_classes
from prep.model import Annotation, Kind, SourceFile, StatedBox
from prep.quarantine import Quarantine


def annotation(*boxes: StatedBox) -> Annotation:
    return Annotation(SourceFile("a.json", Kind.ANNOTATION, Path("a")), "", None, boxes, "coco")


def box(name: str, **marks: bool) -> StatedBox:
    return StatedBox(0, name, 0, 0, 5, 5, **marks)


def test_the_classes_wanted_are_the_plans_or_all() -> None:
    found = [annotation(box("tabby"), box("dog")), annotation(box("owl"))]
    assert wanted_classes(found, PreparationPlan()) == {"tabby", "dog", "owl"}
    assert wanted_classes(found, PreparationPlan(classes={"tabby": "cat", "dog": "dog"})) == {"cat", "dog"}
    with pytest.raises(InvalidInputError, match="asks for the class 'cow', the data set's classes are: 'dog', 'owl'"):
        wanted_classes(found, PreparationPlan(classes=["dog", "cow"]))


def test_a_class_whose_boxes_the_plan_leaves_out_says_so() -> None:
    plan = PreparationPlan(classes={"people": "person"}, boxes=BoxRules(difficult="drop"))
    found = [annotation(box("people", crowd=True), box("people", difficult=True), box("people", truncated=True))]
    quarantine = Quarantine()
    quarantine.leave_out("a.json", "crowd_object", "a crowd", box=0, deliberate=True)
    with pytest.raises(InvalidInputError) as error:
        check_classes({"person"}, [], quarantine, found, plan)
    assert str(error.value) == (
        "no usable picture of the class 'person' is left: of its 3 boxes the plan leaves out 1 marked crowd "
        "(boxes.crowd) and 1 marked difficult (boxes.difficult); left out: 1 crowd_object"
    )
    with pytest.raises(InvalidInputError, match="no usable picture of the class 'person' is left; left out: 1 crowd"):
        check_classes({"person"}, [], quarantine)


def test_a_complaint_names_the_entry_of_a_file() -> None:
    quarantine = Quarantine()
    quarantine.leave_out("a.json", "degenerate_box", "flat", box=0, item="17")
    with pytest.raises(InvalidInputError, match=r"for example a\.json, entry 17: flat"):
        check_classes({"cat"}, [], quarantine)


def test_what_was_never_meant_to_be_used_is_no_loss() -> None:
    quarantine = Quarantine()
    quarantine.leave_out("a.jpg", "no_object", "nothing", deliberate=True)
    quarantine.leave_out("b.jpg", "corrupt_image", "cut")
    entries = quarantine.pictures_left_out(f"{name}.jpg" for name in "abcdef")
    check_losses(6, entries, 0.2)
    with pytest.raises(InvalidInputError, match=r"1 of 5 pictures \(20.0%\) had to be left out, the limit is 10%"):
        check_losses(6, entries, 0.1)
