"""A network bound on one device for its part of every batch."""

from collections.abc import Sequence
from typing import Any

import mxnet as mx
import numpy as np
import numpy.typing as npt

from detector.freezing import Split

Array = npt.NDArray[np.float32]


def training_devices() -> list[mx.Context]:
    """Return the GPUs that this MXNet can use, or the one CPU."""
    return [mx.gpu(number) for number in range(mx.context.num_gpus())] or [mx.cpu()]


class Replica:
    """Frozen trunk and trained rest of a network (see freezing.py), with weights of their own on the device."""

    def __init__(
        self,
        parts: Split,
        shape: tuple[int, ...],
        weights: dict[str, mx.nd.NDArray],
        trained: Sequence[str],
        device: mx.Context,
    ) -> None:
        self._device = device
        self._trunk = None
        inputs: dict[str, tuple[int, ...]] = {"data": shape}
        if parts.trunk is not None:
            # Its weights never change, so the fused graph that MXNet binds for inference is safe here (see
            # predictor.py).
            self._trunk = _bound(parts.trunk, {"data": shape}, weights, (), device)
            inputs = dict(zip(parts.cut, parts.trunk.infer_shape(data=shape)[1], strict=True))
        self._inputs = tuple(inputs)
        self._rest = _bound(parts.rest, inputs, weights, trained, device)
        self.weights: dict[str, mx.nd.NDArray] = {name: self._rest.arg_dict[name] for name in trained}
        self.statistics: dict[str, mx.nd.NDArray] = dict(self._rest.aux_dict)
        self.gradients: dict[str, mx.nd.NDArray] = {name: self._rest.grad_dict[name] for name in trained}

    @property
    def moving(self) -> dict[str, mx.nd.NDArray]:
        """All that a step changes."""
        return self.weights | self.statistics

    def argument(self, name: str) -> mx.nd.NDArray:
        """Return a weight of the rest that isn't trained."""
        return self._rest.arg_dict[name]

    def forward(self, pictures: Array) -> tuple[mx.nd.NDArray, mx.nd.NDArray]:
        """Begin a forward pass: logits and offsets, which are waited for where they are read."""
        values = [mx.nd.array(pictures, ctx=self._device)]
        if self._trunk is not None:
            values = self._trunk.forward(is_train=False, data=values[0])
        logits, offsets = self._rest.forward(is_train=True, **dict(zip(self._inputs, values, strict=True)))
        return logits, offsets

    def backward(self, logits_gradient: Array, offsets_gradient: Array) -> None:
        """Begin the backward pass of the last forward pass."""
        self._rest.backward([mx.nd.array(value, ctx=self._device) for value in (logits_gradient, offsets_gradient)])


def _bound(
    symbol: mx.sym.Symbol,
    inputs: dict[str, tuple[int, ...]],
    weights: dict[str, mx.nd.NDArray],
    trained: Sequence[str],
    device: mx.Context,
) -> Any:
    arguments = {name: mx.nd.zeros(shape, ctx=device) for name, shape in inputs.items()}
    arguments |= {name: weights[name].copyto(device) for name in symbol.list_arguments() if name not in inputs}
    return symbol.bind(
        device,
        args=arguments,
        args_grad={name: mx.nd.zeros(arguments[name].shape, ctx=device) for name in trained},
        grad_req={name: "write" if name in trained else "null" for name in arguments},
        aux_states={name: weights[name].copyto(device) for name in symbol.list_auxiliary_states()},
    )
