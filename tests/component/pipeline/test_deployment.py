"""Putting a model into service: what SageMaker is asked, what is proven before the model counts, what remains after."""

from contextlib import suppress
from typing import Any

import pytest
from road import GUARDRAILS, Road, begun, state

from dropspot.errors import InvalidInputError, TransientError
from dropspot.runs import Run
from dropspot.service_models import assert_valid_request

ENDPOINT = "dropspot-endpoint"


def successor(road: Road, number: int = 1) -> Run:
    """Deploy a first model and take a second through the gate."""
    if not road.runs:
        road.deploy(begun(road))
    road.world.clock.advance(100)
    road.retrain(f"event-{number}")
    road.judge(road.runs[-1])
    return road.runs[-1]


def asked(road: Road, run: Run) -> dict[str, Any]:
    request: dict[str, Any] = road.store.json(run.key("deploy.json"))["request"]
    return request


def test_the_first_model_needs_no_guardrails_and_its_successor_is_watched(road: Road) -> None:
    first = begun(road)
    road.deploy(first)
    assert "DeploymentConfig" not in asked(road, first)
    assert road.world.alarms.requests == {}
    second = successor(road)
    road.reconcile()
    request = asked(road, second)
    assert_valid_request("sagemaker", "UpdateEndpoint", request)
    alarms = [alarm["AlarmName"] for alarm in request["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]]
    assert alarms == [second.name("errors"), second.name("latency")] == list(road.world.alarms.requests)


def test_models_of_other_classes_replace_each_other_all_at_once(road: Road) -> None:
    second = successor(road)
    road.store.put_json(second.key("prepared", "classes.json"), {"classes": ["cat", "dog"]})
    road.reconcile()
    assert "DeploymentConfig" not in asked(road, second)
    assert road.world.hosting.endpoints[ENDPOINT].status == "Updating"
    road.come_up()
    road.reconcile()
    assert state(road, second) == "deployed"


def test_an_endpoint_whose_variant_bears_a_run_s_id_is_replaced_all_at_once(road: Road) -> None:
    second = successor(road)
    hosting = road.world.hosting
    first_config = hosting.endpoints[ENDPOINT].config
    hosting.configs[first_config]["ProductionVariants"][0]["VariantName"] = "pets-0123456789"
    hosting.settle(ENDPOINT)
    road.reconcile()
    assert "DeploymentConfig" not in asked(road, second)


IMPOSSIBLE = GUARDRAILS | {"strategy": "canary"}


def test_parameters_that_cannot_be_are_told_once_and_hold_only_the_change_back() -> None:
    road = Road(guardrails=IMPOSSIBLE)
    road.judge(begun(road))
    for _ in range(3):
        road.reconcile()
    assert road.world.hosting.endpoints == {}
    assert not road.world.bus.of("Run Failed")
    [told] = road.world.bus.of("Endpoint Stuck")
    assert told["notice"].startswith("The endpoint is not what it should be: the stack's parameters can't be: canary")
    road.changes = {}
    road.reconcile()
    road.come_up()
    road.changes = {"guardrails": IMPOSSIBLE}
    road.world.intake.set_open("mapping", False)  # as the stack update does that brought the wrong parameters
    road.reconcile()
    assert road.store.json("endpoint/champion.json")["run_id"] == road.runs[0].run_id
    assert road.world.intake.is_open("mapping")
    road.changes = {}
    road.reconcile()
    road.changes = {"guardrails": IMPOSSIBLE}
    road.reconcile()
    assert len(road.world.bus.of("Endpoint Stuck")) == 2  # they were right in between


def test_a_mistake_made_again_while_nothing_is_wanted_is_told_of_again(road: Road) -> None:
    for episode in (1, 2):
        road.changes = {"guardrails": IMPOSSIBLE}
        for _ in range(2):
            road.reconcile()
        assert len(road.world.bus.of("Endpoint Stuck")) == episode
        road.changes = {}
        road.reconcile()


def test_a_champion_that_does_not_come_up_is_told_of_once_and_tried_again(road: Road) -> None:
    road.deploy(begun(road))
    for episode in (1, 2):
        for _ in range(3):
            road.come_up("Failed", reason="the container didn't answer a ping")
            road.reconcile()
            assert road.world.hosting.endpoints == {}
            road.reconcile()
        told = road.world.bus.of("Endpoint Stuck")
        assert len(told) == episode
        assert told[-1]["notice"].endswith("the container didn't answer a ping")
        road.come_up()
        road.reconcile()
        assert road.store.json("endpoint/stuck.json")["message"] == ""
    assert not road.world.bus.of("Run Failed")


def test_a_model_whose_files_are_gone_fails_and_the_passes_go_on(road: Road) -> None:
    second = successor(road)
    road.store.delete(second.key("prepared", "classes.json"))
    road.reconcile()
    assert "classes.json" in road.store.json(second.key("failure.json"))["message"]
    road.reconcile()
    assert road.world.intake.is_open("mapping")


def test_changed_parameters_make_a_config_that_waits_over(road: Road) -> None:
    second = successor(road)
    road.reconcile()
    road.world.clock.advance(60)
    road.come_up(config=road.runs[0].endpoint_config, reason="alarm")
    road.reconcile()
    road.changes = {"endpoint_instance_count": 2, "guardrails": GUARDRAILS | {"strategy": "canary"}}
    third = successor(road, 2)
    road.reconcile()
    road.come_up()
    road.reconcile()
    road.world.clock.advance(100)
    road.roll_back(road.runs[0])
    road.reconcile()
    [variant] = road.world.hosting.configs[road.runs[0].endpoint_config]["ProductionVariants"]
    assert variant["InitialInstanceCount"] == 2
    assert asked(road, road.runs[0])["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert {state(road, second), state(road, third)} == {"failed", "deployed"}


def test_a_model_is_champion_only_after_its_smoke_test(road: Road) -> None:
    road.deploy(begun(road))
    assert road.store.json("endpoint/champion.json")["smoke_test"] == {"pictures": 1}
    assert road.world.inference.images == [road.runs[0].run_id.encode()]


WRONG = {
    "other boxes": [[0, 0.9, 0.6, 0.6, 0.9, 0.9]],
    "other scores": [[0, 0.6, 0.1, 0.1, 0.5, 0.5]],
    "too many": [[0, 0.9, 0.1, 0.1, 0.5, 0.5], [0, 0.8, 0.6, 0.6, 0.9, 0.9]],
    "nothing": [],
    "no such class": [[1, 0.9, 0.1, 0.1, 0.5, 0.5]],
    "no such score": [[0, 1.9, 0.1, 0.1, 0.5, 0.5]],
    "no such box": [[0, 0.9, 0.1, 0.1, 50.0, 50.0]],
    "not six numbers": [[0, 0.9, 0.1]],
    "no number": [[0, float("nan"), 0.1, 0.1, 0.5, 0.5]],
    "beyond every number": [[0, 0.9, 10**400, 0.1, 0.5, 0.5]],
}


@pytest.mark.parametrize("rows", WRONG.values(), ids=WRONG)
def test_a_model_that_fails_its_smoke_test_gives_way_to_the_champion(road: Road, rows: Any) -> None:
    second = successor(road)
    road.reconcile()
    road.come_up()
    variant = road.world.hosting.endpoints[ENDPOINT].variant
    road.world.inference.serve(ENDPOINT, variant, lambda image: rows)
    road.reconcile()
    assert not road.world.intake.is_open("mapping")
    failure = road.store.json(second.key("failure.json"))
    assert failure["message"].startswith("the smoke test failed with the held-out picture a.jpg: ")
    road.reconcile()
    assert road.world.hosting.pending[ENDPOINT] == road.runs[0].endpoint_config
    assert not road.world.intake.is_open("mapping")
    road.come_up()
    road.reconcile()
    assert road.store.json("endpoint/champion.json")["run_id"] == road.runs[0].run_id
    assert road.world.intake.is_open("mapping")
    assert len(road.world.bus.of("Run Failed")) == 1


def test_a_first_model_that_fails_its_smoke_test_is_taken_out_of_service(road: Road) -> None:
    first = begun(road)
    road.judge(first)
    road.reconcile()
    road.come_up()
    road.world.inference.serve(ENDPOINT, "v", lambda image: [])
    road.reconcile()
    assert not road.world.intake.is_open("mapping")
    for _ in range(3):
        road.reconcile()
    assert road.world.hosting.endpoints == {}
    assert state(road, first) == "failed"
    road.world.clock.advance(100)
    road.retrain("event-1", {"dataset": "pets"})
    road.deploy(road.runs[1])
    assert state(road, road.runs[1]) == "deployed"


def test_a_first_model_stands_in_for_one_that_took_its_place_and_failed_its_smoke_test(road: Road) -> None:
    first = begun(road)
    road.judge(first)
    road.reconcile()
    second = successor(road)  # wanted before the first has been proven
    road.come_up()
    road.reconcile()
    road.world.clock.advance(100)
    road.come_up()
    road.world.inference.serve(ENDPOINT, road.world.hosting.endpoints[ENDPOINT].variant, lambda image: [])
    for _ in range(2):
        road.reconcile()
    road.come_up()
    road.reconcile()
    assert (state(road, second), state(road, first)) == ("failed", "deployed")
    assert road.store.json("endpoint/champion.json")["run_id"] == first.run_id


def test_small_differences_between_machines_pass_the_smoke_test(road: Road) -> None:
    successor(road)
    road.reconcile()
    road.come_up()
    rows = [[0, 0.8, 0.12, 0.11, 0.51, 0.49], [0, 0.45, 0.6, 0.6, 0.9, 0.9]]
    road.world.inference.serve(ENDPOINT, "v", lambda image: rows)
    road.reconcile()
    assert state(road, road.runs[1]) == "deployed"


@pytest.mark.parametrize(("failures", "outcome"), [(1, "deployed"), (2, "failed")])
def test_a_busy_endpoint_is_asked_twice(road: Road, failures: int, outcome: str) -> None:
    successor(road)
    road.reconcile()
    road.come_up()
    left = [failures]

    def busy(image: bytes) -> list[list[float]]:
        left[0] -= 1
        if left[0] >= 0:
            raise TransientError("invoke: the model's container answered 503")
        return road.recorded(road.runs[1])

    road.world.inference.serve(ENDPOINT, "v", busy)
    road.reconcile()
    assert state(road, road.runs[1]) == outcome


def test_configs_models_and_alarms_of_those_who_won_t_come_back_go(road: Road) -> None:
    for number in range(4):
        successor(road, number)
        road.reconcile()
        road.come_up()
        road.reconcile()
    kept = road.runs[-2:]  # keep_configs is 1
    hosting = road.world.hosting
    assert set(hosting.configs) == {run.endpoint_config for run in kept}
    assert set(hosting.models) == {run.model for run in kept}
    assert set(road.world.alarms.requests) == {run.name(name) for run in kept for name in ("errors", "latency")}


@pytest.mark.parametrize("error", [TransientError("list_models: ThrottlingException"), ConnectionError("no answer")])
def test_a_clean_up_that_fails_keeps_no_model_out_and_is_tried_again(
    road: Road, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begun(road)
    road.judge(first)
    road.reconcile()
    road.come_up()
    hosting = road.world.hosting
    hosting.models["dropspot-pets-0123456789-model"] = {}  # of a run that nobody goes back to

    def failing(prefix: str) -> list[str]:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(hosting, "model_names", failing)
        for _ in range(3):
            with suppress(ConnectionError):
                road.reconcile()
        assert road.store.json("endpoint/champion.json")["run_id"] == first.run_id
        assert road.world.intake.is_open("mapping")
        assert len(road.world.bus.of("Model Deployed")) == 1
    road.reconcile()
    assert set(hosting.models) == {first.model}


def test_nothing_is_listed_where_nothing_has_changed(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    road.deploy(begun(road))
    monkeypatch.delattr(type(road.world.hosting), "model_names")
    road.reconcile()


def test_models_of_refused_and_failed_runs_go_and_those_under_evaluation_stay(road: Road) -> None:
    hosting = road.world.hosting
    hosting.models["dropspot-experiment"] = hosting.models["dropspot-pets-0123456789-train"] = {}  # somebody else's
    champion = begun(road)
    road.deploy(champion)
    road.world.clock.advance(100)
    road.retrain("event-refused")
    refused = road.runs[-1]
    road.judge(refused, good=False)
    broken = successor(road, 1)
    road.reconcile()
    road.world.clock.advance(60)
    road.come_up(config=champion.endpoint_config, reason="alarm")
    road.reconcile()
    road.retrain("event-slow")
    slow = road.runs[-1]
    road.prepare(slow, held_out="b.jpg")
    road.command("start_training", slow, "prep")
    road.train(slow)
    road.command("start_evaluation", slow, "train")
    assert slow.model in hosting.models
    assert not {refused.model, broken.model} & set(hosting.models)
    latest = [champion]
    for number in (2, 3):  # keep_configs is 1
        latest.append(successor(road, number))
        road.reconcile()
        road.come_up()
        road.reconcile()
    assert road.store.json(slow.key("eval.json"))["champion"]["run_id"] == champion.run_id
    strangers = {"dropspot-experiment", "dropspot-pets-0123456789-train"}
    assert set(hosting.models) == {run.model for run in (*latest, slow)} | strangers
    assert set(hosting.configs) == {run.endpoint_config for run in latest[1:]}


def test_the_stand_in_is_deployed_where_the_later_run_fails(road: Road) -> None:
    road.deploy(begun(road))
    earlier = successor(road, 1)
    later = successor(road, 2)
    road.reconcile()
    road.world.clock.advance(60)
    road.come_up(config=road.runs[0].endpoint_config, reason="alarm")
    for _ in range(2):
        road.reconcile()
    road.come_up()
    road.reconcile()
    assert (state(road, later), state(road, earlier)) == ("failed", "deployed")


@pytest.mark.parametrize("status", ["Updating", "InService"])
def test_an_update_that_was_not_accepted_does_not_count_as_having_come_back(
    road: Road, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = successor(road)
    hosting = road.world.hosting

    def refused(request: Any) -> None:
        if status == "InService":
            raise TransientError("update_endpoint: ThrottlingException")
        hosting.settle(ENDPOINT, status)  # as when it began to scale after it was looked at
        raise InvalidInputError("SageMaker refused update_endpoint: Cannot update in-progress endpoint")

    with monkeypatch.context() as patch, suppress(TransientError):
        patch.setattr(hosting, "update_endpoint", refused)
        road.reconcile()
    road.world.clock.advance(60)
    hosting.settle(ENDPOINT)
    for _ in range(2):
        road.reconcile()
        road.come_up()
    road.reconcile()
    assert road.store.json("endpoint/champion.json")["run_id"] == second.run_id


def test_an_endpoint_that_vanishes_while_it_is_asked_fails_nobody(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    second = successor(road)
    hosting = road.world.hosting

    def vanished(request: Any) -> None:
        hosting.delete_endpoint(ENDPOINT)
        raise InvalidInputError("SageMaker refused update_endpoint: Could not find endpoint")

    with monkeypatch.context() as patch:
        patch.setattr(hosting, "update_endpoint", vanished)
        road.reconcile()
    road.reconcile()
    road.come_up()
    road.reconcile()
    assert state(road, second) == "deployed"
