"""What comes in and goes out keeps its names, and never leaves the container's folder."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from dropspot_local.sagemaker import staging


@pytest.mark.parametrize(
    ("prefix", "key", "name"),
    [
        ("data/", "data/a/b c+é.jpg", "a/b c+é.jpg"),
        ("data", "data/a.jpg", "a.jpg"),
        ("data/plan.json", "data/plan.json", "plan.json"),
        ("data/tr", "data/train/a.jpg", "train/a.jpg"),
        ("", "a/b.jpg", "a/b.jpg"),
    ],
)
def test_a_key_is_named_relative_to_its_prefix(prefix, key, name):
    assert staging.relative_name(prefix, key) == name


@pytest.mark.parametrize("uri", ["https://bucket/key", "s3:///key", "bucket/key"])
def test_only_s3_uris_are_locations(uri):
    with pytest.raises(staging.StagingError, match="isn't an S3 URI"):
        staging.S3Location.parse(uri)


def test_joining_makes_one_slash():
    assert staging.S3Location.parse("s3://b/out/").join("a.out").uri == "s3://b/out/a.out"
    assert staging.S3Location.parse("s3://b/out").join("a.out").uri == "s3://b/out/a.out"
    assert staging.S3Location.parse("s3://b").join("a.out").uri == "s3://b/a.out"


def archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member, body in members:
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return path


def test_what_was_packed_is_unpacked(tmp_path):
    model = tmp_path / "model"
    (model / "deep").mkdir(parents=True)
    (model / "deep" / "weights").write_bytes(b"w" * 100_000)
    (model / "hyperparams.json").write_text("{}")
    assert staging.pack([model], tmp_path / "model.tar.gz")
    staging.unpack(tmp_path / "model.tar.gz", tmp_path / "again")
    assert (tmp_path / "again" / "deep" / "weights").read_bytes() == b"w" * 100_000
    assert (tmp_path / "again" / "hyperparams.json").read_text() == "{}"


def test_nothing_is_packed_of_an_empty_folder(tmp_path):
    (tmp_path / "model").mkdir()
    assert not staging.pack([tmp_path / "model"], tmp_path / "model.tar.gz")
    assert not staging.pack([tmp_path / "missing"], tmp_path / "model.tar.gz")
    assert not (tmp_path / "model.tar.gz").exists()


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    return member


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../outside"),
        tarfile.TarInfo("/absolute"),
        tarfile.TarInfo("a/../../outside"),
        link("link", tarfile.SYMTYPE),
        link("hard", tarfile.LNKTYPE),
        link("device", tarfile.CHRTYPE),
    ],
    ids=lambda member: member.name,
)
def test_an_archive_cannot_write_elsewhere(tmp_path, member):
    path = archive(tmp_path / "evil.tar.gz", (member, b""))
    with pytest.raises(staging.StagingError):
        staging.unpack(path, tmp_path / "inside")
    assert not (tmp_path / "outside").exists()
    assert list((tmp_path / "inside").iterdir()) == []


@pytest.mark.parametrize("body", [b"", b"not an archive", b"\x1f\x8b broken"])
def test_a_broken_archive_is_named_as_such(tmp_path, body):
    (tmp_path / "broken.tar.gz").write_bytes(body)
    with pytest.raises(staging.StagingError, match="could not be unpacked"):
        staging.unpack(tmp_path / "broken.tar.gz", tmp_path / "inside")
