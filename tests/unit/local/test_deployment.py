"""A deployment's order of events, without a fleet: what is routed, and what ends it."""

from __future__ import annotations

import threading

import pytest

from dropspot_local.sagemaker.deployment import Deployment
from dropspot_local.sagemaker.guardrails import Policy, Shift, policy


class WatchedAlarms:
    """Trips once it has been asked so many times."""

    def __init__(self, trips_after: int = 1000) -> None:
        self.left = trips_after

    def tripped(self) -> list[str]:
        self.left -= 1
        return ["errors"] if self.left < 0 else []


def deployed(plan: Policy, alarms: WatchedAlarms, deadline: float = float("inf")) -> tuple[str | None, list[float]]:
    shares: list[float] = []
    deployment = Deployment(plan, alarms, deadline, route=shares.append, say=lambda *_: None, closed=threading.Event())
    reason = deployment.run()
    if reason:
        deployment.roll_back()
    return reason, shares


def shifts(*counts: int, total: int = 4) -> tuple[Shift, ...]:
    return tuple(Shift(count, total, 0, "WaitIntervalInSeconds") for count in counts)


def test_traffic_moves_in_steps_to_the_whole():
    assert deployed(Policy(shifts(1, 4)), WatchedAlarms()) == (None, [0.25, 1.0])


def test_a_tripped_alarm_ends_the_deployment_where_it_is():
    reason, shares = deployed(Policy(shifts(1, 2, 4)), WatchedAlarms(trips_after=1))
    assert "errors" in str(reason)
    assert shares == [0.25, 0.5, 0.0]


def test_a_deployment_that_takes_too_long_goes_back():
    reason, shares = deployed(Policy(shifts(1, 4), timeout_seconds=600), WatchedAlarms(), deadline=0)
    assert "longer than MaximumExecutionTimeoutInSeconds (600)" in str(reason)
    assert shares == [0.25, 0.0]


@pytest.mark.parametrize(
    ("size", "instances", "shares"),
    [
        ({"Type": "INSTANCE_COUNT", "Value": 1}, 3, [1 / 3, 2 / 3, 1.0]),
        ({"Type": "CAPACITY_PERCENT", "Value": 50}, 4, [0.5, 1.0]),
        ({"Type": "CAPACITY_PERCENT", "Value": 30}, 10, [0.3, 0.6, 0.9, 1.0]),
        ({"Type": "CAPACITY_PERCENT", "Value": 10}, 4, [0.25, 0.5, 0.75, 1.0]),  # at least one instance
    ],
)
def test_batches_are_whole_instances(size, instances, shares):
    rolling = policy({"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": 5}}, instances)
    assert [shift.share for shift in rolling.shifts] == shares


def test_a_rolling_update_goes_back_in_batches_where_that_is_asked():
    size = {"Type": "INSTANCE_COUNT", "Value": 1}
    wanted = {"MaximumBatchSize": size, "WaitIntervalInSeconds": 0, "RollbackMaximumBatchSize": size | {"Value": 2}}
    _, shares = deployed(policy({"RollingUpdatePolicy": wanted}, 4), WatchedAlarms(trips_after=0))
    assert shares == [0.25, 0.5, 0.0]
