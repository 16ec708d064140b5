"""The training loop: epochs, validation, the best weights, checkpoints, stopping early or when told to."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

import mxnet as mx
import numpy as np
import numpy.typing as npt

from detector import metric_lines
from detector.batches import Batches
from detector.channel import Sample
from detector.checkpoints import Checkpoint, Progress
from detector.evaluation import Outcomes, outcomes
from detector.hosts.peers import Alone, Peers
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
    """One training in progress. `stop` is asked before each step and each validation picture.

    `save` gets a checkpoint after each epoch, and where the training is told to stop. Of several hosts each validates
    its part of the pictures and learns the score of all of them, so that every host decides alike; the first one alone
    saves and prints metrics.
    """

    network: Network
    settings: Settings
    graph: TrainingGraph
    batches: Batches
    validation: Sequence[Sample]
    threads: int
    stop: Callable[[], bool]
    save: Callable[[Checkpoint], None]
    peers: Peers = field(default_factory=Alone)
    progress: Progress = field(default_factory=Progress)
    best: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are kept."""
        return self.progress.best_epoch

    @property
    def kept_map(self) -> float:
        """The validation mAP of the weights that are kept."""
        return self.progress.kept_map

    @property
    def kept(self) -> str:
        """Say which epoch's weights are kept and, where its validation mAP isn't the greatest, why."""
        progress = self.progress
        sentence = f"the model has the weights of epoch {progress.best_epoch}, validation mAP {progress.kept_map:.4f}"
        if progress.kept_map >= progress.best_map:
            return sentence
        greatest = next(one for one in progress.epochs if one["validation_map"] == progress.best_map)
        return (
            f"{sentence} (the greatest, {progress.best_map:.4f} of epoch {greatest['epoch']}, is within the"
            f" uncertainty of {progress.validation_boxes} boxes)"
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on where a checkpoint was written, to the result that the training would have had uninterrupted."""
        self.graph.restore(checkpoint.state)
        self.progress, self.best = replace(checkpoint.progress), checkpoint.best
        LOG.info(
            "resumed from the checkpoint in epoch %d, after %d of %d batches",
            self.progress.epoch,
            self.progress.batch,
            self.batches.per_epoch,
        )

    def begin_together(self) -> None:
        """Begin where the first host is: it alone looks for a checkpoint."""
        self.graph.take_first_hosts_state()
        self.progress = Progress(**self.peers.gather(asdict(self.progress))[0])

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
        while self.progress.epoch < settings.epochs and not self._patience_is_lost():
            if not (self._train_epoch(schedule) and self._validate()):
                self._checkpoint()
                break
            self._checkpoint()
            self._emit(metric_lines.progress(100 * self.progress.epoch / settings.epochs))
        if not self.best:  # told to stop before the first validation
            self._keep(self.progress.epoch, 0.0, self.graph.weights())

    def _checkpoint(self) -> None:
        if self.peers.place == 0:
            self.save(Checkpoint(replace(self.progress), self.graph.state(), self.best))

    def _emit(self, line: str) -> None:
        if self.peers.place == 0:
            metric_lines.emit(line)

    def _told_to_stop(self) -> bool:
        return any(self.peers.gather(self.stop()))

    def _patience_is_lost(self) -> bool:
        """Say whether early stopping ends the training, in the built-in algorithm's terms.

        Once `early_stopping_min_epochs` are done: when the last `early_stopping_patience` epochs have not raised the
        validation mAP, relative to the best before them, by more than `early_stopping_tolerance`.
        """
        settings, progress = self.settings, self.progress
        if (
            not settings.early_stopping
            or progress.epoch < settings.early_stopping_min_epochs
            or progress.epochs_without_gain < settings.early_stopping_patience
        ):
            return False
        LOG.info("stopped early: no better validation mAP in %d epochs", progress.epochs_without_gain)
        return True

    def _train_epoch(self, schedule: Schedule) -> bool:
        """Train what is left of the epoch and print its metrics; return False where told to stop within it."""
        progress, first = self.progress, self.progress.batch
        begun = time.monotonic()
        for batch in self.batches.of_epoch(progress.epoch, self.threads, first):
            if self._told_to_stop():
                LOG.info("told to stop in epoch %d, after %d batches", progress.epoch, progress.batch)
                return False
            loss = self.graph.step(batch, schedule.at(progress.epoch * self.batches.per_epoch + progress.batch))
            progress.batch += 1
            self._count(loss)
        if progress.batch > first:  # not where all that was left is the validation
            seconds = time.monotonic() - begun
            pictures = (progress.batch - first) * self.batches.size * self.peers.count
            self._emit(metric_lines.throughput(pictures / seconds))
        if progress.finite_steps:
            for name in ("cross_entropy", "smooth_l1"):
                mean = getattr(progress, name) / progress.finite_steps
                self._emit(metric_lines.train_loss(name, progress.epoch, self.batches.per_epoch, mean))
        return True

    def _count(self, loss: StepLoss) -> None:
        """Add a step's loss to the epoch's; raise InvalidInputError where too many in a row were not finite."""
        progress = self.progress
        if loss.finite:
            progress.bad_steps = 0
            progress.finite_steps += 1
            progress.cross_entropy += loss.cross_entropy
            progress.smooth_l1 += loss.smooth_l1
            return
        progress.bad_steps += 1
        if progress.bad_steps > _MAX_BAD_STEPS:
            raise InvalidInputError(
                f"the loss is not a finite number in epoch {progress.epoch}: hyperparameter learning_rate"
                f" ({self.settings.learning_rate:g}) is too large for this data"
            )

    def _validate(self) -> bool:
        """End the epoch with its score; return False where told to stop before it is known."""
        weights = self.graph.weights()
        predictor = Predictor(self.network, weights)  # bound anew each time: see predictor.py
        mine: Outcomes | None = Outcomes({}, {})
        answers = []
        for answer in predictor.detect(self.validation, self.settings.nms_threshold, self.settings.nms_topk):
            if self.stop():
                mine = None
                break
            answers.append(answer)
        if mine is not None:
            labels = [sample.labels for sample in self.validation]
            mine = outcomes(labels, answers, self.settings.overlap_threshold)
        every = [part and Outcomes.from_json(part) for part in self.peers.gather(mine and mine.json())]
        known = [part for part in every if part is not None]
        if len(known) < len(every):
            LOG.info("told to stop in the validation of epoch %d", self.progress.epoch)
            return False
        together = known[0].with_others(known[1:])
        score = together.score()
        self._emit(metric_lines.validation_map(self.progress.epoch, score.mean))
        by_class = ", ".join(f"{class_id}: {value:.3f}" for class_id, value in score.by_class.items())
        LOG.info(
            "epoch %d: validation AP by class {%s}, mAP %.4f all-point, %.4f VOC07",
            self.progress.epoch,
            by_class,
            score.mean,
            score.mean_11_points,
        )
        self._judge(score.mean, together.boxes, weights)
        return True

    def _judge(self, score: float, boxes: int, weights: dict[str, mx.nd.NDArray]) -> None:
        """Keep the epoch's weights if they are to be kept, count towards early stopping, and go on to the next."""
        progress, settings = self.progress, self.settings
        metrics: dict[str, float] = {"epoch": progress.epoch, "validation_map": score}
        if progress.finite_steps:
            metrics["cross_entropy"] = progress.cross_entropy / progress.finite_steps
            metrics["smooth_l1"] = progress.smooth_l1 / progress.finite_steps
        progress.epochs = [*progress.epochs, metrics]  # a checkpoint may hold the list before
        progress.validation_boxes = boxes
        progress.best_map = max(progress.best_map, score)
        if score >= progress.best_map - standard_error(progress.best_map, boxes):
            self._keep(progress.epoch, score, weights)
        if score > progress.patience_map * (1 + settings.early_stopping_tolerance):
            progress.patience_map, progress.epochs_without_gain = score, 0
        else:
            progress.epochs_without_gain += 1
        progress.epoch += 1
        progress.batch = progress.finite_steps = 0
        progress.cross_entropy = progress.smooth_l1 = 0.0

    def _keep(self, epoch: int, score: float, weights: dict[str, mx.nd.NDArray]) -> None:
        self.progress.best_epoch, self.progress.kept_map = epoch, score
        self.best = {name: value.asnumpy() for name, value in weights.items()}


def standard_error(score: float, boxes: int) -> float:
    """Return about how far a mAP measured on so few true boxes lies from the real one (binomial).

    Weights of a later epoch, which have seen more and been annealed further, are kept unless they are worse than the
    best by more than this: the greatest of many noisy numbers is mostly the luckiest. Nothing on a large validation
    channel, much on a dozen pictures.
    """
    return math.sqrt(max(score * (1 - score), 0.0) / max(boxes, 1))
