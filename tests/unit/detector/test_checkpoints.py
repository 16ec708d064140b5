"""Checkpoints survive kills, torn files and full disks, and belong to one training alone."""

import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detector.checkpoints import NAME, PREVIOUS, Checkpoint, Progress, identity, read_checkpoint, write_checkpoint
from detector.settings import Settings
from dropspot.errors import TransientError

ANCHORS = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], np.float32)
SETTINGS = Settings.from_strings({"num_classes": "2", "num_training_samples": "2"})


def checkpoint(epoch: int, values: int = 50) -> Checkpoint:
    rng = np.random.default_rng(epoch)
    progress = Progress(epoch=epoch, batch=3, finite_steps=3, cross_entropy=1 / 3, best_map=0.1 + 0.2, best_epoch=1)
    arrays = {"weight/a": rng.normal(size=values).astype(np.float32), "steps": np.array(7)}
    return Checkpoint(progress, arrays, {"a": rng.normal(size=(2, 3)).astype(np.float32)})


def read(folder: Path) -> Checkpoint:
    found = read_checkpoint(folder, "x")
    assert found is not None
    return found


def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path) -> None:
    written = checkpoint(1)
    write_checkpoint(tmp_path / "new" / "folder", "x", written)
    found = read(tmp_path / "new" / "folder")
    assert found.progress == written.progress
    for ours, theirs in ((found.state, written.state), (found.best, written.best)):
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            assert value.dtype == theirs[name].dtype
            np.testing.assert_array_equal(value, theirs[name])


def test_nothing_is_read_where_nothing_is(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path, "x") is None
    assert read_checkpoint(tmp_path / "missing", "x") is None


def test_the_last_two_are_kept_and_nothing_else(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        write_checkpoint(tmp_path, "x", checkpoint(epoch))
    assert {path.name for path in tmp_path.iterdir()} == {NAME, PREVIOUS}
    assert read(tmp_path).epoch == 3
    (tmp_path / NAME).unlink()  # a kill between the two renamings
    assert read(tmp_path).epoch == 2


def damages(content: bytes) -> Iterator[bytes]:
    """Truncations and flipped bits all over the file, its checksum included."""
    for length in (0, 1, 31, 32, 33, len(content) // 2, len(content) - 33, len(content) - 1):
        yield content[:length]
    rng = np.random.default_rng(0)
    for place in [0, len(content) - 1, len(content) - 32, *rng.integers(0, len(content), 200)]:
        yield content[:place] + bytes([content[place] ^ (1 << int(rng.integers(8)))]) + content[place + 1 :]
    yield content + b"\0"
    yield b"\0" * len(content)


def test_a_torn_or_altered_checkpoint_is_refused_and_the_one_before_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_checkpoint(tmp_path, "x", checkpoint(1))
    write_checkpoint(tmp_path, "x", checkpoint(2))
    whole = (tmp_path / NAME).read_bytes()
    caplog.set_level(logging.WARNING)
    for damaged in damages(whole):
        caplog.clear()
        (tmp_path / NAME).write_bytes(damaged)
        assert read(tmp_path).epoch == 1
        assert "is corrupt" in caplog.text
    write_checkpoint(tmp_path, "x", checkpoint(3))  # and the damaged one doesn't take the good one's place
    (tmp_path / NAME).unlink()
    assert read(tmp_path).epoch == 1


def test_a_training_begins_anew_where_both_are_damaged(tmp_path: Path) -> None:
    for epoch in (1, 2):
        write_checkpoint(tmp_path, "x", checkpoint(epoch))
    for name in (NAME, PREVIOUS):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-40])
    assert read_checkpoint(tmp_path, "x") is None


def test_another_trainings_checkpoint_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_checkpoint(tmp_path, "x", checkpoint(1))
    assert read_checkpoint(tmp_path, "y") is None
    assert "other hyperparameters, pictures or labels" in caplog.text


def test_other_settings_weights_pictures_labels_or_anchors_make_another_training() -> None:
    labels = np.array([[0, 0.1, 0.2, 0.3, 0.4]], np.float32)
    train, validation = [labels, labels + 0.5], [labels + 0.1]
    mine = identity(SETTINGS, "drawn", "pictures", train, validation, ANCHORS)
    assert mine == identity(SETTINGS, "drawn", "pictures", [rows.copy() for rows in train], validation, ANCHORS.copy())
    together = [np.concatenate(train), labels[:0]]
    others = [
        identity(replace(SETTINGS, seed=1), "drawn", "pictures", train, validation, ANCHORS),
        identity(SETTINGS, "given", "pictures", train, validation, ANCHORS),
        identity(SETTINGS, "drawn", "others", train, validation, ANCHORS),
        identity(SETTINGS, "drawn", "pictures", train[:1], validation, ANCHORS),
        identity(SETTINGS, "drawn", "pictures", train[::-1], validation, ANCHORS),
        identity(SETTINGS, "drawn", "pictures", [labels, labels + 0.25], validation, ANCHORS),
        identity(SETTINGS, "drawn", "pictures", together, validation, ANCHORS),
        identity(SETTINGS, "drawn", "pictures", train, [labels + 0.2], ANCHORS),
        identity(SETTINGS, "drawn", "pictures", train[:1], [train[1], *validation], ANCHORS),
        identity(SETTINGS, "drawn", "pictures", train, validation, ANCHORS[::-1]),
    ]
    assert len({mine, *others}) == 11


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no write make a file larger, as a full disk would not: the write ends with an OSError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_in_one_sentence_and_leaves_what_was_there(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, "x", checkpoint(1))
    with largest_file(4096), pytest.raises(TransientError) as caught:
        write_checkpoint(tmp_path, "x", checkpoint(2, values=5000))
    assert str(caught.value) == f"checkpoint {tmp_path / NAME} cannot be written: File too large"
    assert {path.name for path in tmp_path.iterdir()} == {NAME}
    assert read(tmp_path).epoch == 1


def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TransientError, match="cannot be written: Not a directory"):
        write_checkpoint(tmp_path / "file" / "below", "x", checkpoint(1))


def test_a_device_without_space_is_said_in_one_sentence(tmp_path: Path) -> None:
    """/dev/full answers every write as a full disk does."""
    (tmp_path / f".{NAME}.partial").symlink_to("/dev/full")
    with pytest.raises(TransientError, match="cannot be written: No space left on device"):
        write_checkpoint(tmp_path, "x", checkpoint(1))
    assert not (tmp_path / f".{NAME}.partial").is_symlink()
