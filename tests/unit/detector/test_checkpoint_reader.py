"""Reading PyTorch's state dictionaries without it: strides count, and nothing else than tensors is accepted."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
