"""Reading PyTorch's state dictionaries without it: strides count, and nothing else than tensors is accepted."""

import io
import os
import pickle
import struct
import tempfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.checkpoint_reader import CheckpointError, read_state_dict

NUMBERS = np.arange(24, dtype=np.float32)
CHANNELS_LAST = (2, 3, 2, 2), (12, 1, 6, 3)


def tensor_pickle(shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    """The pickle of {"layer.weight": a tensor}, as `torch.save` writes it, made without torch."""

    def names(module: str, name: str) -> bytes:
        return b"c" + module.encode() + b"\n" + name.encode() + b"\n"

    def tuple_of(*parts: bytes) -> bytes:
        return b"(" + b"".join(parts) + b"t"

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    storage = tuple_of(text("storage"), names("torch", "FloatStorage"), text("k"), text("cpu"), number(24)) + b"Q"
    empty = names("collections", "OrderedDict") + b")R"
    arguments = tuple_of(
        storage, number(offset), tuple_of(*map(number, shape)), tuple_of(*map(number, strides)), b"\x89", empty
    )
    tensor = names("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"
    return b"\x80\x02" + empty + text("layer.weight") + tensor + b"s."


def legacy(path: Path, state: bytes) -> Path:
    head = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    path.write_bytes(head + state + pickle.dumps(["k"], 2) + struct.pack("<q", 24) + NUMBERS.tobytes())
    return path


def archive(path: Path, state: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("model/data.pkl", state)
        target.writestr("model/data/k", NUMBERS.tobytes())
    return path


@pytest.mark.parametrize("write", [legacy, archive])
def test_strides_are_honoured_in_both_containers(tmp_path: Path, write: Any) -> None:
    shape, strides = CHANNELS_LAST
    state = read_state_dict(write(tmp_path / "model.pth", tensor_pickle(shape, strides)))
    expected = NUMBERS.reshape(2, 2, 2, 3).transpose(0, 3, 1, 2)  # stored picture by picture, channels last
    np.testing.assert_array_equal(state["layer.weight"], expected)


@pytest.mark.parametrize("write", [legacy, archive])
def test_an_offset_is_honoured(tmp_path: Path, write: Any) -> None:
    state = read_state_dict(write(tmp_path / "model.pth", tensor_pickle((2, 2), (2, 1), offset=20)))
    np.testing.assert_array_equal(state["layer.weight"], [[20, 21], [22, 23]])


def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="beyond"):
        read_state_dict(archive(tmp_path / "model.pth", tensor_pickle((5, 5), (5, 1))))


@pytest.mark.parametrize(
    ("shape", "strides", "offset"), [((2, 2), (-2, 1), 20), ((-2, 2), (2, 1), 0), ((2, 2), (2, 1), -4)]
)
def test_a_tensor_that_counts_backwards_is_refused(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    with pytest.raises(CheckpointError, match=r"layer\.weight has a negative offset, shape or stride"):
        read_state_dict(archive(tmp_path / "model.pth", tensor_pickle(shape, strides, offset)))


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch attacked",)


@pytest.mark.parametrize("write", [legacy, archive])
def test_a_pickle_that_asks_for_anything_else_is_refused_unexecuted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="system"):
        read_state_dict(write(tmp_path / "model.pth", pickle.dumps(OrderedDict(layer=Attack()), 2)))
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("data", [b"", b"text", pickle.dumps([1, 2]), io.BytesIO(b"PK\3\4").getvalue()])
def test_another_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(data)
    with pytest.raises(CheckpointError):
        read_state_dict(path)


@pytest.mark.parametrize("count", [1 << 62, 1 << 33, 25])
def test_a_storage_larger_than_its_file_is_refused(tmp_path: Path, count: int) -> None:
    path = legacy(tmp_path / "model.pth", tensor_pickle((2, 2), (2, 1)))
    whole, numbers = path.read_bytes(), NUMBERS.tobytes()
    path.write_bytes(whole.removesuffix(struct.pack("<q", 24) + numbers) + struct.pack("<q", count) + numbers)
    with pytest.raises(CheckpointError, match=rf"read model\.pth: storage k has {count:,} numbers, more than the file"):
        read_state_dict(path)


@pytest.mark.parametrize("write", [legacy, archive])
def test_a_place_of_the_memo_that_no_pickle_has_come_to_is_refused(tmp_path: Path, write: Any) -> None:
    """The unpickler would make room for all the places before it: 16 GiB here."""
    state = tensor_pickle((2, 2), (2, 1)).removesuffix(b".") + b"r" + struct.pack("<I", 1 << 30) + b"."
    with pytest.raises(CheckpointError, match=r"read model\.pth: the pickle is damaged: it has place 1,073,741,824"):
        read_state_dict(write(tmp_path / "model.pth", state))


@pytest.mark.parametrize("write", [legacy, archive])
def test_one_number_repeated_without_measure_is_refused(tmp_path: Path, write: Any) -> None:
    with pytest.raises(CheckpointError, match=r"layer\.weight has 1,099,511,627,776 numbers"):
        read_state_dict(write(tmp_path / "model.pth", tensor_pickle((1 << 20, 1 << 20), (0, 0))))


@pytest.mark.parametrize(
    "state",
    [
        b"\x80\x02\x8e" + struct.pack("<Q", 1 << 62) + b".",  # text of that length
        b"\x80\x02h\x05.",  # a place of the memo that is empty
        b"\x80\x02a.",  # nothing to append to
        b"\x80\x02]" + b"(" * 100 + b"e.",
    ],
)
@pytest.mark.parametrize("write", [legacy, archive])
def test_whatever_a_damaged_pickle_does_is_told_of_the_file(tmp_path: Path, write: Any, state: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"^read model\.pth: \S"):
        read_state_dict(write(tmp_path / "model.pth", state))


@pytest.mark.parametrize("write", [legacy, archive])
@settings(max_examples=200, deadline=None)
@given(place=st.integers(0), bit=st.integers(0, 7))
def test_a_flipped_bit_is_told_of_the_file_or_changes_a_number(write: Any, place: int, bit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "model.pth", tensor_pickle(*CHANNELS_LAST))
        content = bytearray(path.read_bytes())
        content[place % len(content)] ^= 1 << bit
        path.write_bytes(content)
        try:
            state = read_state_dict(path)
        except CheckpointError as error:
            sentence = str(error)
        else:
            assert len(state) == 1
            return
    assert sentence.startswith("read model.pth: ")
