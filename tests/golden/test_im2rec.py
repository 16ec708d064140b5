"""Channels against the im2rec.py that comes with MXNet, run on prep's own lists and the same JPEGs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from golden.preparations import CHANNELS, Prepared, im2rec, records, unpacked

pytest.importorskip("mxnet", reason="MXNet is only in .envs/oracle")


def laid_out(prepared: Prepared, channel: str, folder: Path, pictures: Mapping[str, bytes]) -> Path:
    """What im2rec wants: the list, and the pictures that it names below `folder`/pictures. Returns the prefix."""
    (folder / "pictures").mkdir()
    shutil.copyfile(prepared.file(channel, "lst"), folder / f"{channel}.lst")
    for name, content in pictures.items():
        (folder / "pictures" / name).write_bytes(content)
    return folder / channel


def own_pictures(prepared: Prepared, channel: str) -> dict[str, bytes]:
    """The JPEGs of the channel's records by the names on its list."""
    pairs = zip(prepared.lines(channel), prepared.records(channel), strict=True)
    return {line.name: record.image for line, record in pairs}


@pytest.mark.parametrize("channel", CHANNELS)
def test_pass_through_packs_the_list_into_the_same_files(prepared: Prepared, channel: str, tmp_path: Path) -> None:
    prefix = laid_out(prepared, channel, tmp_path, own_pictures(prepared, channel))
    im2rec(prefix, tmp_path / "pictures", "--pack-label", "--pass-through")
    assert prefix.with_suffix(".rec").read_bytes() == prepared.file(channel, "rec").read_bytes()
    assert prefix.with_suffix(".idx").read_bytes() == prepared.file(channel, "idx").read_bytes()


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_published_files_themselves_give_the_same_records(
    bccd: Prepared, shared_datasets: Path, channel: str, tmp_path: Path
) -> None:
    # every picture of this set fits and passes through, so the pictures can come from the archive as it is
    source = unpacked([shared_datasets / "bccd" / "bccd.tar.gz"], tmp_path / "source")
    by_stem = {path.stem: path.read_bytes() for path in source.rglob("*.jpg")}
    pictures = {line.name: by_stem[line.name.rpartition("-")[0]] for line in bccd.lines(channel)}
    prefix = laid_out(bccd, channel, tmp_path, pictures)
    im2rec(prefix, tmp_path / "pictures", "--pack-label", "--pass-through")
    assert prefix.with_suffix(".rec").read_bytes() == bccd.file(channel, "rec").read_bytes()


def test_im2rec_understands_the_labels_when_it_encodes_itself(prepared: Prepared, tmp_path: Path) -> None:
    prefix = laid_out(prepared, "train", tmp_path, own_pictures(prepared, "train"))
    im2rec(prefix, tmp_path / "pictures", "--pack-label")
    theirs = list(records(prefix.with_suffix(".rec")))
    ours = prepared.records("train")
    assert [(record.record_id, record.label) for record in theirs] == [(r.record_id, r.label) for r in ours]
    assert [record.record_id for record in theirs] == [line.record_id for line in prepared.lines("train")]


def test_resized_pictures_are_what_the_records_hold(resized: Prepared) -> None:
    import cv2
    import numpy as np

    for record in resized.records("train"):
        assert cv2.imdecode(np.frombuffer(record.image, np.uint8), cv2.IMREAD_COLOR).shape == (96, 144, 3)
