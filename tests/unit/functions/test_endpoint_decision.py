from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest

from decision import Action, Situation, decide, superfluous, takes_images
from dropspot.endpoint import Deployment
from dropspot.ports import Endpoint
from dropspot.runs import Run

ASKED = datetime(2026, 1, 2, 12, tzinfo=UTC)
OLD = Deployment(Run("dropspot", "pets-0000000001"), "pets", "2026-01-01T00:00:00Z")
NEW = Deployment(Run("dropspot", "pets-0000000002"), "pets", "2026-01-02T00:00:00Z")


def endpoint(status: str, serving: Deployment = OLD, *, modified: datetime = ASKED - timedelta(hours=1)) -> Endpoint:
    return Endpoint(status, serving.run.endpoint_config, modified)


def situation(
    present: Endpoint | None,
    *,
    desired: Deployment | None = NEW,
    champion: Deployment | None = OLD,
    failed: Collection[Deployment] = (),
    asked: Collection[Deployment] = (),
) -> Situation:
    return Situation(present, desired, champion, lambda run: run in failed, lambda run: ASKED if run in asked else None)


def test_nothing_wanted_is_nothing_done() -> None:
    assert decide(situation(None, desired=None, champion=None)) is Action.WAIT


def test_the_first_model_creates_the_endpoint() -> None:
    assert decide(situation(None, champion=None)) is Action.CREATE


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"])
def test_an_endpoint_in_between_is_left_alone(status: str) -> None:
    assert decide(situation(endpoint(status))) is Action.WAIT


def test_a_newer_model_replaces_the_one_in_service() -> None:
    assert decide(situation(endpoint("InService"))) is Action.UPDATE


def test_the_wanted_model_in_service_is_recorded() -> None:
    assert decide(situation(endpoint("InService", NEW))) is Action.PROMOTE


def test_an_old_config_after_the_update_was_asked_for_is_a_rollback() -> None:
    after = endpoint("InService", modified=ASKED + timedelta(minutes=5))
    assert decide(situation(after, asked={NEW})) is Action.GIVE_UP


def test_an_update_that_was_written_down_but_never_asked_for_is_asked_for() -> None:
    assert decide(situation(endpoint("InService"), asked={NEW})) is Action.UPDATE


def test_a_failed_deployment_leaves_the_champion_in_service() -> None:
    assert decide(situation(endpoint("InService"), failed={NEW})) is Action.PROMOTE


@pytest.mark.parametrize("status", ["Failed", "OutOfService", "UpdateRollbackFailed"])
def test_a_broken_endpoint_is_deleted(status: str) -> None:
    assert decide(situation(endpoint(status, NEW))) is Action.DELETE


def test_after_a_broken_endpoint_the_champion_comes_back() -> None:
    gone = situation(None, failed={NEW}, asked={NEW, OLD})
    assert (decide(gone), gone.target) == (Action.CREATE, OLD)


def test_a_first_model_that_failed_is_not_tried_for_ever() -> None:
    assert decide(situation(None, champion=None, failed={NEW})) is Action.WAIT


@pytest.mark.parametrize(
    ("status", "wanted"), [("InService", True), ("Updating", True), ("Creating", False), ("Failed", False)]
)
def test_images_are_taken_while_something_answers(status: str, wanted: bool) -> None:
    assert takes_images(endpoint(status)) is wanted
    assert not takes_images(None)


def test_the_oldest_configs_go_and_the_needed_ones_stay() -> None:
    assert superfluous(["a", "b", "c", "d"], needed={"a", "d"}, keep=1) == ["b"]
    assert superfluous(["a", "b"], needed={"b"}, keep=2) == []
