import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dropspot.datasets import StoredObject
from dropspot.errors import InvalidInputError
from dropspot_cli.uploads import dataset_name, dataset_uploads, etag, image_uploads, missing

MIB = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "My Pets"
    for name in ("images/a+b 100%.jpg", "images/é.jpg", "annotations/xmls/é.xml", ".DS_Store", ".git/config"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_a_folder_keeps_its_paths_and_leaves_hidden_files_behind(folder: Path) -> None:
    keys = [upload.key for upload in dataset_uploads([folder], "pets")]
    assert keys == [
        "datasets/pets/annotations/xmls/é.xml",
        "datasets/pets/images/a+b 100%.jpg",
        "datasets/pets/images/é.jpg",
    ]


def test_archives_are_uploaded_by_their_names(tmp_path: Path) -> None:
    archives = [tmp_path / "images.tar.gz", tmp_path / "annotations.tar.gz"]
    for archive in archives:
        archive.write_bytes(b"x")
    assert [upload.key for upload in dataset_uploads(archives, "p")] == [
        "datasets/p/images.tar.gz",
        "datasets/p/annotations.tar.gz",
    ]


@pytest.mark.parametrize(
    ("name", "expected"), [("pets.tar.gz", "pets"), ("pets.ZIP", "pets"), ("pets.v2.tar", "pets.v2")]
)
def test_an_archive_names_its_data_set(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / name).touch()
    assert dataset_name([tmp_path / name]) == expected


def test_several_archives_are_named_for_their_folder(folder: Path) -> None:
    assert dataset_name([folder]) == "My Pets"
    assert dataset_name([folder / "one.zip", folder / "two.zip"]) == "My Pets"


@pytest.mark.parametrize("name", ["", "a/b", ".", ".."])
def test_a_name_that_makes_no_folder_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="data set's name"):
        dataset_uploads([folder], name)


def test_what_does_not_exist_or_is_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="nothing does not exist"):
        image_uploads([tmp_path / "nothing"])
    with pytest.raises(InvalidInputError, match="holds no files"):
        image_uploads([tmp_path])


def test_two_images_of_one_name_are_refused(folder: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"same key images/é\.jpg"):
        image_uploads([folder / "images" / "é.jpg", folder / "images"])


def test_images_may_go_below_a_sub_path(folder: Path) -> None:
    assert [upload.key for upload in image_uploads([folder / "images" / "é.jpg"], "/shop/1/")] == [
        "images/shop/1/é.jpg"
    ]


def test_the_etag_is_that_of_one_put_or_of_parts_of_eight_mebibytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert etag(path) == hashlib.md5(b"").hexdigest()
    path.write_bytes(b"abc")
    assert etag(path) == hashlib.md5(b"abc").hexdigest()
    content = bytes(8 * MIB) + b"rest"
    path.write_bytes(content)
    parts = hashlib.md5(content[: 8 * MIB]).digest() + hashlib.md5(b"rest").digest()
    assert etag(path) == f"{hashlib.md5(parts).hexdigest()}-2"


def test_only_what_differs_is_sent_again(folder: Path) -> None:
    uploads = dataset_uploads([folder], "pets")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    present = {one.key: StoredObject(one.key, etag(one.path), one.size, now) for one in uploads}
    assert missing(uploads, present) == []
    uploads[0].path.write_text("x" * uploads[0].size)  # the same size, other bytes
    assert missing(uploads, present) == [uploads[0]]
    del present[uploads[1].key]
    assert missing(uploads, present) == uploads[:2]
