"""The functions as they deploy: what each is told, how it logs, what catches its failures."""

import json
from pathlib import Path
from typing import Any

import pytest
from handlers import FUNCTIONS, load_handler
from unit.template.deployed import Stack, deploy

from dropspot.plan import Gate, PlanDefaults

PREPARATION = {
    "EXTRA_DATA_BUCKETS",
    "PREP_IMAGE",
    "PREP_INSTANCE_TYPE",
    "SAGEMAKER_ROLE_ARN",
    "ALGORITHM",
    "PLAN_DEFAULTS",
}
# What each function is told beyond what all are told.
TOLD = {
    "advance_backfill": {
        "IMAGE_QUEUE_URL",
        "PREP_IMAGE",
        "PREP_INSTANCE_TYPE",
        "EVALUATION_INSTANCE_TYPE",
        "SAGEMAKER_ROLE_ARN",
    },
    "api": set[str](),
    "audit_images": {"IMAGE_QUEUE_URL", "INFERENCE_MODE"},
    "collect_detections": {
        "IMAGE_QUEUE_URL",
        "IMAGE_DEAD_LETTER_QUEUE_URL",
        "INFERENCE_QUEUE_URL",
        "INFERENCE_DEAD_LETTER_QUEUE_URL",
        "INFERENCE_RECEIVES",
        "SCORE_THRESHOLD",
    },
    "deploy_model": {"SERVED_DATASET"},
    "detect_objects": {
        "IMAGE_QUEUE_URL",
        "IMAGE_DEAD_LETTER_QUEUE_URL",
        "IMAGE_RECEIVES",
        "DETECT_THREADS",
        "RECHECK_SECONDS",
        "SCORE_THRESHOLD",
        "INFERENCE_MODE",
    },
    "reconcile_endpoint": {
        *("IMAGE_MAPPING_ID", "KEEP_CONFIGS"),
        *("ENDPOINT_INSTANCE_TYPE", "ENDPOINT_INSTANCE_COUNT", "ENDPOINT_KMS_KEY", "GUARDRAILS"),
        *("INFERENCE_TOPIC", "ASYNC_IDLE_SECONDS"),
    },
    "record_failure": set[str](),
    "restore_model": {"SERVED_DATASET"},
    "resume_runs": set[str](),
    "start_backfill": {"SCORE_THRESHOLD"},
    "start_evaluation": {
        *("TRAINING_IMAGE", "SAGEMAKER_ROLE_ARN", "EVALUATION_INSTANCE_TYPE"),
        *("MODEL_SUBNETS", "MODEL_SECURITY_GROUPS", "SERVED_DATASET"),
    },
    "start_preprocessing": PREPARATION | {"DATASET_QUEUE_URL", "SETTLE_SECONDS"},
    "start_retraining": PREPARATION | {"SERVED_DATASET"},
    "start_training": {"COST_CENTRE", "EXTRA_DATA_BUCKETS", "TRAINING_IMAGE", "ALGORITHM", "SAGEMAKER_ROLE_ARN"},
}
COMMON = {"APP_NAME", "BUCKET_NAME", "ENDPOINT_NAME"}
POWERTOOLS = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL"}


def logical_id(function: str) -> str:
    return "".join(word.capitalize() for word in function.split("_")) + "Function"


@pytest.fixture
def stack() -> Stack:
    """Return a stack that has all there is: in asynchronous mode."""
    return deploy(InferenceMode="async")


def test_the_template_has_exactly_the_functions_of_the_folder(stack: Stack) -> None:
    folders = {path.parent.name for path in FUNCTIONS.glob("*/app.py")}
    assert folders == TOLD.keys()
    assert stack.of_type("AWS::Lambda::Function").keys() == {logical_id(name) for name in TOLD}


def test_only_in_asynchronous_mode_are_answers_collected(stack: Stack) -> None:
    realtime = deploy()
    assert {name for name in stack.resources.keys() - realtime.resources.keys() if "Inference" not in name} == {
        *("CollectDetectionsFunction", "CollectDetectionsFunctionRole", "CollectDetectionsFunctionAnswer"),
        "CollectDetectionsLogGroup",
    }
    assert realtime.environment("DetectObjectsFunction")["INFERENCE_MODE"] == "realtime"
    assert realtime.environment("ReconcileEndpointFunction")["INFERENCE_TOPIC"] == ""
    assert stack.environment("ReconcileEndpointFunction")["INFERENCE_TOPIC"] == "InferenceTopic"


@pytest.mark.parametrize("function", TOLD)
def test_a_function_is_told_what_it_needs_and_nothing_else(stack: Stack, function: str) -> None:
    environment = stack.environment(logical_id(function))
    assert environment.keys() == COMMON | POWERTOOLS | TOLD[function]
    assert environment["POWERTOOLS_SERVICE_NAME"] == function


@pytest.mark.parametrize("function", TOLD)
def test_a_function_can_read_its_settings_from_what_it_is_told(stack: Stack, function: str) -> None:
    environment = {name: str(value) for name, value in stack.environment(logical_id(function)).items()}
    settings = load_handler(function).Settings.from_env(environment)
    assert settings.app_name == "dropspot"
    read = {name.upper() for kind in type(settings).__mro__ for name in getattr(kind, "__annotations__", {})}
    assert read == COMMON | TOLD[function]


@pytest.mark.parametrize("function", ["start_preprocessing", "start_retraining"])
def test_plan_defaults_are_the_parameters_as_json(function: str) -> None:
    stack = deploy(
        TrainingInstanceType="ml.p3.2xlarge",
        TrainingInstanceCount="2",
        UseSpotInstances="true",
        MaxTrainingSeconds="3600",
        Epochs="30",
        MinimumMap50="0.75",
        MinimumClassAp50="0.25",
        MaximumClassDrop="1",
        MinimumHeldOutBoxes="50",
        ApprovalMode="manual",
    )
    assert json.loads(stack.environment(logical_id(function))["PLAN_DEFAULTS"]) == {
        "instance": {"type": "ml.p3.2xlarge", "count": 2},
        "spot": True,
        "max_runtime_seconds": 3600,
        "epochs": 30,
        "gate": {
            "min_map50": 0.75,
            "min_class_ap50": 0.25,
            "max_class_drop": 1,
            "min_boxes": 50,
            "approval": "manual",
        },
    }


@pytest.mark.parametrize("function", ["start_preprocessing", "start_retraining"])
def test_the_gate_s_defaults_are_the_plan_s_own(stack: Stack, function: str) -> None:
    defaults = PlanDefaults.from_document(json.loads(stack.environment(logical_id(function))["PLAN_DEFAULTS"]))
    assert defaults.gate == Gate()


@pytest.mark.parametrize(
    ("algorithm", "image", "kind"),
    [
        ("built-in", "685385470294.dkr.ecr.eu-west-1.amazonaws.com/object-detection:1", "built-in"),
        (
            "111122223333.dkr.ecr.eu-west-1.amazonaws.com/d:2",
            "111122223333.dkr.ecr.eu-west-1.amazonaws.com/d:2",
            "detector",
        ),
    ],
)
def test_the_algorithm_chooses_the_image_that_trains_and_serves(algorithm: str, image: str, kind: str) -> None:
    stack = deploy(TrainingAlgorithm=algorithm, InferenceMode="async")
    told = {function: stack.environment(logical_id(function)) for function in TOLD}
    assert {e["TRAINING_IMAGE"] for e in told.values() if "TRAINING_IMAGE" in e} == {image}
    assert {e["ALGORITHM"] for e in told.values() if "ALGORITHM" in e} == {kind}


def test_only_reconcile_endpoint_reserves_concurrency_and_only_if_asked_to() -> None:
    def reserving(**options: str) -> dict[str, Any]:
        functions = deploy(**options).of_type("AWS::Lambda::Function")
        key = "ReservedConcurrentExecutions"
        return {name: function[key] for name, function in functions.items() if key in function}

    assert reserving() == {"ReconcileEndpointFunction": 1}
    assert reserving(ReserveReconcileConcurrency="false") == {}


def test_the_image_queue_is_closed_until_reconcile_endpoint_opens_it(stack: Stack) -> None:
    mapping = stack.environment("ReconcileEndpointFunction")["IMAGE_MAPPING_ID"]
    properties = stack.properties(mapping)
    assert properties["FunctionName"] == "DetectObjectsFunction"
    assert properties["EventSourceArn"] == stack.arn("ImageQueue")
    assert properties["Enabled"] is False
    assert properties["ScalingConfig"] == {"MaximumConcurrency": 5}


def test_a_batch_of_data_set_changes_is_large_enough_for_an_upload_of_loose_files(stack: Stack) -> None:
    (mapping,) = [
        properties
        for properties in stack.of_type("AWS::Lambda::EventSourceMapping").values()
        if properties["EventSourceArn"] == stack.arn("DatasetQueue")
    ]
    assert mapping["BatchSize"] >= 1000
    assert mapping["MaximumBatchingWindowInSeconds"] > 0  # Lambda asks for it above a batch size of ten


@pytest.mark.parametrize("function", sorted(TOLD))
def test_a_function_folder_has_nothing_to_install(function: str) -> None:
    folder: Path = FUNCTIONS / function
    assert [path.name for path in folder.iterdir() if path.name.startswith("requirements")] == []


def test_detect_objects_gives_up_when_the_queue_does(stack: Stack) -> None:
    queue = stack.properties("ImageQueue")
    told = stack.environment("DetectObjectsFunction")
    assert told["IMAGE_RECEIVES"] == str(queue["RedrivePolicy"]["maxReceiveCount"])
    assert told["IMAGE_DEAD_LETTER_QUEUE_URL"] == "ImageDeadLetterQueue"


def test_an_answer_is_given_up_when_its_queue_would(stack: Stack) -> None:
    queue = stack.properties("InferenceQueue")
    told = stack.environment("CollectDetectionsFunction")
    assert told["INFERENCE_RECEIVES"] == str(queue["RedrivePolicy"]["maxReceiveCount"])


def test_a_deletion_is_looked_at_again_when_every_worker_that_saw_the_image_is_gone(stack: Stack) -> None:
    timeout = stack.properties("DetectObjectsFunction")["Timeout"]
    assert int(stack.environment("DetectObjectsFunction")["RECHECK_SECONDS"]) > timeout
