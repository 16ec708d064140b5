"""Manual approval: a model that has passed the gate waits in the registry until somebody decides."""

from typing import Any

import pytest
from road import PLAN_DEFAULTS, Road, begun, state

from dropspot.ports import APPROVED, PENDING, REJECTED
from dropspot.runs import Run
from dropspot.testing import assert_valid_request


@pytest.fixture
def manual() -> Road:
    return Road(plan_defaults=PLAN_DEFAULTS | {"gate": PLAN_DEFAULTS["gate"] | {"approval": "manual"}})


def waiting(road: Road) -> tuple[Run, str]:
    """Return a run whose model waits for approval, and its package."""
    run = begun(road)
    road.judge(run)
    return run, str(road.store.json(run.key("package.json"))["arn"])


def decided(road: Road, package: str, approval: str, note: str = "") -> None:
    """Decide in the registry, and let the event come."""
    road.world.registry.decide(package, approval, note)
    apply(road, package)


def apply(road: Road, package: str) -> None:
    road.call("deploy_model", {"command": "apply_approval", "package": package, "cause": "event-1"})


def wanted(road: Road) -> Any:
    return road.store.json("endpoint/desired.json")["run_id"]


def test_what_passes_the_gate_is_registered_and_approved_by_it(road: Road) -> None:
    run = begun(road)
    road.judge(run)
    [(arn, request)] = road.world.registry.requests.items()
    assert_valid_request("sagemaker", "CreateModelPackage", request)
    assert request["ModelApprovalStatus"] == APPROVED
    assert request["CustomerMetadataProperties"]["run_id"] == run.run_id
    assert request["CustomerMetadataProperties"]["map50"] == "1.0000"
    [container] = request["InferenceSpecification"]["Containers"]
    assert container == road.world.hosting.models[run.model]["PrimaryContainer"]
    statistics = request["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert road.store.json(statistics.removeprefix("s3://bucket/"))["map50"] == 1.0
    assert road.store.json(run.key("package.json"))["arn"] == arn
    assert road.store.json(run.key("approval.json"))["status"] == APPROVED
    assert wanted(road) == run.run_id


def test_what_is_refused_is_not_registered(road: Road) -> None:
    run = begun(road)
    road.judge(run, good=False)
    assert road.world.registry.requests == {}
    assert road.store.json(run.key("verdict.json"))["status"] == "refused"


def test_a_model_waits_until_it_is_approved(manual: Road) -> None:
    run, package = waiting(manual)
    assert manual.world.registry.package(package).approval == PENDING
    assert manual.store.head("endpoint/desired.json") is None
    assert state(manual, run) == "awaiting_approval"
    [told] = manual.world.bus.of("Model Awaits Approval")
    assert f"dropspot approve {run.run_id}" in told["notice"]
    decided(manual, package, APPROVED)
    assert wanted(manual) == run.run_id
    manual.reconcile()
    manual.come_up()
    manual.reconcile()
    assert state(manual, run) == "deployed"


def test_duplicates_and_edits_of_other_fields_change_nothing(manual: Road) -> None:
    run, package = waiting(manual)
    apply(manual, package)  # an edit while it waits still
    assert manual.store.head("endpoint/desired.json") is None
    decided(manual, package, APPROVED)
    written = manual.store.json(run.key("approval.json"))
    for _ in range(2):
        manual.world.clock.advance(60)
        apply(manual, package)
    assert manual.store.json(run.key("approval.json")) == written
    assert len(manual.world.bus.of("Endpoint Desired")) == 1


def test_a_rejection_is_recorded_and_told(manual: Road) -> None:
    run, package = waiting(manual)
    decided(manual, package, REJECTED, "mixes up cats and dogs")
    assert manual.store.json(run.key("approval.json"))["status"] == REJECTED
    assert manual.store.head("endpoint/desired.json") is None
    [told] = manual.world.bus.of("Model Refused")
    assert told["notice"] == f"The model of run {run.run_id} was rejected: mixes up cats and dogs"
    apply(manual, package)
    assert len(manual.world.bus.of("Model Refused")) == 1


def test_who_changes_their_mind_may_approve_what_was_rejected_and_not_the_other_way_round(manual: Road) -> None:
    run, package = waiting(manual)
    decided(manual, package, REJECTED)
    decided(manual, package, APPROVED)
    assert wanted(manual) == run.run_id
    decided(manual, package, REJECTED)
    assert manual.store.json(run.key("approval.json"))["status"] == APPROVED
    assert wanted(manual) == run.run_id


def test_an_approval_that_comes_after_a_later_run_s_is_recorded_with_what_stands_against_it(manual: Road) -> None:
    early, first = waiting(manual)
    manual.world.clock.advance(100)
    manual.upload("pets", **{"more.tar.gz": b"new"})
    manual.settle("datasets/pets/more.tar.gz")
    late = manual.runs[-1]
    manual.judge(late)
    decided(manual, manual.store.json(late.key("package.json"))["arn"], APPROVED)
    decided(manual, first, APPROVED)
    assert wanted(manual) == late.run_id
    objection = manual.store.json(early.key("approval.json"))["objection"]
    assert late.run_id in objection
    for _ in range(2):
        apply(manual, first)
    [told] = manual.world.bus.of("Model Refused")
    assert told["notice"] == f"The model of run {early.run_id} was approved and doesn't go into service: {objection}"


def test_the_gate_s_own_approval_of_an_overtaken_run_is_no_approval_without_effect(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = begun(road)
    road.world.clock.advance(100)
    road.retrain("event-1", {"dataset": "pets"})
    late = road.runs[-1]
    road.judge(late)
    register = road.world.registry.register

    def told_of_at_once(request: Any) -> str:
        arn = register(request)
        apply(road, arn)
        return arn

    monkeypatch.setattr(road.world.registry, "register", told_of_at_once)
    road.judge(early)
    assert late.run_id in road.store.json(early.key("approval.json"))["objection"]
    assert road.world.bus.of("Model Refused") == []


def test_an_approval_of_a_failed_run_is_told_to_have_no_effect(manual: Road) -> None:
    run, package = waiting(manual)
    manual.store.put_json(run.key("failure.json"), {"message": "the endpoint went back to the model before"})
    decided(manual, package, APPROVED)
    assert manual.store.head("endpoint/desired.json") is None
    [told] = manual.world.bus.of("Model Refused")
    assert told["notice"].endswith("its run has failed: the endpoint went back to the model before")


def test_an_approved_version_that_somebody_has_made_of_a_refused_model_stays_out_and_is_told_of(road: Road) -> None:
    run = begun(road)
    road.judge(run, good=False)
    metadata = {"CustomerMetadataProperties": {"run_id": run.run_id}}
    version = {"ModelPackageGroupName": "dropspot", "ModelApprovalStatus": APPROVED} | metadata
    apply(road, road.world.registry.register(version))
    assert road.store.head("endpoint/desired.json") is None
    told = road.world.bus.of("Model Refused")[-1]
    assert "doesn't go into service: the gate has kept it out: mAP@0.5 of 0.000" in told["notice"]


def test_registering_twice_makes_one_version(manual: Road) -> None:
    run, package = waiting(manual)
    for lost in (["verdict.json"], ["package.json", "verdict.json"]):
        for name in lost:
            manual.store.delete(run.key(name))
        manual.command("deploy_model", run, "eval")
        assert list(manual.world.registry.requests) == [package]
        assert manual.store.json(run.key("package.json"))["arn"] == package


def test_a_lost_event_of_an_approval_is_made_up_for(manual: Road) -> None:
    run, package = waiting(manual)
    resume = {"command": "resume_runs", "cause": "event-1"}
    manual.call("resume_runs", resume)
    assert manual.world.bus.of("Step Due") == []
    manual.world.registry.decide(package, APPROVED)
    manual.call("resume_runs", resume)
    assert manual.world.bus.of("Step Due") == [{"command": "apply_approval", "package": package}]
    apply(manual, package)
    manual.call("resume_runs", resume)
    assert manual.store.keys("open-runs/") == []
    assert wanted(manual) == run.run_id


def test_somebody_else_s_version_in_the_group_is_left_alone(road: Road) -> None:
    foreign = {"ModelPackageGroupName": "dropspot", "ModelApprovalStatus": "Approved"}
    arn = road.world.registry.register(foreign)
    stranger = foreign | {"CustomerMetadataProperties": {"run_id": "pets-9999999999"}}
    for package in (
        arn,
        road.world.registry.register(stranger),
        "arn:aws:sagemaker:us-east-1:0:model-package/dropspot/9",
    ):
        apply(road, package)
    assert road.store.keys() == []
    assert road.world.bus.events == []


def test_a_plan_may_ask_for_approval_where_the_stack_does_not(road: Road) -> None:
    road.upload(**{"images.tar.gz": b"a", "training.json": b'{"gate": {"approval": "manual"}}'})
    road.settle()
    [run] = road.runs
    road.judge(run)
    assert state(road, run) == "awaiting_approval"


def test_a_plan_may_not_waive_the_stack_s_approval(manual: Road) -> None:
    manual.upload(**{"images.tar.gz": b"a", "training.json": b'{"gate": {"approval": "automatic"}}'})
    manual.settle()
    [run] = manual.runs
    assert "ApprovalMode is manual" in manual.store.json(run.key("failure.json"))["message"]
