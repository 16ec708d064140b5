"""Real, short trainings: they learn, say so in the built-in's words, stop, resume and refuse."""

import json
import math
import re
import shutil
import signal
import time

import pytest
from short_trainings import Trained, TrainingRoot

from detector.networks import build_network
from detector.settings import Settings
from detector.training import Training, standard_error
from detector.training_graph import StepLoss
from dropspot.errors import InvalidInputError

MAP = re.compile(r"#quality_metric: host=\S+, epoch=(\S+), validation mAP <score>=\((\S+)\)")
CROSS_ENTROPY = re.compile(r"#quality_metric: host=\S+, epoch=\S+, batch=\S+ train cross_entropy <loss>=(\S+)")
SMOOTH_L1 = re.compile(r"#quality_metric: host=\S+, epoch=\S+, batch=\S+ train smooth_l1 <loss>=(\S+)")
THROUGHPUT = re.compile(r"#throughput_metric: host=\S+, train throughput=(\S+) records/second")
PROGRESS = re.compile(r"#progress_metric: host=\S+, completed (\S+) %")


def test_a_short_training_learns(trained: Trained) -> None:
    scores = [float(score) for _, score in MAP.findall(trained.log)]
    losses = [float(loss) for loss in CROSS_ENTROPY.findall(trained.log)]
    assert len(scores) == len(losses) == 12
    assert losses[-1] < 0.7 * losses[0]
    assert max(scores) > 0.5
    assert max(scores) > scores[0]


def test_the_log_has_every_metric_of_every_epoch(trained: Trained) -> None:
    assert [epoch for epoch, _ in MAP.findall(trained.log)] == [str(epoch) for epoch in range(12)]
    assert len(SMOOTH_L1.findall(trained.log)) == 12
    assert all(float(speed) > 0 for speed in THROUGHPUT.findall(trained.log))
    progress = [float(percent) for percent in PROGRESS.findall(trained.log)]
    assert progress == sorted(progress)
    assert progress[-1] == 100


BUILT_IN_REGULAR_EXPRESSIONS = {
    "train:progress": r"#progress_metric: host=\S+, completed (\S+) %",
    "train:smooth_l1": r"#quality_metric: host=\S+, epoch=\S+, batch=\S+ train smooth_l1 <loss>=(\S+)",
    "train:cross_entropy": r"#quality_metric: host=\S+, epoch=\S+, batch=\S+ train cross_entropy <loss>=(\S+)",
    "train:throughput": r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
    "validation:mAP": r"#quality_metric: host=\S+, epoch=\S+, validation mAP <score>=\((\S+)\)",
}


@pytest.mark.parametrize("expression", BUILT_IN_REGULAR_EXPRESSIONS.values(), ids=BUILT_IN_REGULAR_EXPRESSIONS)
def test_the_built_in_algorithms_regular_expressions_extract_a_number_for_each_epoch(
    trained: Trained, expression: str
) -> None:
    """As DescribeTrainingJob gives them for the built-in image; CloudWatch drops what is not a number."""
    values = [float(text) for text in re.findall(expression, trained.log)]
    assert len(values) == 12
    assert all(math.isfinite(value) for value in values)


def test_the_artifacts_have_the_built_in_algorithms_names(trained: Trained) -> None:
    assert {path.name for path in trained.model.iterdir()} == {
        "model_algo_1-symbol.json",
        "model_algo_1-0000.params",
        "model_card.json",
        "hyperparams.json",
        "detector.onnx",
        "detector.json",
        "anchors.npy",
    }
    hyperparameters = json.loads((trained.model / "hyperparams.json").read_text())
    assert hyperparameters["epochs"] == "12"
    assert all(isinstance(value, str) for value in hyperparameters.values())
    assert "the model has the weights of epoch" in trained.log


def test_the_model_card_has_every_epochs_metrics(trained: Trained) -> None:
    epochs = json.loads((trained.model / "model_card.json").read_text())["evaluation"]["epochs"]
    assert [one["epoch"] for one in epochs] == list(range(12))
    told = [float(score) for _, score in MAP.findall(trained.log)]
    assert [one["validation_map"] for one in epochs] == pytest.approx(told, abs=1e-5)
    assert all(one["cross_entropy"] > 0 and one["smooth_l1"] > 0 for one in epochs)


def test_sigterm_leaves_a_model_soon_and_the_job_can_go_on(training_root: TrainingRoot) -> None:
    training_root.write({"epochs": "500"})
    with training_root.start() as process:
        assert process.stdout is not None
        for line in process.stdout:
            if (found := MAP.search(line)) and found[1] == "2":
                break
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
        assert time.monotonic() - asked < 30
    assert (training_root.folder / "model" / "detector.onnx").is_file()
    with training_root.start() as process:  # the same settings go on where the checkpoint is
        assert process.stdout is not None
        resumed = next(line for line in process.stdout if "resumed from" in line or MAP.search(line))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert "resumed from the checkpoint" in resumed


class DivergedGraph:
    """Stands for a training whose weights have grown beyond all numbers."""

    def step(self, batch: object, learning_rate: float) -> StepLoss:
        return StepLoss(math.nan, math.inf)


class SomeBatches:
    """As many empty batches as an epoch needs."""

    per_epoch, size = 20, 4

    def of_epoch(self, epoch: int, threads: int, first: int = 0) -> list[None]:
        return [None] * (self.per_epoch - first)


def test_a_training_that_diverges_names_the_learning_rate() -> None:
    settings = Settings.from_strings({"num_classes": "2", "num_training_samples": "80", "learning_rate": "0.9"})
    network = build_network("tiny", 128, 2)
    training = Training(network, settings, DivergedGraph(), SomeBatches(), [], 1, lambda: False, lambda _: None)
    with pytest.raises(InvalidInputError, match=r"learning_rate \(0\.9\) is too large"):
        training.run()


def test_a_network_without_weights_here_is_refused_in_one_sentence(training_root: TrainingRoot) -> None:
    training_root.write({"base_network": "resnet-50", "image_shape": "300"})
    code, _ = training_root.train()
    assert code == 1
    assert "base_network" in training_root.failure
    assert "\n" not in training_root.failure


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("freeze_layer_pattern", ".*", "is '.*': it freezes every layer, nothing is left to train"),
    ],
)
def test_a_hyperparameter_that_leaves_no_training_is_refused_before_the_data_are_looked_at(
    training_root: TrainingRoot, name: str, value: str, complaint: str
) -> None:
    training_root.write({name: value}, pictures=16)
    shutil.rmtree(training_root.folder / "input" / "data")
    assert training_root.train()[0] == 1
    assert training_root.failure == f"hyperparameter {name} {complaint}"


def test_a_batch_larger_than_the_channel_is_refused_by_name(training_root: TrainingRoot) -> None:
    training_root.write({"mini_batch_size": "17", "num_training_samples": "20"}, pictures=16)
    assert training_root.train()[0] == 1
    assert training_root.failure == "hyperparameter mini_batch_size is 17: the channel holds only 16 pictures"


def test_an_empty_channel_is_refused_in_one_sentence(training_root: TrainingRoot) -> None:
    training_root.write({})
    (training_root.folder / "input" / "data" / "train" / "train.rec").write_bytes(b"")
    code, _ = training_root.train()
    assert code == 1
    assert training_root.failure == "channel train is empty: no record in train.rec"


def test_few_validation_boxes_make_a_score_uncertain() -> None:
    assert standard_error(0.9, 10_000) < 0.01 < 0.05 < standard_error(0.9, 14)
    assert standard_error(-1.0, 0) == 0
