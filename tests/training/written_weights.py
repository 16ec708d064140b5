"""Write files of published weights in their own formats, without the libraries that write them."""

import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Strided:
    """A tensor as a view of a storage, as PyTorch keeps it: large tensors from few numbers."""

    storage: np.ndarray
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, values: np.ndarray) -> "Strided":
        values = np.ascontiguousarray(values)
        return cls(values.reshape(-1), values.shape, tuple(stride // values.itemsize for stride in values.strides))


def write_state_dict(path: Path, tensors: Mapping[str, np.ndarray | Strided]) -> Path:
    """Write the zip archive of `torch.save`: a pickle that names each tensor's storage and view, and the storages."""
    entries = []
    with zipfile.ZipFile(path, "w") as archive:
        for key, (name, value) in enumerate(tensors.items()):
            tensor = value if isinstance(value, Strided) else Strided.of(value)
            archive.writestr(f"weights/data/{key}", np.ascontiguousarray(tensor.storage).tobytes())
            entries.append(_text(name) + _tensor(str(key), tensor))
        state = _global("collections", "OrderedDict") + b")R(" + b"".join(entries) + b"u"
        archive.writestr("weights/data.pkl", b"\x80\x02" + state + b".")
    return path


def _tensor(key: str, tensor: Strided) -> bytes:
    kind = {"float32": "FloatStorage", "int64": "LongStorage", "float16": "HalfStorage"}[tensor.storage.dtype.name]
    storage = _tuple(_text("storage"), _global("torch", kind), _text(key), _text("cpu"), _number(tensor.storage.size))
    shape, strides = (_tuple(*map(_number, part)) for part in (tensor.shape, tensor.strides))
    hooks = _global("collections", "OrderedDict") + b")R"
    view = _tuple(storage + b"Q", _number(0), shape, strides, b"\x89", hooks)
    return _global("torch._utils", "_rebuild_tensor_v2") + view + b"R"


def _global(module: str, name: str) -> bytes:
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def _tuple(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def _number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()
