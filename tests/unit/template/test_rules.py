"""Which event wakes whom, and with what: every rule against real-shape events and near misses."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from handlers import captured_event
from unit.template.deployed import Stack, deploy
from unit.template.event_patterns import matches
from unit.template.input_transformers import render

Event = dict[str, Any]

RUN = "oxford-pets-0123456789"

# Every captured event, with everyone it wakes and the command that it gives them (None: the event itself).
WAKES: dict[str, dict[str, Event | str | None]] = {
    "dataset_object_created": {"DatasetQueue": None},
    "dataset_object_deleted": {"DatasetQueue": None},
    "image_object_created": {"ImageQueue": None},
    "image_object_deleted": {"ImageQueue": None},
    "processing_job_completed": {
        "StartTrainingFunction": {"command": "start_training", "job": f"dropspot-{RUN}-prep"},
    },
    "processing_job_failed": {"RecordFailureFunction": {"command": "record_failure", "job": f"dropspot-{RUN}-prep"}},
    "training_job_in_progress": {},
    "training_job_completed": {
        "StartEvaluationFunction": {"command": "start_evaluation", "job": f"dropspot-{RUN}-train"},
    },
    "training_job_failed": {"RecordFailureFunction": {"command": "record_failure", "job": f"dropspot-{RUN}-train"}},
    "tuning_job_completed": {"ResumeRunsFunction": {"command": "resume_runs"}},
    "transform_job_completed": {"DeployModelFunction": {"command": "deploy_model", "job": f"dropspot-{RUN}-eval"}},
    "transform_job_failed": {"RecordFailureFunction": {"command": "record_failure", "job": f"dropspot-{RUN}-eval"}},
    "champion_transform_job_completed": {
        "DeployModelFunction": {"command": "deploy_model", "job": f"dropspot-{RUN}-evalchamp"},
    },
    "model_package_approved": {
        "DeployModelFunction": {
            "command": "apply_approval",
            "package": "arn:aws:sagemaker:eu-west-1:111122223333:model-package/dropspot/3",
        },
    },
    "endpoint_in_service": {"ReconcileEndpointFunction": {"command": "reconcile_endpoint"}},
    "endpoint_failed": {"ReconcileEndpointFunction": {"command": "reconcile_endpoint"}},
    "endpoint_desired": {"ReconcileEndpointFunction": {"command": "reconcile_endpoint"}},
    "step_due": {"StartTrainingFunction": {"command": "start_training", "job": f"dropspot-{RUN}-prep"}},
    "retraining_requested": {
        "StartRetrainingFunction": {
            "command": "start_retraining",
            "request": {"dataset": "oxford pets"},
            "requested_at": "2026-11-12T12:30:00Z",
        },
    },
    "rollback_requested": {
        "RestoreModelFunction": {
            "command": "restore_model",
            "request": {"run_id": RUN},
            "requested_at": "2026-11-12T12:30:00Z",
        },
    },
    "rollback_failed": {
        "NotificationTopic": "Nothing changes: roll back: no model was in service before the present one",
    },
    "endpoint_stuck": {
        "NotificationTopic": (
            "The endpoint is not what it should be: the stack's parameters can't be: canary needs two instances or more"
        ),
    },
    "audit_due": {
        "AuditImagesFunction": {"command": "audit_images", "of": "documents", "after": "detections/a%20b.jpg.json"},
    },
    "backfill_requested": {
        "StartBackfillFunction": {
            "command": "start_backfill",
            "request": {"prefix": "holiday/", "older": True},
            "time": "2026-11-12T12:30:00Z",
        },
    },
    "backfill_due": {
        "AdvanceBackfillFunction": {"command": "advance_backfill", "job": "dropspot-holiday-0123456789-backfill"},
    },
    "backfill_ended": {"NotificationTopic": "The backfill of images/holiday/ has ended"},
    "backfill_failed": {
        "NotificationTopic": "The backfill holiday-0123456789 of images/holiday/ failed: ClientError: See job logs",
    },
    "run_failed": {
        "NotificationTopic": f"Run {RUN} failed at train: ClientError: Additional hyperparameters are not allowed "
        "To start it again: dropspot retrain oxford pets",
    },
    "model_deployed": {"NotificationTopic": f"The model of run {RUN} is in service at dropspot-endpoint"},
    "model_refused": {
        "NotificationTopic": f"The model of run {RUN} doesn't go into service: map50 0.31 is below 0.5",
    },
    "model_awaits_approval": {
        "NotificationTopic": f"The model of run {RUN} waits for approval: dropspot approve {RUN}",
    },
}


def _targets(stack: Stack) -> Iterator[tuple[Event, str, Event]]:
    """Yield each rule's properties with each of its targets' logical id and properties."""
    by_address = {stack.arn(name): name for name in stack.resources} | {name: name for name in stack.resources}
    for rule in stack.of_type("AWS::Events::Rule").values():
        for target in rule["Targets"]:
            yield rule, by_address[target["Arn"]], target


def woken(stack: Stack, event: Event) -> dict[str, Event | str | None]:
    """Return whom the event wakes, and with what input; a target woken twice by one event is an error."""
    found: dict[str, Event | str | None] = {}
    for rule, name, target in _targets(stack):
        if "EventPattern" in rule and matches(rule["EventPattern"], event):
            assert name not in found, f"{name} is woken twice by one event"
            transformer = target.get("InputTransformer")
            found[name] = json.loads(render(transformer, event)) if transformer else None
    return found


@pytest.mark.parametrize("name", WAKES)
def test_an_event_wakes_whom_it_concerns_with_their_command(stack: Stack, name: str) -> None:
    event = captured_event(name)
    expected = {
        target: given | {"cause": event["id"]} if isinstance(given, dict) else given
        for target, given in WAKES[name].items()
    }
    assert woken(stack, event) == expected


def test_every_rule_with_a_pattern_is_woken_by_some_captured_event(stack: Stack) -> None:
    events = [captured_event(name) for name in WAKES]
    events += [{**captured_event("step_due"), "detail": {"command": c, "job": "j"}} for c in STEPS]
    events += [{**captured_event("step_due"), "detail": {"command": "apply_approval", "package": "p"}}]
    events += [backfill_job_event(kind, "Completed") for kind in ("processing", "transform")]
    rules = stack.of_type("AWS::Events::Rule")
    idle = [
        name
        for name, rule in rules.items()
        if "EventPattern" in rule and not any(matches(rule["EventPattern"], event) for event in events)
    ]
    assert idle == []


BACKFILL_JOB = "dropspot-holiday-0123456789-00000-sniff-backfill"


def backfill_job_event(kind: str, status: str) -> Event:
    event: Event = captured_event(f"{kind}_job_completed")
    event["detail"] |= {f"{kind.capitalize()}JobName": BACKFILL_JOB, f"{kind.capitalize()}JobStatus": status}
    return event


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
@pytest.mark.parametrize("kind", ["processing", "transform"])
def test_a_backfill_s_job_that_ended_in_whatever_way_wakes_its_own_function_alone(
    stack: Stack, kind: str, status: str
) -> None:
    event = backfill_job_event(kind, status)
    command = {"command": "advance_backfill", "job": BACKFILL_JOB, "cause": event["id"]}
    assert woken(stack, event) == {"AdvanceBackfillFunction": command}


def test_a_backfill_s_job_at_work_wakes_nobody(stack: Stack) -> None:
    assert woken(stack, backfill_job_event("transform", "InProgress")) == {}


STEPS = {
    "start_training": "StartTrainingFunction",
    "start_evaluation": "StartEvaluationFunction",
    "deploy_model": "DeployModelFunction",
    "record_failure": "RecordFailureFunction",
}


@pytest.mark.parametrize("command", STEPS)
def test_a_step_that_is_due_gets_the_same_command_as_by_the_job_s_own_event(stack: Stack, command: str) -> None:
    event = captured_event("step_due")
    event["detail"] = {"command": command, "job": f"dropspot-{RUN}-train"}
    assert woken(stack, event) == {
        STEPS[command]: {"command": command, "job": f"dropspot-{RUN}-train", "cause": event["id"]}
    }


def test_a_decision_that_is_due_gets_the_same_command_as_by_the_registry_s_own_event(stack: Stack) -> None:
    event = captured_event("step_due")
    event["detail"] = {"command": "apply_approval", "package": "arn"}
    command = {"command": "apply_approval", "package": "arn", "cause": event["id"]}
    assert woken(stack, event) == {"DeployModelFunction": command}


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
def test_however_the_champion_s_evaluation_ends_the_gate_hears_of_it_and_nobody_else(stack: Stack, status: str) -> None:
    event = captured_event("champion_transform_job_completed")
    event["detail"]["TransformJobStatus"] = status
    assert woken(stack, event).keys() == {"DeployModelFunction"}


def test_a_decision_is_heard_of_where_the_event_does_not_say_what_changed(stack: Stack) -> None:
    event = captured_event("model_package_approved")
    del event["detail"]["UpdatedModelPackageFields"]
    event["detail"]["ModelApprovalStatus"] = "Rejected"
    assert woken(stack, event).keys() == {"DeployModelFunction"}


def _changed(change: Callable[[Event], object]) -> Callable[[Event], Event]:
    def copy(event: Event) -> Event:
        other = deepcopy(event)
        change(other)
        return other

    return copy


def _field(*path: str, value: object) -> Callable[[Event], Event]:
    def change(event: Event) -> None:
        for name in path[:-1]:
            event = event[name]
        assert path[-1] in event
        event[path[-1]] = value

    return _changed(change)


NEAR_MISSES: list[tuple[str, Callable[[Event], Event]]] = [
    ("image_object_created", _field("detail", "bucket", "name", value="another-bucket")),
    ("image_object_created", _field("detail", "object", "key", value="detections/cat.jpg.json")),
    ("image_object_created", _field("detail", "object", "key", value="runs/r/prepared/test/images/cat.jpg")),
    ("image_object_created", _field("detail", "object", "key", value="Images/cat.jpg")),
    ("image_object_created", _field("detail", "object", "key", value="my/images/cat.jpg")),
    ("image_object_created", _field("detail", "object", "key", value="images")),
    ("image_object_created", _field("detail-type", value="Object Tags Added")),
    ("image_object_created", _field("source", value="dropspot")),
    ("dataset_object_created", _field("detail", "object", "key", value="runs/r/datasets/x")),
    ("dataset_object_created", _field("detail", "object", "key", value="dataset/x")),
    ("dataset_object_created", _field("detail", "object", "key", value="open-runs/r")),
    ("processing_job_completed", _field("detail", "ProcessingJobStatus", value="InProgress")),
    ("processing_job_completed", _field("detail", "ProcessingJobStatus", value="Stopping")),
    ("processing_job_completed", _field("detail", "ProcessingJobName", value="dropspot2-a-0123456789-prep")),
    ("processing_job_completed", _field("detail", "ProcessingJobName", value="mydropspot-a-0123456789-prep")),
    ("processing_job_completed", _field("detail", "ProcessingJobName", value="dropspot-a-0123456789-train")),
    ("processing_job_completed", _field("detail-type", value="SageMaker Transform Job State Change")),
    ("processing_job_completed", _field("source", value="dropspot")),
    ("training_job_completed", _field("detail", "TrainingJobName", value="dropspot-t-0123456789-001-abcdef12")),
    ("training_job_failed", _field("detail", "TrainingJobName", value="dropspot-t-0123456789-001-abcdef12")),
    ("tuning_job_completed", _field("detail", "HyperParameterTuningJobStatus", value="InProgress")),
    ("tuning_job_completed", _field("detail", "HyperParameterTuningJobName", value="dropspot2-t-0123456789")),
    ("tuning_job_completed", _field("detail", "HyperParameterTuningJobName", value="dropspot-a-0123456789-train")),
    ("training_job_completed", _field("detail", "TrainingJobName", value="dropspot-a-0123456789-eval")),
    ("training_job_completed", _field("detail", "TrainingJobStatus", value="COMPLETED")),
    ("training_job_failed", _field("detail", "TrainingJobName", value="other-a-0123456789-train")),
    ("transform_job_completed", _field("detail", "TransformJobName", value="dropspot2-a-0123456789-backfill")),
    ("champion_transform_job_completed", _field("detail", "TransformJobName", value="other-a-0123456789-evalchamp")),
    ("champion_transform_job_completed", _field("detail", "TransformJobStatus", value="Stopping")),
    ("model_package_approved", _field("detail", "ModelApprovalStatus", value="PendingManualApproval")),
    ("model_package_approved", _field("detail", "UpdatedModelPackageFields", value=["ModelLifeCycle"])),
    ("model_package_approved", _field("detail", "UpdatedModelPackageFields", value=["CustomerMetadataProperties"])),
    ("model_package_approved", _field("detail", "ModelPackageGroupName", value="dropspot2")),
    ("transform_job_failed", _field("detail", "TransformJobStatus", value="Stopping")),
    ("endpoint_in_service", _field("detail", "EndpointName", value="dropspot-endpoint2")),
    ("endpoint_in_service", _field("detail-type", value="SageMaker Endpoint Deployment State Change")),
    ("endpoint_desired", _field("source", value="otherapp")),
    ("step_due", _field("source", value="aws.sagemaker")),
    ("step_due", _field("detail", "command", value="start_everything")),
    ("retraining_requested", _field("source", value="otherapp")),
    ("rollback_requested", _field("source", value="otherapp")),
    ("rollback_requested", _field("detail-type", value="Rollback Failed!")),
    ("run_failed", _field("source", value="otherapp")),
    ("run_failed", _field("detail-type", value="Run Superseded")),
]


@pytest.mark.parametrize(("name", "changed"), NEAR_MISSES)
def test_a_near_miss_wakes_nobody(stack: Stack, name: str, changed: Callable[[Event], Event]) -> None:
    event = captured_event(name)
    assert woken(stack, event)
    assert woken(stack, changed(event)) == {}


@pytest.mark.parametrize("kind", ["processing", "training", "transform"])
def test_a_job_that_somebody_stopped_is_a_failure(stack: Stack, kind: str) -> None:
    event = captured_event(f"{kind}_job_failed")
    event["detail"][f"{kind.title()}JobStatus"] = "Stopped"
    assert woken(stack, event).keys() == {"RecordFailureFunction"}


@pytest.mark.parametrize("status", ["CREATING", "UPDATING", "ROLLING_BACK", "DELETING", "UPDATE_ROLLBACK_FAILED"])
def test_every_state_of_our_endpoint_wakes_reconcile_endpoint(stack: Stack, status: str) -> None:
    event = _field("detail", "EndpointStatus", value=status)(captured_event("endpoint_failed"))
    assert woken(stack, event).keys() == {"ReconcileEndpointFunction"}


def test_another_application_hears_nothing_of_this_one() -> None:
    other = deploy(AppName="dropspot2")
    ours = [name for name in WAKES if captured_event(name)["source"] != "aws.s3"]  # buckets are told apart by name
    assert [name for name in ours if woken(other, captured_event(name))] == []


def test_a_retraining_asked_for_without_a_data_set_is_an_empty_request(stack: Stack) -> None:
    event = {**captured_event("retraining_requested"), "detail": {}}
    command = {"command": "start_retraining", "request": {}, "cause": event["id"], "requested_at": event["time"]}
    assert woken(stack, event) == {"StartRetrainingFunction": command}


def _schedules(stack: Stack) -> dict[str, tuple[str, Event]]:
    event = captured_event("scheduled")
    return {
        name: (rule["ScheduleExpression"], json.loads(render(target["InputTransformer"], event)))
        for rule, name, target in _targets(stack)
        if "ScheduleExpression" in rule
    }


def test_the_loops_run_on_schedule_and_retraining_does_not(stack: Stack) -> None:
    cause = captured_event("scheduled")["id"]
    assert _schedules(stack) == {
        "AuditImagesFunction": (
            "rate(1 day)",
            {"command": "audit_images", "of": "images", "after": "", "cause": cause},
        ),
        "ReconcileEndpointFunction": ("rate(1 minute)", {"command": "reconcile_endpoint", "cause": cause}),
        "ResumeRunsFunction": ("rate(10 minutes)", {"command": "resume_runs", "cause": cause}),
    }


def test_a_retraining_schedule_asks_for_the_served_data_set() -> None:
    schedules = _schedules(deploy(RetrainingSchedule="rate(7 days)"))
    event = captured_event("scheduled")
    command = {"command": "start_retraining", "request": {}, "cause": event["id"], "requested_at": event["time"]}
    assert schedules["StartRetrainingFunction"] == ("rate(7 days)", command)


@pytest.mark.parametrize("options", [{}, {"RetrainingSchedule": "rate(7 days)"}])
def test_each_rule_may_invoke_its_function(options: dict[str, str]) -> None:
    stack = deploy(**options)
    permitted = {
        (permission["FunctionName"], permission["SourceArn"])
        for permission in stack.of_type("AWS::Lambda::Permission").values()
        if permission["Principal"] == "events.amazonaws.com"
    }
    used = {
        (target["Arn"].rpartition(":")[2], stack.arn(name))
        for name, rule in stack.of_type("AWS::Events::Rule").items()
        for target in rule["Targets"]
        if ":lambda:" in target["Arn"]
    }
    assert used == permitted


def test_a_pattern_is_short_enough_for_eventbridge(stack: Stack) -> None:
    patterns = [rule.get("EventPattern", {}) for rule in stack.of_type("AWS::Events::Rule").values()]
    assert max(len(json.dumps(pattern)) for pattern in patterns) < 2048
