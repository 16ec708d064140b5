"""Going back to a model of before: asked for by name or not, in whichever state the endpoint is."""

from dataclasses import replace

import pytest
from road import Road, begun, state

from dropspot.runs import Run
from dropspot.settled import Settled


def retrained(road: Road, number: int) -> Run:
    road.world.clock.advance(100)
    road.retrain(f"event-{number}")
    return road.runs[-1]


@pytest.fixture
def three(road: Road) -> list[Run]:
    """Three runs that were in service one after the other."""
    road.deploy(begun(road))
    for number in range(2):
        road.deploy(retrained(road, number))
    road.world.clock.advance(100)
    return road.runs


def settled(road: Road) -> str:
    """Let everything come to rest; return the champion's id."""
    for _ in range(3):
        road.reconcile()
        if road.world.hosting.endpoints["dropspot-endpoint"].status != "InService":
            road.come_up()
    road.reconcile()
    champion: str = road.store.json("endpoint/champion.json")["run_id"]
    assert road.world.hosting.endpoints["dropspot-endpoint"].config == f"dropspot-{champion}-config"
    return champion


def test_the_champion_before_comes_back(road: Road, three: list[Run]) -> None:
    road.roll_back()
    assert settled(road) == three[1].run_id
    assert len(road.world.bus.of("Rollback Failed")) == 0


def test_going_back_twice_leads_further_back_and_then_no_further(road: Road, three: list[Run]) -> None:
    road.roll_back()
    settled(road)
    road.world.clock.advance(10)
    road.roll_back()
    assert settled(road) == three[0].run_id
    road.world.clock.advance(10)
    road.roll_back()
    assert settled(road) == three[0].run_id
    assert "no model was in service before" in road.world.bus.of("Rollback Failed")[0]["notice"]


def test_a_request_that_comes_twice_leads_back_once(road: Road, three: list[Run]) -> None:
    requested_at = road.now
    road.roll_back(requested_at=requested_at)
    assert settled(road) == three[1].run_id
    road.world.clock.advance(100)
    road.roll_back(requested_at=requested_at)
    assert settled(road) == three[1].run_id


def test_somebody_else_s_endpoint_config_is_left_alone(road: Road) -> None:
    run = begun(road)
    foreign = {"EndpointConfigName": "dropspot-experiment", "ProductionVariants": [{"VariantName": "a"}]}
    road.world.hosting.configs["dropspot-experiment"] = foreign
    road.deploy(run)
    assert road.store.json("endpoint/champion.json")["run_id"] == run.run_id
    assert "dropspot-experiment" in road.world.hosting.configs


def test_a_model_and_config_that_were_removed_are_made_again(road: Road, three: list[Run]) -> None:
    oldest = three[0]  # keep_configs is 1
    assert oldest.model not in road.world.hosting.models
    assert oldest.endpoint_config not in road.world.hosting.configs
    road.roll_back(oldest)
    assert settled(road) == oldest.run_id
    assert oldest.model in road.world.hosting.models


def test_the_way_forward_again_is_a_rollback_by_name(road: Road, three: list[Run]) -> None:
    road.roll_back()
    settled(road)
    road.world.clock.advance(10)
    road.roll_back(three[2])
    assert settled(road) == three[2].run_id
    assert road.store.json("endpoint/champion.json")["before"] == [three[1].run_id, three[0].run_id]


def test_a_retraining_that_begins_later_wins_again(road: Road, three: list[Run]) -> None:
    road.roll_back()
    settled(road)
    later = retrained(road, 7)
    road.judge(later)
    assert settled(road) == later.run_id


def test_a_run_that_was_under_way_is_judged_and_not_deployed(road: Road, three: list[Run]) -> None:
    under_way = retrained(road, 7)
    road.world.clock.advance(10)
    road.roll_back()
    road.judge(under_way)
    assert settled(road) == three[1].run_id
    assert "a rollback to it was requested later" in road.store.json(under_way.key("verdict.json"))["rule"]


def test_an_event_that_comes_late_does_not_undo_what_came_after(road: Road, three: list[Run]) -> None:
    requested = road.world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    later = retrained(road, 7)
    road.deploy(later)
    road.roll_back(three[0], requested_at=requested)
    assert settled(road) == later.run_id
    assert "its run began later" in road.world.bus.of("Rollback Failed")[0]["notice"]


def test_the_late_echo_of_an_evaluation_does_not_undo_a_rollback(road: Road, three: list[Run]) -> None:
    road.roll_back()
    settled(road)
    road.command("deploy_model", three[2], "eval")
    assert settled(road) == three[1].run_id
    assert road.store.json(three[2].key("verdict.json"))["rule"].startswith("mAP")


def test_a_rollback_whose_deployment_fails_leaves_the_champion_and_the_run_as_they_are(
    road: Road, three: list[Run]
) -> None:
    road.roll_back()
    road.reconcile()
    road.world.clock.advance(60)
    road.come_up(config=three[2].endpoint_config, reason="no capacity")
    assert settled(road) == three[2].run_id
    [told] = road.world.bus.of("Rollback Failed")
    assert told["notice"] == f"The rollback to run {three[1].run_id} failed: no capacity"
    assert state(road, three[1]) == "deployed"
    road.world.clock.advance(60)
    road.roll_back()  # and it may be tried again
    assert settled(road) == three[1].run_id


def test_a_rollback_to_the_champion_calls_off_what_is_being_deployed(road: Road, three: list[Run]) -> None:
    road.judge(retrained(road, 7))
    road.reconcile()
    road.world.clock.advance(10)
    road.roll_back(three[2])
    assert settled(road) == three[2].run_id


def test_a_model_that_is_called_off_gets_no_image_and_leaves_word(road: Road, three: list[Run]) -> None:
    champion, since = three[2], road.store.json("endpoint/champion.json")["in_service_since"]
    candidate = retrained(road, 7)
    road.judge(candidate)
    road.reconcile()
    road.world.clock.advance(10)
    road.roll_back()
    road.reconcile()
    assert road.world.intake.is_open("mapping")  # the champion still answers
    road.world.clock.advance(60)
    road.come_up()
    road.reconcile()
    assert not road.world.intake.is_open("mapping")
    road.world.clock.advance(60)
    came_back = road.now
    assert settled(road) == champion.run_id
    assert road.world.intake.is_open("mapping")
    assert road.store.json("endpoint/champion.json")["in_service_since"] == came_back > since
    assert state(road, candidate) == "overtaken"
    said = road.store.json(candidate.key("overtaken.json"))["message"]
    assert said == f"not deployed: {champion.run_id} is wanted in service, a rollback to it was requested later"
    road.world.clock.advance(60)
    road.reconcile()
    assert road.store.json("endpoint/champion.json")["in_service_since"] == came_back


def test_a_candidate_that_a_later_one_overtakes_on_its_way_leaves_word(road: Road, three: list[Run]) -> None:
    earlier = retrained(road, 7)
    road.judge(earlier)
    road.reconcile()
    later = retrained(road, 8)
    road.judge(later)
    assert settled(road) == later.run_id
    assert state(road, earlier) == "overtaken"
    assert "its run began later" in road.store.json(earlier.key("overtaken.json"))["message"]


@pytest.mark.parametrize("is_champion_by_then", [False, True])
def test_a_rollback_during_a_deployment_leads_to_the_model_before_it(
    road: Road, three: list[Run], is_champion_by_then: bool
) -> None:
    latest = retrained(road, 7)
    road.judge(latest)
    road.reconcile()
    if is_champion_by_then:
        assert settled(road) == latest.run_id
    road.world.clock.advance(10)
    road.roll_back()
    assert settled(road) == three[2].run_id
    road.world.clock.advance(10)
    road.roll_back()
    assert settled(road) == three[1].run_id


@pytest.mark.parametrize("end", ["taken back", "called off", "called off, and taken back", "in service"])
def test_nobody_answers_alone_before_a_deployment_has_ended_and_whoever_does_then_begins_anew(
    road: Road, three: list[Run], end: str
) -> None:
    before = Settled.read(road.store)
    assert before is not None
    assert before.run_id == three[-1].run_id
    road.judge(retrained(road, 3))
    road.reconcile()
    assert Settled.read(road.store) is None
    if end.startswith("called off"):
        road.roll_back(three[-1])
        road.reconcile()
        assert Settled.read(road.store) is None
    road.world.clock.advance(100)
    road.come_up(config=three[-1].endpoint_config if end.endswith("taken back") else None)
    champion = settled(road)
    after = Settled.read(road.store)
    assert after is not None
    assert after.run_id == champion
    assert (champion == road.runs[-1].run_id) == (end == "in service")
    assert after.since >= road.world.clock.now() > before.since


def test_a_model_answers_alone_while_its_endpoint_is_only_scaled(road: Road, three: list[Run]) -> None:
    before = Settled.read(road.store)
    endpoints = road.world.hosting.endpoints
    road.world.clock.advance(100)
    for status in ("Updating", "InService"):
        endpoints["dropspot-endpoint"] = replace(endpoints["dropspot-endpoint"], status=status)
        road.reconcile()
        assert Settled.read(road.store) == before


@pytest.mark.parametrize("comes_late", [False, True])
def test_a_rollback_requested_before_a_deployment_failed_means_the_same_whenever_it_comes(
    road: Road, three: list[Run], comes_late: bool
) -> None:
    road.judge(retrained(road, 7))
    road.reconcile()
    road.world.clock.advance(10)
    requested_at = road.now
    if not comes_late:
        road.roll_back(requested_at=requested_at)
    road.world.clock.advance(60)
    road.come_up(config=three[2].endpoint_config, reason="alarm")
    road.reconcile()
    if comes_late:
        road.roll_back(requested_at=requested_at)
    assert settled(road) == three[2].run_id


def test_a_rollback_requested_before_a_rollback_failed_means_the_same_when_it_comes_late(
    road: Road, three: list[Run]
) -> None:
    road.roll_back()
    road.reconcile()
    road.world.clock.advance(10)
    requested_at = road.now
    road.world.clock.advance(60)
    road.come_up(config=three[2].endpoint_config, reason="alarm")
    road.reconcile()
    road.roll_back(requested_at=requested_at)
    assert settled(road) == three[0].run_id


def test_a_rollback_during_a_rollback_leads_further_back(road: Road, three: list[Run]) -> None:
    road.roll_back()
    road.reconcile()
    road.world.clock.advance(10)
    road.roll_back()
    assert settled(road) == three[0].run_id


def test_a_rollback_after_a_deployment_has_failed_leads_to_the_champion_before(road: Road, three: list[Run]) -> None:
    road.judge(retrained(road, 7))
    road.reconcile()
    road.world.clock.advance(60)
    road.come_up(config=three[2].endpoint_config, reason="no capacity")
    assert settled(road) == three[2].run_id
    road.world.clock.advance(10)
    road.roll_back()
    assert settled(road) == three[1].run_id


def test_a_rollback_while_the_first_model_comes_into_service_has_nowhere_to_go(road: Road) -> None:
    run = begun(road)
    road.judge(run)
    road.reconcile()
    road.roll_back()
    assert "no model was in service before" in road.world.bus.of("Rollback Failed")[0]["notice"]
    assert settled(road) == run.run_id


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"run_id": "pets-ffffffffff"}, "there is no run pets-ffffffffff"),
        ({"run_id": "no id"}, "'no id' is no run's id"),
        ({"run_id": ["pets"]}, "is no run's id"),
        ("pets", "'pets' is no run's id"),
    ],
)
def test_a_wrong_request_is_told_and_changes_nothing(road: Road, three: list[Run], request_: object, told: str) -> None:
    event = {"command": "restore_model", "request": request_, "cause": "e", "requested_at": "2027-01-01T00:00:00Z"}
    road.call("restore_model", event)
    assert told in road.world.bus.of("Rollback Failed")[0]["notice"]
    assert settled(road) == three[2].run_id


def test_a_run_that_was_never_in_service_is_no_rollback(road: Road, three: list[Run]) -> None:
    refused = retrained(road, 7)
    road.judge(refused, good=False)
    road.roll_back(refused)
    assert "has never been in service" in road.world.bus.of("Rollback Failed")[0]["notice"]
    assert settled(road) == three[2].run_id
