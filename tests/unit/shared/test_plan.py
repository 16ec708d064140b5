import json
import re
from typing import Any

import pytest

from dropspot.errors import InvalidInputError
from dropspot.plan import BUILT_IN, DETECTOR, INPUT_MODES, Gate, Instance, PlanDefaults, TrainingPlan
from dropspot.preparation_plan import OUTPUTS

DEFAULTS = PlanDefaults(Instance("ml.g4dn.xlarge", 1))


def parse(document: Any, algorithm: str = DETECTOR, defaults: PlanDefaults = DEFAULTS) -> TrainingPlan:
    return TrainingPlan.parse(json.dumps(document).encode(), defaults, algorithm)


def test_an_empty_plan_takes_everything_from_the_defaults() -> None:
    plan = parse({})
    assert plan == TrainingPlan(DEFAULTS.instance)


def test_a_merged_plan_survives_its_document() -> None:
    plan = parse(
        {
            "classes": {"cat": "pet", "dog": "pet"},
            "split": {"train": 0.5, "validation": 0.25, "test": 0.25, "seed": 7},
            "hyperparameters": {"epochs": 3, "base_network": "tiny"},
            "instance": {"type": "ml.g5.xlarge", "count": 2},
            "spot": True,
            "gate": {"min_map50": 0.9},
            "quarantine": {"max_left_out": 0.5},
        }
    )
    assert TrainingPlan.from_document(json.loads(json.dumps(plan.document))) == plan
    assert plan.hyperparameters == {"epochs": "3", "base_network": "tiny"}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "JSON object"),
        ({"epochs": 3}, "epochs is no field"),
        ({"gate": {"minimum": 1}}, "minimum is no field"),
        ({"gate": 3}, "gate must be a JSON object"),
        ({"hyperparameters": {"epoch": 3}}, "epoch is unknown"),
        ({"hyperparameters": {"epochs": "many"}}, "epochs is 'many'"),
        ({"hyperparameters": {"learning_rate": 2}}, "learning_rate"),
        ({"hyperparameters": {"num_classes": 2}}, "num_classes is computed"),
        ({"hyperparameters": {"epochs": [1]}}, "epochs must be a text or a number"),
        ({"hyperparameters": []}, "hyperparameters must be"),
        ({"split": {"train": 0.9}}, "add up to 1"),
        ({"split": {"train": 1.5}}, "train is 1.5"),
        ({"instance": {"count": 0}}, "count is 0"),
        ({"instance": {"type": ""}}, "type"),
        ({"instance": {"type": "ml.foo"}}, "instance type like"),
        ({"schema": "dropspot/plan/99"}, "schema"),
        ({"hyperparameters": {"mini_batch_size": 999_999_999_999}}, "mini_batch_size"),
        ({"x" * 300_000: 1}, "bytes"),
        ({"x" * 3_000: 1}, "…"),
        ({"spot": "yes"}, "spot"),
        ({"output": "tfrecord"}, "output"),
        ({"classes": []}, "classes"),
        ({"classes": ["cat", "cat"]}, "twice"),
        ({"shorter_side": True}, "shorter_side"),
    ],
)
def test_an_impossible_plan_is_refused_by_name(document: Any, named: str) -> None:
    with pytest.raises(InvalidInputError, match=r"training\.json") as refusal:
        parse(document)
    assert named in str(refusal.value)


@pytest.mark.parametrize(
    ("output", "input_mode"), [("recordio", "File"), ("image", "File"), ("augmented-manifest", "Pipe")]
)
@pytest.mark.parametrize("algorithm", [BUILT_IN, DETECTOR])
def test_each_output_has_its_input_mode(output: str, input_mode: str, algorithm: str) -> None:
    assert parse({"output": output}, algorithm).input_mode == input_mode


def test_there_are_input_modes_for_every_output() -> None:
    assert tuple(INPUT_MODES) == OUTPUTS


@pytest.mark.parametrize("algorithm", [BUILT_IN, DETECTOR])
@pytest.mark.parametrize("input_mode", INPUT_MODES["recordio"])
def test_recordio_is_read_in_every_input_mode(input_mode: str, algorithm: str) -> None:
    assert parse({"input_mode": input_mode}, algorithm).input_mode == input_mode


@pytest.mark.parametrize(
    "document",
    [
        {"output": "image", "input_mode": "Pipe"},
        {"output": "image", "input_mode": "FastFile"},
        {"output": "augmented-manifest", "input_mode": "File"},
        {"input_mode": "Stream"},
    ],
)
@pytest.mark.parametrize("algorithm", [BUILT_IN, DETECTOR])
def test_an_input_mode_that_does_not_fit_the_output_is_refused(document: Any, algorithm: str) -> None:
    with pytest.raises(InvalidInputError, match="input_mode"):
        parse(document, algorithm)


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="not JSON"):
        TrainingPlan.parse(b"{epochs: 3}", DEFAULTS, DETECTOR)


@pytest.mark.parametrize(
    "text", [b'{"classes": ["\\ud800"]}', b'{"hyperparameters": {"\\ud800": 1}}', b"[" * 90_000, b"1" * 6_000, b"\xff"]
)
def test_text_that_could_not_be_written_down_again_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidInputError, match=r"training\.json is not JSON that can be kept") as refusal:
        TrainingPlan.parse(text, DEFAULTS, DETECTOR)
    assert len(str(refusal.value)) < 200


def test_an_extension_is_refused_by_name_for_the_built_in() -> None:
    with pytest.raises(InvalidInputError, match=r"schedule.*only detector_container"):
        parse({"hyperparameters": {"schedule": "cosine"}}, BUILT_IN)


def test_the_stacks_epochs_hold_where_the_plan_is_silent() -> None:
    defaults = PlanDefaults(Instance("ml.g4dn.xlarge", 1), epochs=9)
    assert parse({}, defaults=defaults).hyperparameters == {"epochs": "9"}
    assert parse({"hyperparameters": {"epochs": 3}}, defaults=defaults).hyperparameters == {"epochs": "3"}


def test_machines_and_gate_are_no_part_of_the_identity() -> None:
    changed = parse({"instance": {"count": 4}, "spot": True, "gate": {"min_map50": 0.1}, "max_runtime_seconds": 600})
    assert changed.identity == parse({}).identity
    assert parse({"shorter_side": 300}).identity != parse({}).identity


TUNING = {"ranges": {"learning_rate": {"min": 0.001, "max": 0.1}}}


def test_what_is_asked_of_a_training_survives_its_document_and_makes_another_run() -> None:
    plan = parse({"incremental": True, "tuning": TUNING})
    assert TrainingPlan.from_document(json.loads(json.dumps(plan.document))) == plan
    assert plan.tuning is not None
    assert plan.tuning.document == {
        "ranges": {"learning_rate": {"min": 0.001, "max": 0.1, "scaling": "Auto"}},
        "max_jobs": 10,
        "parallel": 2,
        "strategy": "Bayesian",
    }
    identities = [parse(stated).identity for stated in ({}, {"incremental": True}, {"tuning": TUNING})]
    assert identities[0] == parse({"incremental": False}).identity
    assert "incremental" not in identities[0]
    assert "tuning" not in identities[0]
    assert len({json.dumps(identity) for identity in identities}) == 3


@pytest.mark.parametrize(
    ("tuning", "named"),
    [
        ({}, "tuning: ranges must be an object"),
        ({"ranges": {}}, "tuning: ranges must be an object"),
        ({"ranges": {"epochs": {"min": 1, "max": 2}}}, "epochs can't be tuned: only mini_batch_size"),
        ({"ranges": {"learning_rate": 3}}, "ranges: learning_rate must be a JSON object"),
        ({"ranges": {"learning_rate": {"min": 0.1}}}, "learning_rate: max is -1"),
        ({"ranges": {"learning_rate": {"min": 0.1, "max": 0.1}}}, "min is 0.1: must be below max"),
        ({"ranges": {"learning_rate": {"min": 0.1, "max": 2}}}, "max is 2"),
        ({"ranges": {"learning_rate": {"min": 0.1, "max": 0.2, "step": 1}}}, "step is no field"),
        ({"ranges": {"learning_rate": {"min": 0.1, "max": 0.2, "scaling": "Square"}}}, "scaling"),
        ({"ranges": {"weight_decay": {"min": 0, "max": 0.2}}}, "weight_decay is '0.0'"),
        ({"ranges": {"mini_batch_size": {"min": 8, "max": 65}}}, "max is 65"),
        ({"ranges": {"mini_batch_size": {"min": 8, "max": 9, "scaling": "ReverseLogarithmic"}}}, "whole numbers"),
        ({"ranges": {"optimizer": {"values": []}}}, "values must be a list"),
        ({"ranges": {"optimizer": {"values": ["sgd", "best"]}}}, "optimizer is 'best'"),
        (TUNING | {"max_jobs": 0}, "max_jobs is 0"),
        (TUNING | {"max_jobs": 2, "parallel": 3}, "parallel is 3"),
        (TUNING | {"strategy": "Hyperband"}, "strategy"),
        (TUNING | {"jobs": 1}, "jobs is no field"),
        ([], "tuning must be a JSON object"),
    ],
)
def test_a_wrong_search_is_refused_by_name(tuning: Any, named: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse({"tuning": tuning})
    assert named in str(refused.value)


def test_a_hyperparameter_is_stated_or_searched() -> None:
    with pytest.raises(InvalidInputError, match="learning_rate has a value and a range"):
        parse({"hyperparameters": {"learning_rate": 0.01}, "tuning": TUNING})


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ({"min_class_ap50": 1.1}, "min_class_ap50 is 1.1: must be a number from 0 to 1"),
        ({"max_class_drop": -0.1}, "max_class_drop is -0.1: must be a number from 0 to 1"),
        ({"min_boxes": 1.5}, "min_boxes is 1.5: must be a whole number"),
        ({"approval": "never"}, 'approval is "never": must be one of automatic, manual'),
        ({"approve": "manual"}, "approve is no field"),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused_by_name(gate: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(said)):
        parse({"gate": gate})


def test_the_gate_is_laid_over_the_stack_s_and_survives_the_run_s_document() -> None:
    stack = PlanDefaults(instance=Instance("ml.g4dn.xlarge", 1), gate=Gate(min_class_ap50=0.4, approval="manual"))
    plan = TrainingPlan.parse(b'{"gate": {"min_boxes": 40, "max_class_drop": 0}}', stack, DETECTOR)
    assert plan.gate == Gate(min_class_ap50=0.4, min_boxes=40, max_class_drop=0, approval="manual")
    assert TrainingPlan.from_document(plan.document).gate == plan.gate
