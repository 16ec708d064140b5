from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from decision import Action, Situation, decide, superfluous, takes_images
from dropspot.endpoint import Deployment
from dropspot.ports import Endpoint
from dropspot.runs import Run

ASKED = datetime(2026, 1, 2, 12, tzinfo=UTC)
OLD = Deployment(Run("dropspot", "pets-0000000001"), "pets", "2026-01-01T00:00:00Z")
NEW = Deployment(Run("dropspot", "pets-0000000002"), "pets", "2026-01-02T00:00:00Z")
NEWER = Deployment(Run("dropspot", "pets-0000000003"), "pets", "2026-01-03T00:00:00Z")
BACK = replace(OLD, requested_at="2026-01-04T00:00:00Z")


def endpoint(status: str, serving: Deployment = OLD, *, modified: datetime = ASKED - timedelta(hours=1)) -> Endpoint:
    return Endpoint(status, serving.run.endpoint_config, modified)


def situation(
    present: Endpoint | None,
    *wanted: Deployment,
    champion: Deployment | None = OLD,
    failed: Collection[Deployment] = (),
    asked: Collection[Deployment] = (),
) -> Situation:
    return Situation(
        present,
        wanted or (NEW,),
        champion,
        lambda candidate: candidate in failed,
        lambda candidate: ASKED if candidate in asked else None,
    )


def test_nothing_wanted_is_nothing_done() -> None:
    assert decide(replace(situation(None, champion=None), wanted=())) is Action.WAIT


def test_the_first_model_creates_the_endpoint() -> None:
    assert decide(situation(None, champion=None)) is Action.CREATE


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"])
def test_an_endpoint_in_between_is_left_alone(status: str) -> None:
    assert decide(situation(endpoint(status))) is Action.WAIT


def test_a_newer_model_replaces_the_one_in_service() -> None:
    assert decide(situation(endpoint("InService"))) is Action.UPDATE


def test_the_wanted_model_in_service_is_recorded() -> None:
    assert decide(situation(endpoint("InService", NEW))) is Action.PROMOTE


@pytest.mark.parametrize("champion", [OLD, None])
def test_a_model_whose_place_was_taken_by_one_that_failed_is_asked_for_again(champion: Deployment | None) -> None:
    times = {NEW: ASKED, NEWER: ASKED + timedelta(minutes=5)}
    present = endpoint("InService", NEWER, modified=ASKED + timedelta(minutes=9))
    found = replace(
        situation(present, NEWER, NEW, champion=champion, failed=[NEWER]),
        asked_at=times.get,
    )
    assert decide(found) is Action.UPDATE
    again = replace(found, asked_at=(times | {NEW: ASKED + timedelta(minutes=8)}).get)
    assert decide(again) is Action.GIVE_UP


def test_an_old_config_after_the_update_was_asked_for_is_a_rollback() -> None:
    after = endpoint("InService", modified=ASKED + timedelta(minutes=5))
    assert decide(situation(after, asked={NEW})) is Action.GIVE_UP


def test_an_update_that_was_written_down_but_never_asked_for_is_asked_for() -> None:
    assert decide(situation(endpoint("InService"), asked={NEW})) is Action.UPDATE


def test_a_failed_deployment_leaves_the_champion_in_service() -> None:
    assert decide(situation(endpoint("InService"), failed={NEW})) is Action.PROMOTE


def test_the_candidate_behind_stands_in_for_one_that_failed() -> None:
    found = situation(endpoint("InService"), NEWER, NEW, OLD, failed={NEWER})
    assert (found.target, decide(found)) == (NEW, Action.UPDATE)


def test_what_came_before_the_champion_stands_in_for_nobody() -> None:
    found = situation(endpoint("InService", NEW), NEWER, OLD, champion=NEW, failed={NEWER})
    assert found.target == NEW


def test_a_rollback_that_failed_leaves_the_champion_in_service() -> None:
    found = situation(endpoint("InService", NEW), BACK, champion=NEW, failed={BACK})
    assert (found.target, decide(found)) == (NEW, Action.PROMOTE)


def test_a_champion_never_counts_as_failed() -> None:
    found = situation(endpoint("InService", NEW), NEW, champion=NEW, failed={NEW})
    assert (found.target, decide(found)) == (NEW, Action.PROMOTE)


def test_a_champion_that_is_not_there_is_asked_for_again_and_again() -> None:
    after = endpoint("InService", NEW, modified=ASKED + timedelta(minutes=5))
    assert decide(situation(after, OLD, asked={OLD})) is Action.UPDATE


@pytest.mark.parametrize("status", ["Failed", "OutOfService", "UpdateRollbackFailed"])
def test_a_broken_endpoint_is_deleted(status: str) -> None:
    assert decide(situation(endpoint(status, NEW))) is Action.DELETE


def test_after_a_broken_endpoint_the_champion_comes_back() -> None:
    gone = situation(None, failed={NEW}, asked={NEW, OLD})
    assert (decide(gone), gone.target) == (Action.CREATE, OLD)


def test_a_first_model_that_failed_is_not_tried_for_ever() -> None:
    assert decide(situation(None, champion=None, failed={NEW})) is Action.WAIT


def test_a_first_model_that_failed_in_service_is_taken_out_of_it() -> None:
    assert decide(situation(endpoint("InService", NEW), champion=None, failed={NEW})) is Action.DELETE


@pytest.mark.parametrize(
    ("status", "wanted"), [("InService", True), ("Updating", True), ("Creating", False), ("Failed", False)]
)
def test_images_are_taken_while_something_answers(status: str, wanted: bool) -> None:
    assert takes_images(situation(endpoint(status))) is wanted
    assert not takes_images(situation(None))


def test_images_wait_until_the_first_model_is_proven() -> None:
    assert not takes_images(situation(endpoint("InService", NEW), champion=None))


@pytest.mark.parametrize("status", ["InService", "Updating", "RollingBack"])
def test_images_wait_while_a_model_that_failed_answers(status: str) -> None:
    assert not takes_images(situation(endpoint(status, NEW), failed={NEW}))
    assert takes_images(situation(endpoint(status, OLD), failed={NEW}))


@pytest.mark.parametrize("status", ["InService", "Updating"])
def test_images_wait_while_a_model_answers_that_was_called_off(status: str) -> None:
    assert not takes_images(situation(endpoint(status, NEW), BACK))


def test_configs_that_nobody_needs_go() -> None:
    assert superfluous(["a", "b", "c", "d"], needed={"a", "d"}) == ["b", "c"]
