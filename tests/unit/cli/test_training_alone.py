"""`dropspot train`: what it gives the training, what it makes of its end, and when it touches the output folder."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alone_doubles import MODEL, TRAINED, prepared_data, stand_in, write
from rich.console import Console

from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.plan import DETECTOR, Instance, PlanDefaults, TrainingPlan
from dropspot.prepared import Prepared
from dropspot.runs import Run
from dropspot_cli.project import Project
from dropspot_cli.training_alone import train
from training import training_job_request

KEEP_INPUT = 'cp -r "$DROPSPOT_ML_ROOT/input" "$(dirname "$0")/seen"\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return prepared_data(tmp_path / "data")


@pytest.fixture
def trainer(tmp_path: Path) -> Project:
    """A training that ends well after two epochs."""
    return stand_in(tmp_path / "checkout", "detector-train", KEEP_INPUT + TRAINED + MODEL)


def told(screen: Console) -> str:
    return screen.file.getvalue()  # type: ignore[attr-defined]


def seen(project: Project, name: str) -> Any:
    config = project.root / ".envs" / "detector-train" / "bin" / "seen" / "config"
    return json.loads((config / f"{name}.json").read_text())


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class SettingsOfTheStack:
    bucket_name, training_image, algorithm, sagemaker_role_arn, cost_centre = "bucket", "image", DETECTOR, "role", ""


def test_it_leaves_the_model_its_curve_its_figures_and_its_log(
    trainer: Project, data: Path, tmp_path: Path, screen: Console
) -> None:
    out = tmp_path / "new" / "out"
    assert train(trainer, data, out, screen, screen) == 0
    assert set(content(out)) == {"model/detector.json", "training.svg", "training.json", "training.log"}
    document = json.loads((out / "training.json").read_text())
    assert document["epochs"] == [
        {"epoch": 0, "loss": 2.0, "validation_map": 0.5},
        {"epoch": 1, "loss": 1.5, "validation_map": 0.75},
    ]
    assert (document["classes"], document["best_epoch"], document["stopped"]) == (["ball", "cube"], 1, False)
    assert "epoch=1, validation mAP" in (out / "training.log").read_text()
    last = f"weights of epoch 2, validation mAP 0.750; the model is in {out}/model, its curve in {out}/training.svg"
    assert told(screen).splitlines() == [
        "epoch  1/19   loss 2.000   validation mAP 0.500",  # the recipe's epochs for 40 pictures
        "epoch  2/19   loss 1.500   validation mAP 0.750",
        f"trained after 2 epochs: {last}",
    ]


@pytest.mark.parametrize("plan", [{}, {"hyperparameters": {"base_network": "tiny", "epochs": 3}, "spot": True}])
def test_the_hyperparameters_are_those_that_start_training_sends(
    plan: dict[str, Any], trainer: Project, data: Path, tmp_path: Path, screen: Console
) -> None:
    write(tmp_path / "plan.json", plan)
    assert train(trainer, data, tmp_path / "out", screen, screen, plan=tmp_path / "plan.json") == 0
    merged = TrainingPlan.parse(json.dumps(plan).encode(), PlanDefaults(Instance("ml.c5.xlarge", 1)), DETECTOR)
    facts = Prepared(classes=2, samples=40, label_width=42)
    request = training_job_request(Run("dropspot", "a-0"), "a", merged, facts, SettingsOfTheStack())
    assert seen(trainer, "hyperparameters") == request["HyperParameters"]


def test_what_is_set_takes_precedence_over_the_plan_and_the_recipe(
    trainer: Project, data: Path, tmp_path: Path, screen: Console
) -> None:
    write(tmp_path / "plan.json", {"hyperparameters": {"base_network": "tiny", "epochs": 3, "seed": 5}})
    changes = ["epochs=7", "lr_scheduler_step=2,4"]
    assert train(trainer, data, tmp_path / "out", screen, screen, plan=tmp_path / "plan.json", changes=changes) == 0
    sent = seen(trainer, "hyperparameters")
    assert (sent["epochs"], sent["lr_scheduler_step"], sent["seed"], sent["image_shape"]) == ("7", "2,4", "5", "128")


@pytest.mark.parametrize(
    ("output", "channels", "content_type"),
    [
        ("recordio", {"train", "validation"}, "application/x-recordio"),
        ("image", {"train", "validation", "train_annotation", "validation_annotation"}, "image/jpeg"),
    ],
)
def test_the_channels_are_described_as_sagemaker_does(
    output: str, channels: set[str], content_type: str, trainer: Project, tmp_path: Path, screen: Console
) -> None:
    data = prepared_data(tmp_path / "data", output)
    assert train(trainer, data / "prepared", tmp_path / "out", screen, screen) == 0
    described = seen(trainer, "inputdataconfig")
    assert set(described) == channels
    assert {channel["ContentType"] for channel in described.values()} == {content_type}
    links = trainer.root / ".envs" / "detector-train" / "bin" / "seen" / "data"
    assert {link.name: link.resolve() for link in links.iterdir()} == {
        name: (data / "prepared" / name).resolve() for name in channels
    }


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["epochs"], "'epochs' is no hyperparameter: write it as name=value"),
        (["=3"], "'=3' is no hyperparameter: write it as name=value"),
        (["num_classes=2"], "hyperparameter num_classes is computed from the data set and can't be set"),
        (["epoch=2"], "hyperparameter epoch is unknown to the algorithm"),
        (["epochs=many"], "hyperparameter epochs is 'many': must be a whole number from 1 to 100000"),
    ],
)
def test_a_hyperparameter_that_cannot_be_is_named(
    changes: list[str], sentence: str, trainer: Project, data: Path, tmp_path: Path, screen: Console
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        train(trainer, data, tmp_path / "out", screen, screen, changes=changes)
    assert str(caught.value) == sentence
    assert not (tmp_path / "out").exists()


def missing_validation(data: Path) -> None:
    (data / "prepared" / "validation").rmdir()


def other_report(data: Path) -> None:
    write(data / "report" / "report.json", {"schema": "something/1"})


def no_report(data: Path) -> None:
    (data / "report" / "report.json").unlink()


def half_a_report(data: Path) -> None:
    write(data / "report" / "report.json", {"schema": "dropspot/report/1", "classes": []})


def piped(data: Path) -> None:
    report = json.loads((data / "report" / "report.json").read_text())
    write(data / "report" / "report.json", report | {"output": "augmented-manifest"})


def no_classes(data: Path) -> None:
    (data / "prepared" / "classes.json").unlink()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (missing_validation, r"prepared/validation is missing: prepare the data again"),
        (other_report, r"report\.json is no dropspot/report/1"),
        (no_report, r"report\.json is missing"),
        (half_a_report, r"report\.json is incomplete: prepare the data again"),
        (piped, r"written as augmented-manifest, which only a SageMaker pipe can stream"),
        (no_classes, r"holds no prepared data: give the folder that `dropspot prepare` wrote"),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused_in_one_sentence(
    damage: Callable[[Path], None], sentence: str, trainer: Project, data: Path, tmp_path: Path, screen: Console
) -> None:
    damage(data)
    with pytest.raises(InvalidInputError, match=sentence) as caught:
        train(trainer, data, tmp_path / "out", screen, screen)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_earlier_training_is_replaced_and_the_evaluation_of_its_model_goes(
    trainer: Project, data: Path, tmp_path: Path, screen: Console
) -> None:
    out = tmp_path / "out"
    out.mkdir()  # an empty folder will do as well as none
    assert train(trainer, data, out, screen, screen) == 0
    (out / "model" / "of the earlier one").touch()
    (out / "evaluation.json").touch()
    assert train(trainer, data, out, screen, screen) == 0
    assert set(content(out)) == {"model/detector.json", "training.svg", "training.json", "training.log"}


@pytest.mark.parametrize("names", [("thesis.txt",), ("model/detector.json",), ("model/x", "training.json")])
def test_an_output_folder_with_anything_else_is_refused_and_left_alone(
    names: tuple[str, ...], trainer: Project, data: Path, tmp_path: Path, screen: Console
) -> None:
    out = tmp_path / "out"
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("{}")
    before = content(out)
    with pytest.raises(
        InvalidInputError, match=r"something else than an earlier training: .*; nothing in it was touched"
    ):
        train(trainer, data, out, screen, screen)
    assert content(out) == before


def test_a_file_more_makes_a_result_somebody_elses(
    trainer: Project, data: Path, tmp_path: Path, screen: Console
) -> None:
    out = tmp_path / "out"
    assert train(trainer, data, out, screen, screen) == 0
    (out / "notes.txt").touch()
    with pytest.raises(InvalidInputError, match="something else"):
        train(trainer, data, out, screen, screen)


def test_two_trainings_do_not_share_an_output_folder(
    trainer: Project, data: Path, tmp_path: Path, screen: Console
) -> None:
    (tmp_path / "out" / ".training").mkdir(parents=True)
    with pytest.raises(InvalidInputError, match="another training is at work, or one was killed"):
        train(trainer, data, tmp_path / "out", screen, screen)


@pytest.mark.parametrize("where", ["data", "data/prepared", "data/prepared/train/out", "."])
def test_the_output_and_the_data_lie_apart(
    where: str, trainer: Project, data: Path, tmp_path: Path, screen: Console
) -> None:
    before = content(tmp_path)
    with pytest.raises(InvalidInputError, match="must lie apart"):
        train(trainer, data, tmp_path / where, screen, screen)
    assert content(tmp_path) == before


def test_a_training_that_fails_tells_its_own_sentence_and_leaves_nothing(
    data: Path, tmp_path: Path, screen: Console
) -> None:
    script = (
        'mkdir "$DROPSPOT_ML_ROOT/output"; printf "the loss [x] is not\nfinite" > "$DROPSPOT_ML_ROOT/output/failure"'
    )
    project = stand_in(tmp_path / "checkout", "detector-train", f"{script}; exit 1")
    assert train(project, data, tmp_path / "deep" / "out", screen, screen) == 1
    assert told(screen) == "dropspot: the loss [x] is not finite\n"
    assert not (tmp_path / "deep").exists()


def test_a_death_without_a_word_shows_the_end_of_the_log(data: Path, tmp_path: Path, screen: Console) -> None:
    project = stand_in(
        tmp_path / "checkout", "detector-train", "for i in 1 2 3 4 5 6 7; do echo line $i; done; kill -9 $$"
    )
    assert train(project, data, tmp_path / "out", screen, screen) == 1
    assert told(screen).splitlines() == [
        *(f"line {i}" for i in range(3, 8)),
        "dropspot: the training ended without a word (exit code -9); its last lines are above",
    ]


def test_without_the_environment_it_says_what_to_do(data: Path, tmp_path: Path, screen: Console) -> None:
    with pytest.raises(NotFoundError, match=r"\.envs/detector-train/bin/python is missing: run `make setup` first"):
        train(Project(tmp_path), data, tmp_path / "out", screen, screen)


@pytest.fixture
def signalled(tmp_path: Path) -> Callable[..., threading.Thread]:
    """Sends this process signals, each when the training has made a file of its name."""

    def send(*signums: signal.Signals) -> threading.Thread:
        def when_ready() -> None:
            for number, signum in enumerate(signums):
                deadline = time.monotonic() + 30
                while not (tmp_path / f"ready{number}").exists() and time.monotonic() < deadline:
                    time.sleep(0.01)
                os.kill(os.getpid(), signum)

        thread = threading.Thread(target=when_ready, daemon=True)
        thread.start()
        return thread

    return send


def stoppable(tmp_path: Path, before: str, at_the_end: str, checkout: str = "checkout") -> Project:
    """A training that goes on until SIGTERM comes."""
    trap = f"trap 'touch {tmp_path}/ready1; {at_the_end}exit 0' TERM\n"
    wait = f"touch {tmp_path}/ready0; while true; do sleep 0.05; done"
    (tmp_path / "write_model.sh").write_text(MODEL)
    return stand_in(tmp_path / checkout, "detector-train", before + trap + wait)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_training_keeps_its_model(
    signum: signal.Signals, signalled: Callable[..., threading.Thread], data: Path, tmp_path: Path, screen: Console
) -> None:
    project = stoppable(tmp_path, TRAINED, f". {tmp_path}/write_model.sh; echo over; ")
    before = signal.getsignal(signum)
    sender = signalled(signum)
    out = tmp_path / "out"
    assert train(project, data, out, screen, screen) == 0
    sender.join()
    assert signal.getsignal(signum) is before
    assert json.loads((out / "training.json").read_text())["stopped"] is True
    assert "stopping: the best weights so far become the model" in told(screen)
    assert told(screen).splitlines()[-1].startswith("stopped after 2 epochs: weights of epoch 2")


def test_a_training_stopped_before_there_was_a_model_leaves_nothing(
    signalled: Callable[..., threading.Thread], data: Path, tmp_path: Path, screen: Console
) -> None:
    project = stoppable(tmp_path, "", "")
    signalled(signal.SIGINT)
    assert train(project, data, tmp_path / "out", screen, screen) == 130
    assert "dropspot: training was stopped before its first epoch was over: there is no model" in told(screen)
    assert not (tmp_path / "out").exists()


def test_a_training_stopped_within_its_first_epoch_does_not_replace_an_earlier_one(
    trainer: Project,
    signalled: Callable[..., threading.Thread],
    data: Path,
    tmp_path: Path,
    screen: Console,
) -> None:
    out = tmp_path / "out"
    assert train(trainer, data, out, screen, screen) == 0
    before = content(out)
    project = stoppable(tmp_path, "", f". {tmp_path}/write_model.sh; ", "another_checkout")
    signalled(signal.SIGTERM)
    assert train(project, data, out, screen, screen) == 143
    assert "the earlier training's result stays" in told(screen)
    assert content(out) == before


def test_a_second_signal_gives_the_model_up(
    signalled: Callable[..., threading.Thread], data: Path, tmp_path: Path, screen: Console
) -> None:
    project = stoppable(tmp_path, TRAINED, "while true; do sleep 0.05; done; ")
    signalled(signal.SIGINT, signal.SIGINT)
    assert train(project, data, tmp_path / "out", screen, screen) == 130
    assert told(screen).splitlines()[-1] == "dropspot: training was stopped before there was a model"
    assert not (tmp_path / "out").exists()
