"""One training step on a network.

Frozen trunk, forward, loss, backward, clipped update, running average of the weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mxnet as mx
import numpy as np
import numpy.typing as npt

from detector.batches import Batch
from detector.freezing import frozen_parameters, split
from detector.hosts.exchange import Exchange
from detector.hosts.peers import Alone, Peers
from detector.initial_weights import InitialWeights, as_ndarrays
from detector.loss import Loss, detection_loss
from detector.networks import Network
from detector.replica import Replica
from detector.settings import Settings

Array = npt.NDArray[np.float32]


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
    """The mutable state of a training: weights, statistics, the optimiser's memory and the averaged weights.

    A batch is divided over the devices, whose gradients and statistics are added up, and over the hosts of `peers`
    likewise; the first device of each host then makes the same update, from which the others copy.
    """

    def __init__(
        self,
        network: Network,
        settings: Settings,
        start: InitialWeights,
        devices: Sequence[mx.Context] = (mx.cpu(),),
        peers: Peers | None = None,
    ) -> None:
        self._settings = settings
        self._peers = peers or Alone()
        frozen = frozen_parameters(network.symbol, settings.freeze_layer_pattern)
        parts = split(network.symbol, frozen)
        weights = as_ndarrays(start.parameters | start.statistics)
        names = set(parts.rest.list_arguments()) - {"data", *parts.cut}
        self.trained = tuple(sorted(names - frozen))
        devices = devices[: settings.mini_batch_size]
        sizes = [len(part) for part in np.array_split(np.arange(settings.mini_batch_size), len(devices))]
        self._cuts = np.cumsum(sizes)[:-1]  # where a batch is cut into the devices' parts
        side = network.image_shape
        self._replicas = [
            Replica(parts, (size, 3, side, side), weights, self.trained, device)
            for size, device in zip(sizes, devices, strict=True)
        ]
        self._leader = self._replicas[0]
        self._exchange = Exchange(self._peers.count, devices)
        self._fixed = {
            name: value
            for name, value in weights.items()
            if name not in names | set(parts.rest.list_auxiliary_states())
        }
        self._fixed |= {name: self._leader.argument(name) for name in names & frozen}
        self._optimizer = _optimizer(settings, self.trained, start.pretrained)
        self._memory = {
            name: self._optimizer.create_state(place, self._leader.weights[name])
            for place, name in enumerate(self.trained)
        }
        self._average = {name: value.copy() for name, value in self._leader.moving.items()}
        self.steps = 0
        self.updates = 0  # steps that changed the weights: all but those without a finite loss

    def step(self, batch: Batch, learning_rate: float) -> StepLoss:
        """Learn from one batch of each host; weights stay as they are where the loss is not a finite number."""
        parts = np.split(batch.pictures, self._cuts)
        answers = [replica.forward(part) for replica, part in zip(self._replicas, parts, strict=True)]
        logits, offsets = (_joined(parts) for parts in zip(*answers, strict=True))
        loss = detection_loss(logits, offsets, batch.classes, batch.offsets)
        result, share = self._of_all_hosts(loss)
        if result.finite:
            gradients = (np.split(value * share, self._cuts) for value in (loss.logits_gradient, loss.offsets_gradient))
            for replica, *values in zip(self._replicas, *gradients, strict=True):
                replica.backward(*values)
            self._update(learning_rate)
        self.steps += 1
        return result

    def _of_all_hosts(self, loss: Loss) -> tuple[StepLoss, np.float32]:
        """Return the loss per matched anchor of all hosts, and what of it one per matched anchor of this host is."""
        known = self._peers.gather([loss.matched, loss.cross_entropy, loss.smooth_l1])
        if len(known) == 1:
            return StepLoss(loss.cross_entropy, loss.smooth_l1), np.float32(1)
        # A host whose pictures match no anchor counts its loss as that of one.
        matched = max(sum(count for count, _, _ in known), 1)
        means = [sum(max(part[0], 1) * part[place] for part in known) / matched for place in (1, 2)]
        return StepLoss(*means), np.float32(max(loss.matched, 1) / matched)

    def _update(self, learning_rate: float) -> None:
        # MXNet 1.9.1 updates normalisation's running statistics in the backward pass without telling its scheduler: a
        # copy that is asked for now may be made of what they were before. So wait until all is done.
        mx.nd.waitall()
        self._add_up()
        gradients = [self._leader.gradients[name] for name in self.trained]
        if self._settings.clip_gradient:
            squares = mx.nd.multi_sum_sq(*gradients, num_arrays=len(gradients))
            norm = float(squares.asnumpy().astype(np.float64).sum()) ** 0.5
            self._optimizer.rescale_grad = min(1.0, self._settings.clip_gradient / (norm + 1e-12))
        self._optimizer.set_learning_rate(learning_rate)
        for place, (name, gradient) in enumerate(zip(self.trained, gradients, strict=True)):
            self._optimizer.update(place, self._leader.weights[name], gradient, self._memory[name])
        self.updates += 1
        self._copy_to_other_devices()
        decay = min(self._settings.weight_averaging, (1 + self.steps) / (10 + self.steps))
        for name, value in self._leader.moving.items():
            average = self._average[name]
            if decay == 0:
                average[:] = value
            else:  # average += (value - average) * (1 - decay), in place
                mx.nd.sgd_update(average, average - value, lr=1 - decay, wd=0, out=average)

    def _add_up(self) -> None:
        """Give the leader the sum of all gradients, and the mean of normalisation's statistics, each device's own."""
        if self._exchange.parts == 1:
            return
        statistics = self._leader.statistics
        self._exchange.add_up(
            {f"gradient/{name}": [replica.gradients[name] for replica in self._replicas] for name in self.trained}
            | {f"statistic/{name}": [replica.statistics[name] for replica in self._replicas] for name in statistics}
        )
        for value in statistics.values():
            value[:] = value / self._exchange.parts

    def _copy_to_other_devices(self) -> None:
        for replica in self._replicas[1:]:
            for name, value in self._leader.moving.items():
                value.copyto(replica.moving[name])

    def take_first_hosts_state(self) -> None:
        """Make every host's state the first's: it alone has read a checkpoint, and small differences would stay."""
        if self._peers.count == 1:
            return
        self.steps, self.updates = self._peers.gather([self.steps, self.updates])[0]
        self._optimizer.begin_num_update = self.updates
        arrays = self._arrays()
        if self._peers.place:
            for value in arrays.values():
                value[:] = 0
        self._exchange.add_up({f"state/{name}": [value] for name, value in arrays.items()})
        self._copy_to_other_devices()

    def close(self) -> None:
        """Part with the other hosts."""
        self._exchange.close()

    def weights(self) -> dict[str, mx.nd.NDArray]:
        """Return a copy of the weights and statistics to use.

        The averaged ones (equal to the last where averaging is off).
        """
        return {name: value.copy() for name, value in (self._fixed | self._average).items()}

    def state(self) -> dict[str, Array]:
        """Return everything that changes in training, for a checkpoint."""
        arrays = {name: value.asnumpy() for name, value in self._arrays().items()}
        return arrays | {"steps": np.array(self.steps), "updates": np.array(self.updates)}

    def restore(self, arrays: dict[str, Array]) -> None:
        """Take up a state; raise KeyError where it is another network's."""
        for name, value in self._arrays().items():
            value[:] = arrays[name]
        self.steps, self.updates = int(arrays["steps"]), int(arrays["updates"])
        self._optimizer.begin_num_update = self.updates  # Adam's bias correction goes on counting
        self._copy_to_other_devices()

    def _arrays(self) -> dict[str, mx.nd.NDArray]:
        arrays = {f"weight/{name}": value for name, value in self._leader.moving.items()}
        arrays |= {f"average/{name}": value for name, value in self._average.items()}
        for name, memory in self._memory.items():
            arrays |= {f"memory{place}/{name}": part for place, part in enumerate(_parts(memory))}
        return arrays


def _optimizer(settings: Settings, names: tuple[str, ...], pretrained: frozenset[str]) -> Any:
    """Return MXNet's optimiser of that name, its parameters used as the built-in algorithm documents them.

    `Settings.without_effect` says which go unused. As MXNet has it by default, weights and the scales of normalisation
    decay; biases, normalisation's offsets and its statistics don't.
    """
    options: dict[str, float] = {"learning_rate": settings.learning_rate}
    if settings.optimizer == "sgd":
        options["momentum"] = settings.momentum
    if settings.decays:
        options["wd"] = settings.weight_decay
    optimizer = mx.optimizer.create(settings.optimizer, param_idx2name=dict(enumerate(names)), **options)
    optimizer.set_lr_mult(dict.fromkeys(pretrained & set(names), _PRETRAINED_RATE))
    optimizer.set_wd_mult({})
    return optimizer


def _joined(parts: Sequence[mx.nd.NDArray]) -> Array:
    """Return the devices' answers as one array; this is where they are waited for."""
    arrays = [part.asnumpy() for part in parts]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _parts(memory: Any) -> tuple[mx.nd.NDArray, ...]:
    if memory is None:
        return ()
    return memory if isinstance(memory, tuple) else (memory,)
