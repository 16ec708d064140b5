from pathlib import Path

import pytest

from dropspot.errors import InvalidInputError
from dropspot.preparation_plan import BoxRules, PreparationPlan
from prep.limits import check_classes, check_losses, missing_pictures, nothing_usable, wanted_classes
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


def test_the_example_of_what_went_wrong_is_a_cause() -> None:
    quarantine = Quarantine()
    quarantine.leave_out("1.jpg", "no_annotation", "no annotation describes it")
    assert str(nothing_usable(1, 0, quarantine)).endswith("for example 1.jpg: no annotation describes it")
    quarantine.leave_out("README.md", "unsupported_file", "neither a picture nor an annotation")
    quarantine.leave_out("a.json", "bad_annotation", "not readable as JSON")
    assert str(nothing_usable(1, 0, quarantine)).endswith("for example a.json: not readable as JSON")
    for name in ("b.xml", "c.xml"):
        quarantine.leave_out(name, "annotation_of_unsupported_image", "its picture is odd")
    assert str(nothing_usable(1, 0, quarantine)).endswith("for example b.xml: its picture is odd")


def test_a_missing_picture_is_one_loss_however_often_it_is_missed() -> None:
    quarantine = Quarantine()
    annotations = []

    def without_image(path: str, name: str, *, item: str = "", code: str = "annotation_without_image") -> None:
        boxes = (box("owl" if name == "owl.jpg" else "cat"),) if name != "empty.jpg" else ()
        annotations.append(Annotation(SourceFile(path, Kind.ANNOTATION, Path(path)), name, None, boxes, item=item))
        quarantine.leave_out(path, code, "gone", item=item)

    quarantine.leave_out("a/1.jpg", "unsafe_member", "a link")
    quarantine.leave_out("a/1.txt", "unsafe_member", "a link")
    quarantine.leave_out("a/._1.jpg", "unsafe_member", "a link")
    quarantine.leave_out("big.png", "file_too_large", "large")
    quarantine.leave_out("closed.png", "unreadable_file", "closed")
    quarantine.leave_out("odd.jpg", "unsupported_image", "odd")
    quarantine.leave_out("odd.avif", "unsupported_image", "odd")  # the one that is annotated
    quarantine.leave_out("unasked.avif", "unsupported_image", "odd")
    quarantine.leave_out("a.rar", "unsupported_file", "an archive")
    quarantine.leave_out("named on a list.jpg", "listed_without_annotation", "nowhere")
    without_image("a/1.xml", "1.jpg")  # the link's
    without_image("b/1.xml", "1.jpg")  # another folder's
    without_image("odd.xml", "odd.jpg", code="annotation_of_unsupported_image")
    without_image("c.xml", "empty.jpg")
    without_image("d.xml", "owl.jpg")
    without_image("m.manifest", "s3://far/2.jpg", item="line 1", code="outside_reference")
    without_image("m.manifest", "s3://far/2.jpg", item="line 2", code="outside_reference")
    missing = missing_pictures(["found.jpg"], annotations, PreparationPlan(), quarantine)
    assert sorted(entry.place for entry in missing) == [
        "a/1.xml", "b/1.xml", "big.png", "closed.png", "d.xml", "m.manifest, entry line 1", "odd.jpg"
    ]  # fmt: skip
    assert len(missing_pictures([], annotations, PreparationPlan(classes=["cat"]), quarantine)) == 6
    check_losses(7, [], 0.5, missing)
    with pytest.raises(InvalidInputError, match=r"7 of 13 pictures \(53.8%\) had to be left out, the limit is 40%"):
        check_losses(6, [], 0.4, missing)
