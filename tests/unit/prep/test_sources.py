import gzip
import io
import os
import stat
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.prep.minis import MiniDataset, seeded

from dropspot.errors import InvalidInputError
from prep import archives
from prep.archives import Allowance, members
from prep.kinds import wrong_extension
from prep.quarantine import Quarantine
from prep.references import referenced_pictures
from prep.sources import collect

JPEG = b"\xff\xd8\xff\xe0 not really"
HOSTILE_NAMES = ["../evil.jpg", "/etc/evil.jpg", "a/../../evil.jpg", "C:/evil.jpg", "..\\evil.jpg", "a/../evil.jpg"]


def collected(mini: Any, tmp_path: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """Usable files with their content, and what was left out with its code."""
    quarantine = Quarantine()
    files = collect(mini.paths.dataset, tmp_path / "scratch", quarantine, lambda line: None)
    return {f.path: f.stored.read_bytes() for f in files}, {e.file: e.code for e in quarantine.entries}


def read_all(archive: Path, name: str, allowance: Allowance) -> None:
    for member in members(archive, name, allowance):
        if member.content is not None:
            member.content.read()


def test_archives_count_as_unpacked_in_place(mini, tmp_path: Path) -> None:
    mini.put("loose/a.jpg", JPEG)
    mini.tar("images.tar.gz", {"images/b.jpg": JPEG, "./images/c.JPG": JPEG})
    mini.tar("deeper/plain.tar", {"d.xml": b"<annotation/>"}, "w")
    mini.tar("more.tgz", {"é x+%.jpg": JPEG})
    mini.zip("deeper/z.zip", {"folder/e.png": b"\x89PNG\r\n\x1a\n"})
    used, left_out = collected(mini, tmp_path)
    assert sorted(used) == [
        "deeper/d.xml", "deeper/folder/e.png", "images/b.jpg", "images/c.JPG", "loose/a.jpg", "é x+%.jpg"
    ]  # fmt: skip
    assert used["images/b.jpg"] == JPEG
    assert left_out == {}


def test_the_kind_of_an_archive_is_told_from_its_content(mini, tmp_path: Path) -> None:
    plain = mini.tar("plain.tar", {"a.jpg": JPEG}, "w").read_bytes()
    mini.put("plain.tar", gzip.compress(plain))
    mini.put("really_plain.tar.gz", mini.tar("x.tar", {"b.jpg": JPEG}, "w").read_bytes())
    mini.put("really_zip.tar", mini.zip("y.zip", {"c.jpg": JPEG}).read_bytes())
    (mini.paths.dataset / "x.tar").unlink()
    (mini.paths.dataset / "y.zip").unlink()
    assert sorted(collected(mini, tmp_path)[0]) == ["a.jpg", "b.jpg", "c.jpg"]


def test_everything_else_is_left_out_by_name(mini, tmp_path: Path) -> None:
    content = {
        "images/a.mat": b"MATLAB 5.0",
        "._a.jpg": b"\0\5\x16\7",
        "__MACOSX/images/a.jpg": JPEG,
        ".DS_Store": b"\0\0\0\1Bud1",
        "README": b"read me",
        "annotations/trimaps/a.png": b"\x89PNG\r\n\x1a\n",
        "more.rar": b"Rar!",
        "notes.csv": b"not a list",
    }
    for path, data in content.items():
        mini.put(path, data)
    mini.zip("packed.zip", {f"packed/{path}": data for path, data in content.items()} | {"inner.zip": b"PK"})
    used, left_out = collected(mini, tmp_path)
    assert used == {}
    assert set(left_out) == {*content, *(f"packed/{path}" for path in content), "inner.zip"}
    assert set(left_out.values()) == {"unsupported_file"}


def test_a_picture_elsewhere_of_a_kind_that_is_not_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "a.psd").write_bytes(b"8BPS\0\1")
    (tmp_path / "bucket" / "a.doc").write_bytes(b"a letter")
    quarantine = Quarantine()
    assert referenced_pictures(tmp_path, quarantine) == []
    assert {e.file: (e.code, e.reason) for e in quarantine.entries} == {
        "s3://bucket/a.psd": (
            "unsupported_image",
            "its content is PSD, which data sets may not hold: convert it to JPEG or PNG",
        ),
        "s3://bucket/a.doc": ("unsupported_file", "a manifest refers to it, and it is no picture"),
    }
    assert not wrong_extension("a.JPEG", "JPEG")
    assert wrong_extension("a.jpg", "GIF")
    assert not wrong_extension("a", "GIF")


@pytest.mark.parametrize("path", HOSTILE_NAMES)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_member_that_leaves_the_folder_is_refused_by_name(path: str, kind: str, mini, tmp_path: Path) -> None:
    pack = mini.tar if kind == "tar" else mini.zip
    pack("a.tar.gz" if kind == "tar" else "a.zip", {"good.jpg": JPEG, path: JPEG})
    before = {p for p in tmp_path.rglob("*") if "scratch" not in p.parts}
    used, left_out = collected(mini, tmp_path)
    assert list(used) == ["good.jpg"]
    assert left_out == {path.replace("\\", "/"): "unsafe_member"}
    assert {p for p in tmp_path.rglob("*") if "scratch" not in p.parts} == before
    assert {p.name for p in (tmp_path / "scratch").iterdir()} == {"00000000"}


@pytest.mark.parametrize("name", ["", ".", "./"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_member_without_a_name_is_refused(name: str, kind: str, mini, tmp_path: Path) -> None:
    if kind == "tar":
        mini.tar("some.tar", {"a.jpg": JPEG, name: JPEG, "b.jpg": JPEG}, "w")
    else:
        with zipfile.ZipFile(mini.paths.dataset / "some.zip", "w") as archive:
            for each in ("a.jpg", name, "b.jpg"):
                archive.writestr(zipfile.ZipInfo(each), JPEG)
    used, left_out = collected(mini, tmp_path)
    assert sorted(used) == ["a.jpg", "b.jpg"]
    assert left_out == ({} if kind == "zip" and name == "./" else {"?": "unsafe_member"})  # a folder, to a zip


def test_links_and_devices_in_a_tar_are_refused_by_name(mini, tmp_path: Path) -> None:
    with tarfile.open(mini.paths.dataset / "a.tar", "w") as archive:
        for name, kind in (
            ("soft.jpg", tarfile.SYMTYPE),
            ("hard.jpg", tarfile.LNKTYPE),
            ("pipe.jpg", tarfile.FIFOTYPE),
            ("device.jpg", tarfile.CHRTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    used, left_out = collected(mini, tmp_path)
    assert used == {}
    assert left_out == dict.fromkeys(("soft.jpg", "hard.jpg", "pipe.jpg", "device.jpg"), "unsafe_member")


def test_links_in_a_zip_are_refused_by_name(mini, tmp_path: Path) -> None:
    with zipfile.ZipFile(mini.paths.dataset / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("soft.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert collected(mini, tmp_path) == ({}, {"soft.jpg": "unsafe_member"})


def test_loose_links_and_pipes_are_refused_by_name(mini, tmp_path: Path) -> None:
    mini.put("a.jpg", JPEG)
    (mini.paths.dataset / "link.jpg").symlink_to("/etc/passwd")
    (mini.paths.dataset / "folder").symlink_to("/etc")
    os.mkfifo(mini.paths.dataset / "pipe.jpg")
    used, left_out = collected(mini, tmp_path)
    assert list(used) == ["a.jpg"]
    assert left_out == dict.fromkeys(("link.jpg", "folder", "pipe.jpg"), "unsafe_member")


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.3, 0.8])
@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar", "a.zip"])
def test_a_truncated_archive_is_named(name: str, share: float, mini, tmp_path: Path) -> None:
    content = {f"{i}.jpg": JPEG + os.urandom(3000) for i in range(20)}
    archive = (
        mini.zip(name, content) if name == "a.zip" else mini.tar(name, content, "w" if name == "a.tar" else "w:gz")
    )
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InvalidInputError, match=rf"archive {name} cannot be read"):
        collected(mini, tmp_path)


@pytest.mark.parametrize("tail", [4, 8])
def test_a_gzip_that_lost_only_its_checksum_is_named(tail: int, mini, tmp_path: Path) -> None:
    archive = mini.tar("a.tar.gz", {"a.jpg": JPEG})
    archive.write_bytes(archive.read_bytes()[:-tail])
    with pytest.raises(InvalidInputError, match=r"archive a\.tar\.gz cannot be read"):
        collected(mini, tmp_path)


def test_a_tar_cut_between_two_members_is_named(mini, tmp_path: Path) -> None:
    archive = mini.tar("a.tar", {f"{i}.jpg": JPEG for i in range(4)}, "w")
    archive.write_bytes(archive.read_bytes()[:2048])  # two heads, each with one block of content
    with pytest.raises(InvalidInputError, match=r"archive a\.tar cannot be read.*incomplete"):
        collected(mini, tmp_path)


def test_damage_in_the_middle_of_a_tar_does_not_lose_the_rest_in_silence(mini, tmp_path: Path) -> None:
    archive = mini.tar("a.tar", {f"{i}.jpg": JPEG for i in range(4)}, "w")
    data = bytearray(archive.read_bytes())
    data[2048:2060] = b"damaged head"
    archive.write_bytes(data)
    with pytest.raises(InvalidInputError, match=r"archive a\.tar cannot be read.*damaged"):
        collected(mini, tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is no archive", b"PK\3\4 nor is this", b"\x1f\x8b\x08 nor this"]
)
def test_what_is_no_archive_at_all_is_named(content: bytes, mini, tmp_path: Path) -> None:
    mini.put("pets/images.tar.gz", content)
    with pytest.raises(InvalidInputError, match=r"archive pets/images\.tar\.gz cannot be read"):
        collected(mini, tmp_path)


def test_an_encrypted_zip_is_named(mini, tmp_path: Path) -> None:
    data = bytearray(mini.zip("a.zip", {"a.jpg": JPEG}).read_bytes())
    data[6] |= 1  # the flag in the member's header, then the one in the directory
    data[data.index(b"PK\1\2") + 8] |= 1
    mini.put("a.zip", bytes(data))
    with pytest.raises(InvalidInputError, match=r"archive a\.zip cannot be read.*encrypted"):
        collected(mini, tmp_path)


@pytest.mark.parametrize("name", ["bomb.tar.gz", "bomb.zip"])
def test_a_bomb_by_ratio_is_refused_by_name(name: str, mini, tmp_path: Path) -> None:
    content = {"zeros.jpg": JPEG + bytes(archives.RATIO_FREE_BYTES + (1 << 20))}
    mini.zip(name, content) if name.endswith("zip") else mini.tar(name, content)
    with pytest.raises(InvalidInputError, match=rf"archive {name} was refused: it unpacks to more than 250 times"):
        collected(mini, tmp_path)


def test_a_bomb_by_total_size_or_count_is_refused_by_name(mini) -> None:
    archive = mini.tar("a.tar.gz", {f"{i}.jpg": JPEG * 100 for i in range(10)})
    for allowance, complaint in (
        (Allowance(max_total_bytes=5000), "unpacks to more than"),
        (Allowance(max_members=9), "more than 9 members"),
    ):
        with pytest.raises(InvalidInputError, match=rf"archive a\.tar\.gz was refused.*{complaint}"):
            read_all(archive, "a.tar.gz", allowance)


def test_a_tar_header_that_claims_a_huge_name_is_refused(mini, tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 31
    mini.put("a.tar", info.tobuf() + bytes(2048))
    with pytest.raises(InvalidInputError, match=r"archive a\.tar cannot be read.*header"):
        collected(mini, tmp_path)


def test_a_file_too_large_for_its_kind_is_left_out(mini, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("prep.sources.MAX_PICTURE_BYTES", 1000)
    mini.put("loose.jpg", JPEG * 100)
    mini.tar("a.tar.gz", {"packed.jpg": JPEG * 100, "fine.jpg": JPEG})
    used, left_out = collected(mini, tmp_path)
    assert list(used) == ["fine.jpg"]
    assert left_out == {"loose.jpg": "file_too_large", "packed.jpg": "file_too_large"}


def test_documents_for_many_pictures_may_be_larger_than_those_for_one(mini, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("prep.sources.MAX_TEXT_BYTES", 1000)
    names = ("a.json", "a.jsonl", "a.manifest", "a.xml", "a.txt", "a.yaml", "train.txt")
    for name in names:
        mini.put(name, b" " * 1001)
    mini.zip("packed.zip", {f"packed/{name}": b" " * 1001 for name in names})
    used, left_out = collected(mini, tmp_path)
    assert set(used) == {f"{folder}{name}" for folder in ("", "packed/") for name in names[:3]}
    assert set(left_out.values()) == {"file_too_large"}
    assert len(left_out) == 8


def test_members_of_several_archives_with_the_same_path_are_told_apart(mini, tmp_path: Path) -> None:
    for number, name in enumerate("xyz"):
        mini.zip(f"{name}.zip", {"a.jpg": JPEG + bytes([number])})
    used, left_out = collected(mini, tmp_path)
    assert used == {"a.jpg": JPEG + b"\0", "y.zip/a.jpg": JPEG + b"\1", "z.zip/a.jpg": JPEG + b"\2"}
    assert left_out == {}


@pytest.mark.parametrize("archive", ["0.tar", "z.tar"])
def test_a_loose_file_replaces_a_member_of_its_path_whatever_the_archive_is_called(
    archive: str, mini, tmp_path: Path
) -> None:
    mini.put("p/a.xml", b"<annotation>new</annotation>")
    mini.put("p/a.jpg", JPEG)
    mini.tar(f"p/{archive}", {"a.xml": b"<annotation/>", "a.jpg": JPEG, "b.jpg": JPEG}, "w")
    quarantine = Quarantine()
    files = collect(mini.paths.dataset, tmp_path / "scratch", quarantine, print)
    assert {f.path: f.archive for f in files} == {"p/a.jpg": "", "p/a.xml": "", "p/b.jpg": f"p/{archive}"}
    assert [(e.file, e.code, e.deliberate) for e in quarantine.sorted()] == [
        (f"p/{archive}/p/a.jpg", "replaced_file", True),
        (f"p/{archive}/p/a.xml", "replaced_file", False),
    ]
    assert len(list((tmp_path / "scratch").iterdir())) == 1


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_member_appended_later_replaces_the_earlier_one(kind: str, mini, tmp_path: Path) -> None:
    old, new = {"a.xml": b"<annotation/>", "a.jpg": JPEG}, {"./a.xml": b"<annotation>new</annotation>"}
    if kind == "tar":
        mini.tar("a.tar", old, "w")
        mini.tar("a.tar", new, "a")
    else:
        mini.zip("a.zip", old)
        with zipfile.ZipFile(mini.paths.dataset / "a.zip", "a") as archive:
            archive.writestr("./a.xml", new["./a.xml"])
    used, left_out = collected(mini, tmp_path)
    assert used == {"a.xml": b"<annotation>new</annotation>", "a.jpg": JPEG}
    assert left_out == {f"a.{kind}/a.xml": "replaced_file"}


@pytest.mark.parametrize("name", ["PK.jpg", "PK5.jpg"])
def test_a_tar_whose_first_member_is_called_like_a_zip_begins(name: str, mini, tmp_path: Path) -> None:
    mini.tar("a.tar", {name: JPEG}, "w")
    assert collected(mini, tmp_path) == ({name: JPEG}, {})


def test_an_empty_zip_is_one(mini, tmp_path: Path) -> None:
    mini.zip("a.zip", {})
    assert collected(mini, tmp_path) == ({}, {})


def test_a_plan_in_an_archive_is_left_out_with_what_to_do(mini, tmp_path: Path) -> None:
    mini.zip("packed.zip", {"training.json": b"{}", "a.jpg": JPEG})
    quarantine = Quarantine()
    files = collect(mini.paths.dataset, tmp_path / "scratch", quarantine, print)
    assert [file.path for file in files] == ["a.jpg"]
    (entry,) = quarantine.entries
    assert (entry.file, entry.code) == ("training.json", "unsupported_file")
    assert entry.reason == "a plan is not read from an archive: put training.json beside packed.zip"


def test_what_may_not_be_read_is_left_out_by_name(locked_out: Path) -> None:
    mini = MiniDataset(locked_out / "ml")
    mini.put("a.jpg", JPEG)
    for path in ("locked.jpg", "locked/b.jpg", "listable/c.jpg", "listable/deeper/d.jpg"):
        mini.put(path, JPEG)
    for path, mode in (("locked.jpg", 0), ("locked", 0), ("listable", 0o600)):
        (mini.paths.dataset / path).chmod(mode)
    used, left_out = collected(mini, locked_out)
    (mini.paths.dataset / "listable").chmod(0o700)
    assert used == {"a.jpg": JPEG}
    unreadable = ("locked.jpg", "locked", "listable/c.jpg", "listable/deeper")
    assert left_out == dict.fromkeys(unreadable, "unreadable_file")


def test_nothing_but_an_unreadable_folder_is_not_called_empty(locked_out: Path) -> None:
    mini = MiniDataset(locked_out / "ml")
    mini.put("locked/b.jpg", JPEG)
    (mini.paths.dataset / "locked").chmod(0)
    assert collected(mini, locked_out) == ({}, {"locked": "unreadable_file"})
    mini.paths.dataset.chmod(0)
    with pytest.raises(InvalidInputError, match="folder cannot be read: Permission denied"):
        collected(mini, locked_out)
    mini.paths.dataset.chmod(0o700)


def test_an_unreadable_archive_is_named(locked_out: Path) -> None:
    mini = MiniDataset(locked_out / "ml")
    mini.tar("a.tar", {"a.jpg": JPEG}, "w").chmod(0)
    with pytest.raises(InvalidInputError, match=r"archive a\.tar cannot be read: Permission denied"):
        collected(mini, locked_out)


def test_unreadable_references_are_left_out_by_their_uri(locked_out: Path) -> None:
    for path in ("bucket/a.jpg", "bucket/locked.jpg", "bucket/locked/b.jpg"):
        (locked_out / path).parent.mkdir(exist_ok=True)
        (locked_out / path).write_bytes(JPEG)
    for path in ("locked.jpg", "locked"):
        (locked_out / "bucket" / path).chmod(0)
    quarantine = Quarantine()
    assert [file.path for file in referenced_pictures(locked_out, quarantine)] == ["s3://bucket/a.jpg"]
    left_out = {entry.file: entry.code for entry in quarantine.entries}
    assert left_out == dict.fromkeys(("s3://bucket/locked", "s3://bucket/locked.jpg"), "unreadable_file")


def test_the_reason_of_a_file_too_large_reads_well(mini, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("prep.sources.MAX_TEXT_BYTES", 1 << 20)
    mini.put("a.xml", b" " * (1 << 20) + b" ")
    quarantine = Quarantine()
    collect(mini.paths.dataset, tmp_path / "scratch", quarantine, print)
    assert quarantine.entries[0].reason == "more than 1 MiB, the most for an annotation"


def test_an_empty_folder_says_so(mini, tmp_path: Path) -> None:
    (mini.paths.dataset / "empty").mkdir()
    with pytest.raises(InvalidInputError, match="the data set is empty"):
        collected(mini, tmp_path)
    with pytest.raises(InvalidInputError, match="the data set is empty"):
        collect(tmp_path / "nowhere", tmp_path / "scratch", Quarantine(), print)


def _archive_bytes(kind: str) -> bytes:
    buffer = io.BytesIO()
    content = {f"folder/{i}.jpg": JPEG * (i + 1) for i in range(5)}
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
            for path, data in content.items():
                packed.writestr(path, data)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz" if kind == "tar.gz" else "w") as packed_tar:
            for path, data in content.items():
                info = tarfile.TarInfo(path)
                info.size = len(data)
                packed_tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
@given(st.data())
@settings(seeded, max_examples=150)
def test_a_damaged_archive_is_read_or_refused_and_nothing_else(kind: str, tmp_path_factory, data) -> None:
    content = bytearray(_archive_bytes(kind))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[at] ^= data.draw(st.integers(1, 255))
    archive = tmp_path_factory.mktemp("fuzz") / f"a.{kind}"
    archive.write_bytes(bytes(content))
    with suppress(InvalidInputError):  # any other exception fails the test
        read_all(archive, "a", Allowance())
