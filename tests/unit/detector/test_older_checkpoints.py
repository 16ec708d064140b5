"""State dictionaries as PyTorch wrote them before: torchvision still publishes some of them so."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from detector.checkpoint_reader import CheckpointError, read_state_dict

NUMBERS = np.arange(6, dtype=np.float32)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def global_name(module: str, name: str) -> bytes:
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


STORAGE = b"(" + text("storage") + global_name("torch", "FloatStorage") + text("k") + text("cpu") + b"K\x06tQ"
SHAPE, STRIDES = b"(K\x02K\x03t", b"(K\x01K\x02t"
HOOKS = global_name("collections", "OrderedDict") + b")R"
# Before 0.4 a tensor was rebuilt without the two last arguments
OLD_TENSOR = global_name("torch._utils", "_rebuild_tensor") + b"(" + STORAGE + b"K\x00" + SHAPE + STRIDES + b"tR"
PARAMETER = global_name("torch._utils", "_rebuild_parameter") + b"(" + OLD_TENSOR + b"\x88" + HOOKS + b"tR"


def archive(path: Path, tensor: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("model/data.pkl", b"\x80\x02}" + text("weight") + tensor + b"s.")
        target.writestr("model/data/k", NUMBERS.tobytes())
    return path


@pytest.mark.parametrize("tensor", [OLD_TENSOR, PARAMETER])
def test_older_tensors_and_parameters_are_read(tmp_path: Path, tensor: bytes) -> None:
    state = read_state_dict(archive(tmp_path / "model.pth", tensor))
    np.testing.assert_array_equal(state["weight"], NUMBERS.reshape(3, 2).T)


def test_a_zip_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("readme.txt", "nothing")
    with pytest.raises(CheckpointError):
        read_state_dict(path)
