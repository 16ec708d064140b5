"""One training step on a network.

Frozen trunk, forward, loss, backward, clipped update, running average of the weights.
"""

from dataclasses import dataclass
from typing import Any

import mxnet as mx
import numpy as np
import numpy.typing as npt

from detector.batches import Batch
from detector.freezing import frozen_parameters, split
from detector.initial_weights import InitialWeights, as_ndarrays
from detector.loss import detection_loss
from detector.networks import Network
from detector.settings import Settings

Array = npt.NDArray[np.float32]

BUILT_IN_NETWORKS = ("vgg-16", "resnet-50")

# Of the learning rate, for weights that come from ImageNet: fast enough to adapt, too slow for the first steps' random
# heads to undo what they know.
_PRETRAINED_RATE = 0.25


@dataclass(frozen=True, slots=True)
class StepLoss:
    """One step's losses, per matched anchor."""

    cross_entropy: float
    smooth_l1: float

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.cross_entropy) and np.isfinite(self.smooth_l1))


class TrainingGraph:
    """The mutable state of a training: weights, statistics, the optimiser's memory and the averaged weights."""

    def __init__(self, network: Network, settings: Settings, start: InitialWeights) -> None:
        self._settings = settings
        shape = (settings.mini_batch_size, 3, network.image_shape, network.image_shape)
        frozen = frozen_parameters(network.symbol, settings.freeze_layer_pattern)
        parts = split(network.symbol, frozen)
        weights = as_ndarrays(start.parameters | start.statistics)
        self._trunk = None
        inputs: dict[str, tuple[int, ...]] = {"data": shape}
        if parts.trunk is not None:
            # Its weights never change, so the fused graph that MXNet binds for inference is safe here (see
            # predictor.py).
            self._trunk = _bound(parts.trunk, {"data": shape}, weights, trained=())
            inputs = dict(zip(parts.cut, parts.trunk.infer_shape(data=shape)[1], strict=True))
        self._inputs = tuple(inputs)
        names = set(parts.rest.list_arguments()) - set(inputs)
        self.trained = tuple(sorted(names - frozen))
        self._rest = _bound(parts.rest, inputs, weights, self.trained)
        self._fixed = {
            name: value
            for name, value in weights.items()
            if name not in names | set(parts.rest.list_auxiliary_states())
        }
        self._fixed |= {name: self._rest.arg_dict[name] for name in names & frozen}
        self._optimizer = _optimizer(settings, self.trained, start.pretrained)
        self._memory = {
            name: self._optimizer.create_state(place, self._rest.arg_dict[name])
            for place, name in enumerate(self.trained)
        }
        self._average = {name: value.copy() for name, value in self._moving().items()}
        self.steps = 0
        self.updates = 0  # steps that changed the weights: all but those without a finite loss

    def _moving(self) -> dict[str, mx.nd.NDArray]:
        return {name: self._rest.arg_dict[name] for name in self.trained} | dict(self._rest.aux_dict)

    def step(self, batch: Batch, learning_rate: float) -> StepLoss:
        """Learn from one batch; weights stay as they are where the loss is not a finite number."""
        values = [mx.nd.array(batch.pictures)]
        if self._trunk is not None:
            values = self._trunk.forward(is_train=False, data=values[0])
        logits, offsets = self._rest.forward(is_train=True, **dict(zip(self._inputs, values, strict=True)))
        loss = detection_loss(logits.asnumpy(), offsets.asnumpy(), batch.classes, batch.offsets)
        result = StepLoss(loss.cross_entropy, loss.smooth_l1)
        if result.finite:
            self._rest.backward([mx.nd.array(loss.logits_gradient), mx.nd.array(loss.offsets_gradient)])
            self._update(learning_rate)
        self.steps += 1
        return result

    def _update(self, learning_rate: float) -> None:
        # MXNet 1.9.1 updates normalisation's running statistics in the backward pass without telling its scheduler: a
        # copy that is asked for now may be made of what they were before. So wait until all is done.
        mx.nd.waitall()
        gradients = [self._rest.grad_dict[name] for name in self.trained]
        if self._settings.clip_gradient:
            squares = mx.nd.multi_sum_sq(*gradients, num_arrays=len(gradients))
            norm = float(squares.asnumpy().astype(np.float64).sum()) ** 0.5
            self._optimizer.rescale_grad = min(1.0, self._settings.clip_gradient / (norm + 1e-12))
        self._optimizer.set_learning_rate(learning_rate)
        for place, (name, gradient) in enumerate(zip(self.trained, gradients, strict=True)):
            self._optimizer.update(place, self._rest.arg_dict[name], gradient, self._memory[name])
        self.updates += 1
        decay = min(self._settings.weight_averaging, (1 + self.steps) / (10 + self.steps))
        for name, value in self._moving().items():
            average = self._average[name]
            if decay == 0:
                average[:] = value
            else:  # average += (value - average) * (1 - decay), in place
                mx.nd.sgd_update(average, average - value, lr=1 - decay, wd=0, out=average)

    def weights(self) -> dict[str, mx.nd.NDArray]:
        """Return a copy of the weights and statistics to use.

        The averaged ones (equal to the last where averaging is off).
        """
        return {name: value.copy() for name, value in (self._fixed | self._average).items()}

    def state(self) -> dict[str, Array]:
        """Return everything that changes in training, for a checkpoint."""
        arrays = {f"weight/{name}": value.asnumpy() for name, value in self._moving().items()}
        arrays |= {f"average/{name}": value.asnumpy() for name, value in self._average.items()}
        for name, memory in self._memory.items():
            arrays |= {f"memory{place}/{name}": part.asnumpy() for place, part in enumerate(_parts(memory))}
        return arrays | {"steps": np.array(self.steps), "updates": np.array(self.updates)}

    def restore(self, arrays: dict[str, Array]) -> None:
        """Take up a state; raise KeyError where it is another network's."""
        for name, value in self._moving().items():
            value[:] = arrays[f"weight/{name}"]
            self._average[name][:] = arrays[f"average/{name}"]
        for name, memory in self._memory.items():
            for place, part in enumerate(_parts(memory)):
                part[:] = arrays[f"memory{place}/{name}"]
        self.steps, self.updates = int(arrays["steps"]), int(arrays["updates"])
        self._optimizer.begin_num_update = self.updates  # Adam's bias correction goes on counting


def _bound(
    symbol: mx.sym.Symbol,
    inputs: dict[str, tuple[int, ...]],
    weights: dict[str, mx.nd.NDArray],
    trained: tuple[str, ...],
) -> Any:
    arguments = {name: mx.nd.zeros(shape) for name, shape in inputs.items()}
    arguments |= {name: weights[name].copy() for name in symbol.list_arguments() if name not in inputs}
    return symbol.bind(
        mx.cpu(),
        args=arguments,
        args_grad={name: mx.nd.zeros(arguments[name].shape) for name in trained},
        grad_req={name: "write" if name in trained else "null" for name in arguments},
        aux_states={name: weights[name].copy() for name in symbol.list_auxiliary_states()},
    )


def _optimizer(settings: Settings, names: tuple[str, ...], pretrained: frozenset[str]) -> Any:
    """Return MXNet's optimiser of that name, its parameters used as the built-in algorithm documents them.

    `momentum` is sgd's alone. `weight_decay` is that of sgd and rmsprop; adam's too, but only on the networks that the
    built-in doesn't have, whose recipe was measured with it. MXNet's adadelta has no learning rate, so that nothing
    that changes it has an effect. As MXNet has it by default, weights and the scales of normalisation decay; biases,
    normalisation's offsets and its statistics don't.
    """
    options: dict[str, float] = {"learning_rate": settings.learning_rate}
    if settings.optimizer == "sgd":
        options["momentum"] = settings.momentum
    own_network = settings.base_network not in BUILT_IN_NETWORKS
    if settings.optimizer in ("sgd", "rmsprop") or (settings.optimizer == "adam" and own_network):
        options["wd"] = settings.weight_decay
    optimizer = mx.optimizer.create(settings.optimizer, param_idx2name=dict(enumerate(names)), **options)
    optimizer.set_lr_mult(dict.fromkeys(pretrained & set(names), _PRETRAINED_RATE))
    optimizer.set_wd_mult({})
    return optimizer


def _parts(memory: Any) -> tuple[mx.nd.NDArray, ...]:
    if memory is None:
        return ()
    return memory if isinstance(memory, tuple) else (memory,)
