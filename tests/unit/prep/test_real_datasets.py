"""The shared real data sets; every number here can be counted by hand in their files."""

import tarfile
from pathlib import Path

import pytest
from unit.prep.minis import MiniDataset, Result


def use(mini: MiniDataset, folder: Path) -> MiniDataset:
    mini.paths.dataset.rmdir()
    mini.paths.dataset.symlink_to(folder)
    return mini


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory, shared_datasets: Path) -> Result:
    """The pets sample as published, prepared once."""
    return use(MiniDataset(tmp_path_factory.mktemp("pets") / "ml"), shared_datasets / "oxford-pets-sample").run(
        workers=2
    )


def test_the_pets_sample_as_published(pets: Result) -> None:
    result, report = pets, pets.report
    # 151 pictures, 144 of them with XML; one XML has two heads.
    assert report["images"] == {"found": 151, "used": 144, "left_out": 7}
    assert {c["name"]: sum(c["boxes"].values()) for c in report["classes"]} == {"cat": 97, "dog": 48}
    assert {side: split["images"] for side, split in report["splits"].items()} == {
        "train": 100, "validation": 15, "test": 29
    }  # fmt: skip
    assert result.codes() == {
        "LICENCE-NOTE.txt": "unsupported_file",
        "annotations/README": "unsupported_file",
        "images/Abyssinian_101.mat": "unsupported_file",
        "images/Abyssinian_104.jpg": "listed_without_annotation",
        "images/Abyssinian_5.jpg": "listed_without_annotation",
        "images/Bengal_111.jpg": "listed_without_annotation",
        "images/Bengal_175.jpg": "listed_without_annotation",
        "images/american_bulldog_202.jpg": "listed_without_annotation",
        "images/Abyssinian_34.jpg": "no_annotation",
        "images/Abyssinian_82.jpg": "no_annotation",
    }
    assert result.codes(left_out=False) == {
        "images/Abyssinian_34.jpg": "wrong_extension",  # a GIF
        "images/Abyssinian_5.jpg": "wrong_extension",  # a PNG
    }


def test_the_pets_sample_unpacked_is_the_same_data_set(pets: Result, another: MiniDataset) -> None:
    for name in ("images.tar.gz", "annotations.tar.gz"):
        with tarfile.open(pets.paths.dataset / name) as archive:
            archive.extractall(another.paths.dataset, filter="data")
    second = another.run(workers=2)
    assert second.prepared() == pets.prepared()
    assert second.report["digest"] == pets.report["digest"]


def test_a_jpeg_of_the_pets_passes_through_untouched(pets: Result) -> None:
    with tarfile.open(pets.paths.dataset / "images.tar.gz") as archive:
        originals = {
            archive.extractfile(member).read() for member in archive if member.name.endswith(".jpg")  # type: ignore[union-attr]
        }  # fmt: skip
    pictures = [data for side in pets.pictures().values() for data in side]
    untouched = sum(data in originals for data in pictures)
    assert untouched > 0.9 * len(pictures)


def test_bccd_with_its_own_lists_and_two_boxes_without_area(mini: MiniDataset, shared_datasets: Path) -> None:
    result = use(mini, shared_datasets / "bccd").run(workers=2)
    report = result.report
    assert report["images"] == {"found": 364, "used": 364, "left_out": 0}
    assert {c["name"]: sum(c["boxes"].values()) for c in report["classes"]} == {
        "Platelets": 361, "RBC": 4153, "WBC": 372
    }  # fmt: skip
    assert [(e["file"], e.get("box"), e["code"]) for e in result.quarantine] == [
        ("BCCD/Annotations/BloodImage_00338.xml", 12, "degenerate_box"),
        ("BCCD/Annotations/BloodImage_00343.xml", 3, "degenerate_box"),
        ("LICENSE", None, "unsupported_file"),
    ]
    # The lines of its train.txt, val.txt and test.txt; trainval.txt repeats the first two.
    assert {side: part["images"] for side, part in report["splits"].items()} == {
        "train": 205, "validation": 87, "test": 72
    }  # fmt: skip
    assert report["split"]["how"] == "lists"
    assert {part["max_boxes"] for part in report["splits"].values()} == {28, 30, 24}
    assert report["label_width"] >= 2 + 5 * 30
    # 625 of its coordinates are 1 and none is 0; 555 are the width or height.
    assert report["conventions"]["voc"]["first_pixel"] == 1
