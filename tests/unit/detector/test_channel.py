"""A channel is loaded, or refused with a sentence that says what is wrong with it."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.channel import Sample, load_channel, shrunk
from detector.channels.named_pipe import StoppedError
from dropspot.errors import InvalidInputError
from dropspot.recordio import frame
from prep.recordio import packed_label

FIT = partial(shrunk, largest_short_side=40)
BOX = (1, 0.1, 0.2, 0.3, 0.4)


def jpeg(side: int = 60) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side * 2, side), (90, 10, 10)).save(buffer, "JPEG")
    return buffer.getvalue()


def channel(folder: Path, *records: tuple[bytes, tuple[tuple[float, ...], ...]]) -> Path:
    target = folder / "train"
    target.mkdir()
    packed = [packed_label(n, [2, 5, *np.ravel(boxes)]) + picture for n, (picture, boxes) in enumerate(records)]
    (target / "train.rec").write_bytes(b"".join(map(frame, packed)))
    return target


def load(folder: Path) -> list:
    return load_channel(folder, num_classes=2, fit=FIT, threads=2)


def test_pictures_are_kept_decoded_and_no_larger_than_needed(tmp_path: Path) -> None:
    (sample,) = load(channel(tmp_path, (jpeg(), (BOX,))))
    assert sample.pixels is not None
    assert sample.pixels.size == (80, 40)
    np.testing.assert_allclose(sample.labels, [BOX], atol=1e-6)


def test_boxes_without_area_are_dropped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = load(channel(tmp_path, *[(jpeg(), (BOX, (0, 0.5, 0.5, 0.5, 0.9)))] * 20))
    assert [sample.labels[:, 0].tolist() for sample in samples] == [[1]] * 20
    assert caplog.messages == ["channel train: 20 of 40 boxes have no area and are left out"]


@pytest.mark.parametrize("pixels", [(1, 30, 40, 90, 99), (1, -0.06, 0.2, 0.3, 0.4), (1, 0.1, 0.2, 0.3, 1.06)])
def test_coordinates_that_are_no_fractions_make_a_record_unusable(tmp_path: Path, pixels: tuple[float, ...]) -> None:
    folder = channel(tmp_path, *[(jpeg(), (BOX,))] * 4, (jpeg(), (BOX, pixels)))
    sentence = r"1 of 5 pictures cannot be used, the first \(record 4\) because its coordinates are not fractions"
    with pytest.raises(InvalidInputError, match=sentence):
        load(folder)


def test_a_box_that_reaches_a_little_beyond_its_picture_is_cut_to_it(tmp_path: Path) -> None:
    (sample,) = load(channel(tmp_path, (jpeg(), ((1, -0.04, 0.2, 1.04, 0.4),))))
    np.testing.assert_allclose(sample.labels, [(1, 0, 0.2, 1, 0.4)], atol=1e-6)


def test_a_few_unreadable_pictures_are_left_out_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    records = [(jpeg(), (BOX,))] * 19 + [(b"no picture", (BOX,))]
    assert len(load(channel(tmp_path, *records))) == 19
    assert "left out record 19 of channel train" in caplog.text


def test_many_unreadable_pictures_fail(tmp_path: Path) -> None:
    folder = channel(tmp_path, *[(jpeg(), (BOX,))] * 4, (b"no picture", (BOX,)))
    with pytest.raises(InvalidInputError, match=r"1 of 5 pictures cannot be used, the first \(record 4\) because"):
        load(folder)


def test_a_class_beyond_num_classes_fails(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="class id 2, but num_classes is 2"):
        load(channel(tmp_path, (jpeg(), ((2, 0.1, 0.2, 0.3, 0.4),))))


def test_no_box_at_all_fails(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no usable box in any of its 1 pictures"):
        load(channel(tmp_path, (jpeg(), ((0, 0.5, 0.5, 0.5, 0.5),))))


def test_an_empty_file_and_no_file_fail(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="channel train is empty"):
        load(channel(tmp_path))
    with pytest.raises(InvalidInputError, match=r"channel other has no \.rec file and no picture"):
        load(tmp_path / "other")


def test_a_cached_picture_from_a_file_can_still_be_read_as_it_came(tmp_path: Path) -> None:
    (first, second) = load(channel(tmp_path, (jpeg(), (BOX,)), (jpeg(61), (BOX,))))
    assert (first.compressed, second.compressed) == (jpeg(), jpeg(61))


def test_a_cached_picture_from_a_pipe_says_that_only_its_pixels_are_kept() -> None:
    with pytest.raises(ValueError, match="only kept decoded"):
        Sample(np.empty((0, 5), np.float32), None, Image.new("RGB", (4, 4))).compressed  # noqa: B018 - it raises


def test_loading_files_stops_at_the_next_record_when_told_to(tmp_path: Path) -> None:
    folder = channel(tmp_path, *[(jpeg(), (BOX,))] * 5)
    told = iter([False, False, True])
    with pytest.raises(StoppedError):
        load_channel(folder, num_classes=2, fit=FIT, threads=2, stop=lambda: next(told))
    assert next(told, None) is None


def test_hidden_files_and_folders_are_no_records(tmp_path: Path) -> None:
    folder = channel(tmp_path, (jpeg(), (BOX,)))
    (folder / "._train.rec").write_bytes(b"what a Mac leaves beside a file")
    (folder / "folder.rec").mkdir()
    assert len(load(folder)) == 1
    (folder / "train.rec").unlink()
    with pytest.raises(InvalidInputError, match=r"channel train has no \.rec file and no picture"):
        load(folder)
