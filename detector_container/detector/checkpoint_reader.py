"""Read a PyTorch state dictionary without PyTorch and without running anything that the file asks for.

Two containers are in use: the zip archive of `torch.save` since 1.6 (`<name>/data.pkl`, `<name>/data/<key>`), and
before it a run of pickles (magic number, protocol, system, the object, the keys of its storages) followed by the
storages, each a little-endian 64-bit count and the raw numbers. In both the pickle may name only the few constructors
listed here; anything else is refused.

A tensor is a view: storage, offset, shape and strides. Strides count: many published checkpoints were saved
channels-last, and a reader that reshapes the storage instead gets scrambled weights that load without an error.
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

_PICKLES_BYTES = 1 << 22  # what the pickles of a file may take, which have some hundred bytes for each tensor
_TENSOR_NUMBERS = 1 << 28  # VGG-16's largest has 0.4 of it; with strides of 0 a small file may state any number
_MAGIC = 0x1950A86A20F9469CFC6C
_ITEM_TYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}


class CheckpointError(ValueError):
    """The file is not a checkpoint that this reader understands."""


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: tuple[str, str]  # key, item type
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _RestrictedUnpickler(pickle.Unpickler):
    """Unpickles a state dictionary; every global but the known constructors is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return _rebuild_tensor  # the first is of files from before PyTorch 0.4, torchvision's vgg16 among them
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _rebuild_parameter
        if module == "torch" and name in _ITEM_TYPES:
            return _ITEM_TYPES[name]
        raise CheckpointError(f"the checkpoint asks for {module}.{name}, which is not part of a state dictionary")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        kind, item_type, key, *_ = pid
        if kind != "storage":
            raise CheckpointError(f"the checkpoint refers to a {kind!r}")
        return str(key), str(item_type)


def _rebuild_tensor(
    storage: tuple[str, str], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor: _Tensor, *_: Any) -> _Tensor:
    return tensor


def read_state_dict(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of the state dictionary in `path` by name, contiguous.

    Raise CheckpointError for anything else.
    """
    try:
        if zipfile.is_zipfile(path):
            return _read_archive(path)
        with path.open("rb") as stream:
            return _read_legacy(stream, path.stat().st_size)
    except Exception as error:  # there is hardly one that a damaged pickle or archive doesn't make its reader raise
        raise CheckpointError(f"read {path.name}: {str(error) or type(error).__name__}") from error


def _read_archive(path: Path) -> dict[str, npt.NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        pickled = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        with archive.open(pickled) as stream:
            state = _unpickled(io.BytesIO(stream.read(_PICKLES_BYTES)))
        folder = pickled.removesuffix("data.pkl")
        return _tensors(state, lambda key, dtype: np.frombuffer(archive.read(f"{folder}data/{key}"), dtype))


def _read_legacy(stream: IO[bytes], size: int) -> dict[str, npt.NDArray[Any]]:
    pickles = io.BytesIO(stream.read(_PICKLES_BYTES))
    if _unpickled(pickles) != _MAGIC:
        raise CheckpointError("no checkpoint's magic number")
    _unpickled(pickles)  # protocol version
    _unpickled(pickles)  # the writing machine
    state = _unpickled(pickles)
    item_types = dict(value.storage for value in state.values())
    keys = _unpickled(pickles)
    stream.seek(pickles.tell())
    storages = {}
    for key in keys:
        count = int.from_bytes(stream.read(8), "little")
        dtype = np.dtype(item_types[key])
        if count * dtype.itemsize > size - stream.tell():
            raise CheckpointError(f"storage {key} has {count:,} numbers, more than the file holds")
        storages[key] = np.frombuffer(stream.read(count * dtype.itemsize), dtype)
    return _tensors(state, lambda key, _: storages[key])


def _unpickled(stream: io.BytesIO) -> Any:
    """Return what the next pickle holds.

    An unpickler makes room for the greatest place in its memo, whatever stands there: one that a pickle can't have come
    to, since each takes a byte at least, would take all memory.
    """
    begin = stream.tell()
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name.endswith("PUT") and int(argument or 0) > stream.tell():
            raise CheckpointError(f"the pickle is damaged: it has place {argument:,} of its memo")
    stream.seek(begin)
    return _RestrictedUnpickler(stream).load()


def _tensors(state: dict[str, _Tensor], storage: Callable[[str, str], npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    tensors = {}
    for name, tensor in state.items():
        if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0:
            raise CheckpointError(f"{name} has a negative offset, shape or stride")
        numbers = storage(*tensor.storage)
        last = tensor.offset + sum(
            (size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)
        )
        if last >= len(numbers):
            raise CheckpointError(f"{name} reaches beyond its storage")
        if math.prod(tensor.shape) > _TENSOR_NUMBERS:
            raise CheckpointError(f"{name} has {math.prod(tensor.shape):,} numbers")
        strides = tuple(stride * numbers.itemsize for stride in tensor.strides)
        view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
        tensors[name] = np.ascontiguousarray(view).reshape(tensor.shape)
    return tensors
