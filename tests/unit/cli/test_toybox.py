from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from dropspot_cli.toybox import write_toybox, write_toybox_pictures
from dropspot_cli.toys import CLASSES


@pytest.fixture(scope="module")
def toybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toybox")
    write_toybox(folder, images=24, seed=3)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def boxes(folder: Path) -> list[tuple[str, str, list[int]]]:
    found = []
    for path in sorted((folder / "annotations" / "xmls").glob("*.xml")):
        for entry in ElementTree.parse(path).getroot().iter("object"):
            corners = [int(entry.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax")]
            found.append((path.stem, entry.findtext("name", ""), corners))
    return found


def test_the_same_seed_gives_the_same_bytes(toybox: Path, tmp_path: Path) -> None:
    write_toybox(tmp_path, images=24, seed=3)
    assert files(tmp_path) == files(toybox)


def test_another_seed_gives_other_pictures(toybox: Path, tmp_path: Path) -> None:
    write_toybox(tmp_path, images=2, seed=4)
    ours, theirs = files(tmp_path), files(toybox)
    assert all(ours[name] != theirs[name] for name in ours)


def test_a_longer_set_begins_with_the_shorter_one(toybox: Path, tmp_path: Path) -> None:
    write_toybox(tmp_path, images=3, seed=3)
    longer = files(toybox)
    assert all(longer[name] == content for name, content in files(tmp_path).items())


def test_the_layout_is_that_of_the_oxford_pets(toybox: Path) -> None:
    pictures = {path.stem for path in (toybox / "images").glob("*.jpg")}
    annotations = {path.stem for path in (toybox / "annotations" / "xmls").glob("*.xml")}
    assert len(pictures) == 24
    assert pictures == annotations


def test_annotations_state_the_size_of_their_picture(toybox: Path) -> None:
    for path in (toybox / "annotations" / "xmls").glob("*.xml"):
        root = ElementTree.parse(path).getroot()
        with Image.open(toybox / "images" / root.findtext("filename", "")) as picture:
            stated = (int(root.findtext("size/width", "")), int(root.findtext("size/height", "")))
            assert picture.size == stated
            assert picture.format == "JPEG"
            picture.load()


def test_boxes_count_pixels_from_one_and_lie_inside_the_picture(toybox: Path) -> None:
    for _, _, (left, top, right, bottom) in boxes(toybox):
        assert 1 <= left < right <= 320
        assert 1 <= top < bottom <= 240


def test_toys_are_large_enough_to_be_seen(toybox: Path) -> None:
    for _, _, (left, top, right, bottom) in boxes(toybox):
        assert max(right - left, bottom - top) >= 0.15 * 240


def test_every_picture_has_one_to_four_toys_of_the_three_classes(toybox: Path) -> None:
    found = boxes(toybox)
    per_picture = [sum(stem == other for other, _, _ in found) for stem in {stem for stem, _, _ in found}]
    assert len(per_picture) == 24
    assert set(per_picture) <= {1, 2, 3, 4}
    labels = [label for _, label, _ in found]
    assert set(labels) == set(CLASSES)
    assert min(labels.count(label) for label in CLASSES) >= 8  # the first toy's class goes round


def test_pictures_to_drop_are_new_to_a_model_trained_on_the_set(toybox: Path, tmp_path: Path) -> None:
    paths = write_toybox_pictures(tmp_path, images=4, seed=3)
    assert [path.name for path in paths] == [f"picture_{number:04d}.jpg" for number in range(4)]
    assert not {path.read_bytes() for path in paths} & set(files(toybox).values())
