"""The two loops that compare what is with what should be: the endpoint's, and that of the open runs."""

import pytest
from road import Road, begun, state

from dropspot.errors import TransientError
from dropspot.ports import JobKind


def test_images_wait_until_a_model_is_in_service(road: Road) -> None:
    run = begun(road)
    road.judge(run)
    road.reconcile()
    assert not road.world.intake.is_open("mapping")
    road.come_up()
    road.reconcile()
    assert road.world.intake.is_open("mapping")


def test_a_closed_intake_is_opened_again_by_the_next_pass(road: Road) -> None:
    road.deploy(begun(road))
    road.world.intake.set_open("mapping", False)  # as a stack update does
    road.reconcile()
    assert road.world.intake.is_open("mapping")


def test_an_intake_in_between_is_left_to_the_next_pass(road: Road) -> None:
    run = begun(road)
    road.judge(run)
    road.reconcile()
    road.come_up()
    road.world.intake.between.add("mapping")
    road.reconcile()
    road.world.intake.between.clear()
    road.reconcile()
    assert road.world.intake.is_open("mapping")


def test_an_endpoint_that_rolled_back_fails_the_run_and_keeps_the_champion(road: Road) -> None:
    champion = begun(road)
    road.deploy(champion)
    road.world.clock.advance(100)
    road.retrain("event-1")
    candidate = road.runs[1]
    road.judge(candidate)
    road.reconcile()
    road.world.clock.advance(60)
    road.come_up(config=champion.endpoint_config, reason="alarm went off")
    for _ in range(3):
        road.reconcile()
    assert road.store.json(candidate.key("failure.json"))["message"] == "alarm went off"
    assert road.store.json("endpoint/champion.json")["run_id"] == champion.run_id
    assert road.world.hosting.endpoints["dropspot-endpoint"].status == "InService"


def test_an_endpoint_that_fails_to_come_up_gives_way_to_the_champion(road: Road) -> None:
    champion = begun(road)
    road.deploy(champion)
    road.world.clock.advance(100)
    road.retrain("event-1")
    candidate = road.runs[1]
    road.judge(candidate)
    road.reconcile()
    road.come_up("Failed", reason="no capacity")
    road.reconcile()
    assert road.world.hosting.endpoint("dropspot-endpoint") is None
    assert not road.world.intake.is_open("mapping")
    road.reconcile()
    assert road.world.hosting.endpoints["dropspot-endpoint"].config == champion.endpoint_config
    assert state(road, candidate) == "failed"


def test_a_missing_event_is_made_up_for(road: Road) -> None:
    run = begun(road)
    resume = {"command": "resume_runs", "cause": "event-1"}
    road.call("resume_runs", resume)
    assert road.world.bus.of("Step Due") == []
    road.prepare(run)
    road.call("resume_runs", resume)
    assert road.world.bus.of("Step Due") == [{"command": "start_training", "job": run.processing_job}]
    road.command("start_training", run, "prep")
    road.world.jobs.end(JobKind.TRAINING, run.training_job, "Failed", reason="out of memory")
    road.call("resume_runs", resume)
    assert road.world.bus.of("Step Due")[1:] == [{"command": "record_failure", "job": run.training_job}]


def test_a_run_that_has_ended_is_forgotten(road: Road) -> None:
    run = begun(road)
    assert road.store.keys("open-runs/") == [run.open_marker]
    road.judge(run)
    road.call("resume_runs", {"command": "resume_runs", "cause": "event-1"})
    assert road.store.keys("open-runs/") == []


def test_a_foreign_object_among_the_open_runs_keeps_no_run_from_being_resumed(road: Road) -> None:
    road.store.put("open-runs/foo", b"")
    run = begun(road)
    road.prepare(run)
    road.call("resume_runs", {"command": "resume_runs", "cause": "event-1"})
    assert road.world.bus.of("Step Due") == [{"command": "start_training", "job": run.processing_job}]


def test_one_runs_trouble_fails_the_pass_after_the_others_were_resumed(road: Road) -> None:
    run = begun(road)
    road.prepare(run)
    road.store.put("open-runs/aaa-0123456789", b"")
    children = road.store.children

    def listed(prefix: str) -> list[str]:
        if prefix == "runs/aaa-0123456789/":
            raise ConnectionError("no answer")
        return children(prefix)

    road.store.children = listed  # type: ignore[method-assign]
    with pytest.raises(TransientError, match="1 failed"):
        road.call("resume_runs", {"command": "resume_runs", "cause": "event-1"})
    assert len(road.world.bus.of("Step Due")) == 1
