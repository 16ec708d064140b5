"""The same data set gives the same samples in every format and input mode, and each says what it leaves out."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from unit.detector.written_channels import (
    Drawn,
    attribute_bytes,
    drawn,
    fed_pipe,
    record_bytes,
    write_image_files,
    write_pair,
    write_record_file,
)

import detector.channel
from detector.channel import Sample, load_channel, shrunk
from detector.channels.input_configuration import ChannelFormat
from dropspot.errors import InvalidInputError
from dropspot.recordio import MAGIC, frame

Load = Callable[[ChannelFormat, list[Drawn]], list[Sample]]
FIT = partial(shrunk, largest_short_side=40)
FORMATS = tuple(ChannelFormat)
PIPED = (ChannelFormat.PIPED_RECORDS, ChannelFormat.PIPED_ATTRIBUTES)


def load(folder: Path, channel_format: ChannelFormat | None, label_width: int | None = 350) -> list[Sample]:
    return load_channel(folder, 2, FIT, 2, label_width=label_width, channel_format=channel_format)


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Callable[..., list[Sample]]]:
    """A function that writes pictures in a format and loads the channel."""
    numbers = count()
    with ExitStack() as stack:

        def write_and_load(channel_format: ChannelFormat, pictures: list[Drawn], **options: int) -> list[Sample]:
            folder = tmp_path / str(next(numbers)) / "train"
            if channel_format is ChannelFormat.RECORD_FILES:
                write_record_file(folder, pictures)
            elif channel_format is ChannelFormat.IMAGE_FILES:
                write_image_files(folder, pictures)
            else:
                content = record_bytes if channel_format is ChannelFormat.PIPED_RECORDS else attribute_bytes
                stack.enter_context(fed_pipe(folder, content(pictures)))
            return load(folder, channel_format, **options)

        yield write_and_load


def picture_digest(picture: bytes) -> bytes:
    return hashlib.blake2b(picture, digest_size=16).digest()


def contents(samples: list[Sample]) -> list[tuple[bytes, bytes]]:
    """Pixels and labels to the last bit, in an order of their own: folders are read in the order of names."""
    return sorted((sample.picture(FIT).tobytes(), sample.labels.tobytes()) for sample in samples)


@pytest.mark.parametrize("channel_format", FORMATS)
def test_every_format_gives_the_same_samples(loaded: Load, channel_format: ChannelFormat) -> None:
    pictures = drawn()
    samples = loaded(channel_format, pictures)
    expected = [np.asarray(one.label[2:], np.float32).reshape(-1, 5) for one in pictures]
    assert sorted(sample.labels.tobytes() for sample in samples) == sorted(labels.tobytes() for labels in expected)
    assert sorted(sample.digest for sample in samples) == sorted(picture_digest(one.picture) for one in pictures)
    if channel_format is not ChannelFormat.RECORD_FILES:
        assert contents(samples) == contents(loaded(ChannelFormat.RECORD_FILES, pictures))


@pytest.mark.parametrize("channel_format", PIPED)
def test_a_pipe_keeps_the_order_that_it_brings(loaded: Load, channel_format: ChannelFormat) -> None:
    pictures = drawn()
    expected = [np.asarray(one.label[2:], np.float32) for one in pictures]
    for sample, labels in zip(loaded(channel_format, pictures), expected, strict=True):
        np.testing.assert_array_equal(sample.labels.ravel(), labels)


@pytest.mark.parametrize("channel_format", FORMATS)
def test_pictures_beyond_the_cache_are_the_same_when_they_are_used(
    loaded: Load, channel_format: ChannelFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = drawn()
    cached = contents(loaded(channel_format, pictures))
    monkeypatch.setattr(detector.channel, "CACHE_BYTES", 20_000)
    samples = loaded(channel_format, pictures)
    assert {sample.pixels is None for sample in samples} == {True, False}
    assert contents(samples) == cached


@pytest.mark.parametrize("channel_format", FORMATS)
def test_a_label_wider_than_label_width_fails_and_says_what_to_set(
    loaded: Callable[..., list[Sample]], channel_format: ChannelFormat
) -> None:
    box = (0, 1, 1, 5, 5)
    one, two, three = (Drawn(40, 40, (box,) * boxes, drawn(1)[0].picture) for boxes in (1, 2, 3))
    name = {
        ChannelFormat.RECORD_FILES: "record 2",
        ChannelFormat.PIPED_RECORDS: "record 2",
        ChannelFormat.PIPED_ATTRIBUTES: "picture 2",
        ChannelFormat.IMAGE_FILES: "annotation 'part-0/001.json'",
    }[channel_format]
    sentence = (
        f"channel train: the label of {name} has 12 values, but hyperparameter label_width is 7: set it to 17 or more"
    )
    with pytest.raises(InvalidInputError) as caught:
        loaded(channel_format, [one, one, two, three, one, one], label_width=7)
    assert str(caught.value) == sentence
    assert len(loaded(channel_format, [one, two, three], label_width=17)) == 3


def test_a_pipe_that_brings_more_than_memory_holds_says_to_use_files(
    loaded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector.channel, "CACHE_BYTES", 0)
    monkeypatch.setattr(detector.channel, "available_memory", lambda: 20_000)
    pictures = drawn(20)
    for channel_format in PIPED:
        with pytest.raises(InvalidInputError, match=r"channel train brings more .* use input mode File or FastFile"):
            loaded(channel_format, pictures)
    for channel_format in set(FORMATS) - set(PIPED):
        assert len(loaded(channel_format, pictures)) == 20


def test_a_record_file_of_which_a_tenth_is_lost_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = record_bytes(drawn(40))
    folder = tmp_path / "train"
    write_record_file(folder, [])
    (folder / "train.rec").write_bytes(content[:-100])
    assert len(load(folder, None)) == 39
    assert "left out record 39 of channel train: the data end within a record" in caplog.text
    half = len(content) // 2
    (folder / "train.rec").write_bytes(content[:half] + bytes(half))
    with pytest.raises(InvalidInputError, match=r"train\.rec cannot be read from byte [\d,]+ to [\d,]+, because"):
        load(folder, None)


@pytest.mark.parametrize("damage", [{0: 0xFF}, {4: 0xFF}, {7: 0x60}, {6: 0x01}, {7: 0x1F}], ids=str)
def test_a_damaged_head_costs_its_own_record_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: dict[int, int]
) -> None:
    folder, pictures = tmp_path / "train", drawn(40)
    write_record_file(folder, [])
    content, second = bytearray(record_bytes(pictures)), len(record_bytes(pictures[:1]))
    for place, value in damage.items():
        content[second + place] = value
    (folder / "train.rec").write_bytes(content)
    assert len(load(folder, None)) == 39
    assert "left out record 1 of channel train" in caplog.text


def test_pictures_and_annotations_without_each_other_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, documents = tmp_path / "train", tmp_path / "train_annotation"
    write_image_files(folder, drawn(40))
    one = drawn(1)[0]
    write_pair(folder, documents, "alone", one)
    (documents / "alone.json").unlink()
    write_pair(folder, documents, "gone", one)
    (folder / "gone.jpg").unlink()
    (documents / "wrong.json").write_text("{")
    assert len(load(folder, None)) == 40
    assert (
        "left out annotation 'gone.json' of channel train: the file 'gone.jpg' that it names is not in" in caplog.text
    )
    assert "left out annotation 'wrong.json' of channel train: its annotation is not JSON" in caplog.text
    assert "left out picture 'alone.jpg' of channel train: no annotation names it" in caplog.text


@pytest.mark.parametrize(
    "file", ["../secret.jpg", "/etc/passwd", "a/../../b.jpg", "", None, 7, "a\0b", "x" * 5000, "."]
)
def test_an_annotation_names_a_file_in_its_channel_only(tmp_path: Path, file: object) -> None:
    folder, documents = tmp_path / "train", tmp_path / "train_annotation"
    one = drawn(1)[0]
    write_pair(folder, documents, "one", one)
    (tmp_path / "secret.jpg").write_bytes(one.picture)
    (documents / "one.json").write_text(json.dumps({"file": file, **one.annotation}))
    with pytest.raises(InvalidInputError, match=r"2 of 2 pictures cannot be used, the first .* because") as caught:
        load(folder, None)
    assert len(str(caught.value)) < 300


def test_a_picture_that_two_annotations_name_is_taken_once(tmp_path: Path) -> None:
    folder, documents = tmp_path / "train", tmp_path / "train_annotation"
    write_image_files(folder, drawn(20))
    (documents / "second.json").write_bytes((documents / "part-0" / "000.json").read_bytes())
    assert len(load(folder, None)) == 20


def test_a_missing_or_empty_annotation_channel_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    write_image_files(folder, drawn(2))
    for path in sorted(tmp_path.glob("train_annotation/**/*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    with pytest.raises(InvalidInputError, match=r"channel train_annotation has no \.json document"):
        load(folder, None)
    (tmp_path / "train_annotation").rmdir()
    with pytest.raises(InvalidInputError, match="channel train_annotation is missing"):
        load(folder, ChannelFormat.IMAGE_FILES)
    with pytest.raises(InvalidInputError, match="no channel train_annotation says what its pictures show"):
        load(folder, None)


def test_another_size_than_image_size_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = drawn(1)[0]
    with fed_pipe(tmp_path / "train", attribute_bytes([Drawn(one.width * 2, one.height * 2, one.boxes, one.picture)])):
        load(tmp_path / "train", ChannelFormat.PIPED_ATTRIBUTES)
    assert "channel train: 1 pictures have another size than their image_size" in caplog.text


@pytest.mark.parametrize(
    ("content", "channel_format", "sentence"),
    [
        (b"", ChannelFormat.PIPED_RECORDS, "channel train is empty: its pipe ended without a record"),
        (b"", ChannelFormat.PIPED_ATTRIBUTES, "channel train is empty: its pipe ended without a record"),
        (b"no records", ChannelFormat.PIPED_RECORDS, "the pipe cannot be read from record 0 on"),
        (record_bytes(drawn(3))[:-5], ChannelFormat.PIPED_RECORDS, "the pipe cannot be read from record 2 on"),
        (attribute_bytes(drawn(3))[:-5], ChannelFormat.PIPED_ATTRIBUTES, "the pipe cannot be read from record 5 on"),
        (frame(record_bytes(drawn(3))), ChannelFormat.PIPED_ATTRIBUTES, "record 0 of the pipe holds RecordIO itself"),
        (record_bytes(drawn(3)), ChannelFormat.PIPED_ATTRIBUTES, "2 of 2 pictures cannot be used"),
        (attribute_bytes(drawn(3)), ChannelFormat.PIPED_RECORDS, "6 of 6 pictures cannot be used"),
        (frame(b"jpeg"), ChannelFormat.PIPED_ATTRIBUTES, "the pipe ended before its label"),
        (frame(b"{}") + frame(b"jpeg"), ChannelFormat.PIPED_ATTRIBUTES, "must be source-ref and then the label"),
    ],
)
def test_a_pipe_with_the_wrong_content_is_one_sentence(
    tmp_path: Path, content: bytes, channel_format: ChannelFormat, sentence: str
) -> None:
    with fed_pipe(tmp_path / "train", content), pytest.raises(InvalidInputError, match=sentence) as caught:
        load(tmp_path / "train", channel_format)
    assert "\n" not in str(caught.value)


def test_a_picture_that_holds_the_magic_word_comes_whole(tmp_path: Path) -> None:
    pictures = [Drawn(o.width, o.height, o.boxes, o.picture + MAGIC * 3 + b"abcd" + MAGIC) for o in drawn(3)]
    for channel_format, content in ((PIPED[0], record_bytes(pictures)), (PIPED[1], attribute_bytes(pictures))):
        folder = tmp_path / channel_format.name / "train"
        with fed_pipe(folder, content):
            assert len(load(folder, channel_format)) == 3


def test_hidden_files_are_neither_pictures_nor_annotations(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A Mac that copies files to a disk of another system leaves one beside each."""
    folder = tmp_path / "train"
    write_image_files(folder, drawn())
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    assert len(load(folder, None)) == 12
    assert caplog.messages == []


def test_a_folder_of_hidden_pictures_has_none(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "._1.jpg").write_bytes(b"")
    with pytest.raises(InvalidInputError, match=r"channel train has no \.rec file and no picture"):
        load(tmp_path / "train", None)
