"""The training loop: epochs, validation, the best weights, checkpoints, stopping early or when told to."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import mxnet as mx
import numpy as np
import numpy.typing as npt

from detector import metric_lines
from detector.batches import Batches
from detector.channel import Sample
from detector.checkpoints import Checkpoint
from detector.evaluation import mean_average_precision
from detector.networks import Network
from detector.predictor import Predictor
from detector.schedule import Schedule
from detector.settings import Settings
from detector.training_graph import StepLoss, TrainingGraph
from dropspot.errors import InvalidInputError

LOG = logging.getLogger(__name__)

_MAX_BAD_STEPS = 5  # in a row without a finite loss


@dataclass
class Training:
    """One training in progress. `stop` is asked before each step; `save` gets a checkpoint after each epoch."""

    network: Network
    settings: Settings
    graph: TrainingGraph
    batches: Batches
    validation: Sequence[Sample]
    threads: int
    stop: Callable[[], bool]
    save: Callable[[Checkpoint], None]
    epoch: int = 0
    best_map: float = -1.0  # the greatest validation mAP so far
    best_epoch: int = -1  # the epoch whose weights are kept
    kept_map: float = 0.0  # and their validation mAP
    best: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on after a checkpoint's epoch."""
        self.graph.restore(checkpoint.state)
        self.epoch, self.best_map = checkpoint.epoch, checkpoint.best_map
        self.best_epoch, self.kept_map, self.best = checkpoint.best_epoch, checkpoint.kept_map, checkpoint.best

    def run(self) -> None:
        """Train to the end, to an early stop, or until told to stop; `best` then holds the weights to use."""
        settings = self.settings
        schedule = Schedule(
            settings.schedule,
            settings.learning_rate,
            settings.warmup_steps,
            settings.step_epochs(),
            settings.lr_scheduler_factor,
            self.batches.per_epoch,
            self.batches.per_epoch * settings.epochs,
        )
        best_for_patience, since = self.best_map, 0
        while self.epoch < settings.epochs:
            if not self._train_epoch(schedule):
                break
            score = self._validate()
            self.epoch += 1
            self.save(
                Checkpoint(self.epoch, self.graph.state(), self.best_map, self.best_epoch, self.kept_map, self.best)
            )
            metric_lines.emit(metric_lines.progress(100 * self.epoch / settings.epochs))
            if score > best_for_patience * (1 + settings.early_stopping_tolerance):
                best_for_patience, since = score, 0
            else:
                since += 1
            if (
                settings.early_stopping
                and self.epoch >= settings.early_stopping_min_epochs
                and since >= settings.early_stopping_patience
            ):
                LOG.info("stopped early: no better validation mAP in %d epochs", since)
                break
        if not self.best:  # told to stop before the first epoch ended
            self._keep(self.epoch, 0.0, self.graph.weights())

    def _train_epoch(self, schedule: Schedule) -> bool:
        """Train one epoch and print its metrics; return False where told to stop within it."""
        begun = time.monotonic()
        losses: list[StepLoss] = []
        bad = 0
        for index, batch in enumerate(self.batches.of_epoch(self.epoch, self.threads)):
            if self.stop():
                LOG.info("told to stop in epoch %d, batch %d", self.epoch, index)
                return False
            loss = self.graph.step(batch, schedule.at(self.epoch * self.batches.per_epoch + index))
            bad = 0 if loss.finite else bad + 1
            if bad > _MAX_BAD_STEPS:
                raise InvalidInputError(
                    f"the loss is not a finite number in epoch {self.epoch}: hyperparameter learning_rate"
                    f" ({self.settings.learning_rate:g}) is too large for this data"
                )
            if loss.finite:
                losses.append(loss)
        seconds = time.monotonic() - begun
        last = self.batches.per_epoch
        if losses:
            for name in ("cross_entropy", "smooth_l1"):
                mean = float(np.mean([getattr(loss, name) for loss in losses]))
                metric_lines.emit(metric_lines.train_loss(name, self.epoch, last, mean))
        metric_lines.emit(metric_lines.throughput(last * self.batches.size / seconds))
        return True

    def _validate(self) -> float:
        weights = self.graph.weights()
        predictor = Predictor(self.network, weights)
        answers = list(predictor.detect(self.validation, self.settings.nms_threshold, self.settings.nms_topk))
        score = mean_average_precision(
            [sample.labels for sample in self.validation], answers, self.settings.overlap_threshold
        )
        metric_lines.emit(metric_lines.validation_map(self.epoch, score.mean))
        by_class = ", ".join(f"{class_id}: {value:.3f}" for class_id, value in score.by_class.items())
        LOG.info(
            "epoch %d: validation AP by class {%s}, mAP %.4f all-point, %.4f VOC07",
            self.epoch,
            by_class,
            score.mean,
            score.mean_11_points,
        )
        self.best_map = max(self.best_map, score.mean)
        if score.mean >= self.best_map - standard_error(
            self.best_map, sum(len(sample.labels) for sample in self.validation)
        ):
            self._keep(self.epoch, score.mean, weights)
        return score.mean

    def _keep(self, epoch: int, score: float, weights: dict[str, mx.nd.NDArray]) -> None:
        self.best_epoch, self.kept_map = epoch, score
        self.best = {name: value.asnumpy() for name, value in weights.items()}


def standard_error(score: float, boxes: int) -> float:
    """Return about how far a mAP measured on so few true boxes lies from the real one (binomial).

    Weights of a later epoch, which have seen more and been annealed further, are kept unless they are worse than the
    best by more than this: the greatest of many noisy numbers is mostly the luckiest. Nothing on a large validation
    channel, much on a dozen pictures.
    """
    return math.sqrt(max(score * (1 - score), 0.0) / max(boxes, 1))
