"""The divisions that the real data sets were published with, honoured in the files that training reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden.preparations import CHANNELS, Prepared, prepare, unpacked

pytest.importorskip("mxnet", reason="MXNet is only in .envs/oracle")

MOVED = 30


def names(path: Path) -> list[str]:
    return [line.split()[0] for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]


@pytest.fixture(scope="session")
def sample(shared_datasets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample of the Oxford pets, unpacked."""
    archives = sorted((shared_datasets / "oxford-pets-sample").glob("*.tar.gz"))
    return unpacked(archives, tmp_path_factory.mktemp("sample"))


def test_the_sample_as_published_is_divided_by_content_and_the_report_says_why(pets: Prepared) -> None:
    division = pets.report["split"]
    assert division["how"] == "content"
    assert "test part" in division["reason"]
    assert "no boxes" in division["reason"]


def test_no_picture_of_the_published_test_list_is_in_any_channel(pets: Prepared, sample: Path) -> None:
    listed = set(names(sample / "annotations" / "test.txt"))
    assert listed == {"Abyssinian_5"}
    stems = pets.stems()
    assert all(not listed & set(stems[channel]) for channel in CHANNELS)
    assert sum(map(len, stems.values())) == 144


def test_the_pictures_of_the_sample_that_are_trained_on_were_published_for_it(pets: Prepared, sample: Path) -> None:
    published = set(names(sample / "annotations" / "trainval.txt")) - set(names(sample / "annotations" / "test.txt"))
    stems = pets.stems()
    assert all(set(stems[channel]) <= published for channel in CHANNELS)


@pytest.fixture(scope="session")
def rewritten(
    shared_datasets: Path, sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Prepared, set[str]]:
    """The sample with 30 annotated pictures moved to the test list, so that each part has boxes; and their names."""
    root = tmp_path_factory.mktemp("rewritten") / "ml"
    dataset = root / "processing" / "input" / "dataset"
    dataset.mkdir(parents=True)
    unpacked(sorted((shared_datasets / "oxford-pets-sample").glob("*.tar.gz")), dataset)
    annotated = {path.stem for path in (sample / "annotations" / "xmls").glob("*.xml")}
    trainval = dataset / "annotations" / "trainval.txt"
    lines = trainval.read_text().splitlines()
    moved = [line for line in lines if line.split()[0] in annotated][:: len(annotated) // MOVED][:MOVED]
    (dataset / "annotations" / "test.txt").write_text("\n".join(moved) + "\n")
    trainval.write_text("\n".join(line for line in lines if line not in moved) + "\n")
    return prepare(root), {line.split()[0] for line in moved}


def test_lists_whose_every_part_has_boxes_are_followed_exactly(
    rewritten: tuple[Prepared, set[str]], sample: Path
) -> None:
    prepared, moved = rewritten
    annotated = {path.stem for path in (sample / "annotations" / "xmls").glob("*.xml")}
    stems = prepared.stems()
    assert prepared.report["split"]["how"] == "lists"
    assert len(moved) == MOVED
    assert stems["test"] == sorted(moved)
    trained_on = set(names(sample / "annotations" / "trainval.txt")) & annotated - moved
    assert sorted(stems["train"] + stems["validation"]) == sorted(trained_on)
    assert stems["validation"]


def test_the_lists_of_the_blood_cells_are_followed_exactly(
    bccd: Prepared, shared_datasets: Path, tmp_path: Path
) -> None:
    source = unpacked([shared_datasets / "bccd" / "bccd.tar.gz"], tmp_path)
    lists = source / "BCCD" / "ImageSets" / "Main"
    assert bccd.report["split"]["how"] == "lists"
    stems = bccd.stems()
    assert stems == {
        "train": sorted(names(lists / "train.txt")),
        "validation": sorted(names(lists / "val.txt")),
        "test": sorted(names(lists / "test.txt")),
    }
    assert {side: len(found) for side, found in stems.items()} == {"train": 205, "validation": 87, "test": 72}
