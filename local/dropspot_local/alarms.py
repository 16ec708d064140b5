"""CloudWatch's alarms, evaluated as CloudWatch does it where ministack does something else.

ministack looks at an alarm only when data are put, takes the points of every dimension of a metric for the alarm's, and
knows neither "M out of N" nor the treatment of missing data. A rollback by such an alarm would prove nothing.

Periods are counted back from now, not from the clock's full minutes, so an alarm changes within a second of its data.
"""

# ruff: noqa: SLF001 - hooks reach into ministack by design; hooks.NEEDED lists the names

from __future__ import annotations

import logging
import operator
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch

logger = logging.getLogger("dropspot_local")

INTERVAL_SECONDS = 1.0
SET_STAYS_SECONDS = 3
"""How long a state stays that has just begun: what SetAlarmState set would otherwise be gone before anybody saw it."""
_BREACHES: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
Alarm = dict[str, Any]


def evaluate_alarms_as_cloudwatch() -> None:
    """Replace the evaluation, and repeat it every second: alarms change when data stay away, too."""
    cloudwatch._evaluate_alarm = evaluate

    def repeat() -> None:
        while True:
            time.sleep(INTERVAL_SECONDS)
            try:
                cloudwatch._evaluate_all_alarms()
            except Exception:  # alarms come and go meanwhile; the next second looks again
                logger.exception("Alarms not evaluated")

    threading.Thread(target=repeat, name="alarms", daemon=True).start()


def evaluate(alarm: Alarm) -> None:
    """Give the alarm the state that its datapoints lead to, and do what it says for that state."""
    now = time.time()
    old = alarm["StateValue"]
    if alarm.get("ComparisonOperator") not in _BREACHES or not alarm.get("MetricName"):
        return
    if old != "INSUFFICIENT_DATA" and now - alarm.get("StateUpdatedTimestamp", 0) < SET_STAYS_SECONDS:
        return
    values = datapoints(alarm, now)
    new = state(alarm, values)
    if new is None or new == old:
        return
    reason = (
        f"Threshold Crossed: the last datapoints {values} against {alarm['ComparisonOperator']} {alarm['Threshold']}"
    )
    alarm.update(StateValue=new, StateReason=reason, StateUpdatedTimestamp=int(now))
    cloudwatch._record_history(alarm["AlarmName"], old, new, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def datapoints(alarm: Alarm, now: float) -> list[float | None]:
    """The statistic of each of the last periods, the newest first; None where nothing was put."""
    dimensions = {item["Name"]: item["Value"] for item in alarm.get("Dimensions") or []}
    points = _points(alarm["Namespace"], alarm["MetricName"], dimensions)
    period = alarm.get("Period", 60)
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    values: list[float | None] = []
    for index in range(alarm.get("EvaluationPeriods", 1)):
        first, last = now - period * (index + 1), now - period * index
        inside = [point for point in points if first < point["Timestamp"] <= last]
        statistics = cloudwatch._calc_stats(inside)
        values.append(cloudwatch._stat_value(statistics, statistic, inside) if statistics else None)
    return values


def state(alarm: Alarm, values: list[float | None]) -> str | None:
    """The state that these datapoints lead to, None for as it is: M breaching ones of the last N are an alarm.

    Missing ones count as TreatMissingData says: as breaching, as not breaching, not at all (`ignore` keeps the state,
    `missing` comes to INSUFFICIENT_DATA when all are missing).
    """
    breaches = _BREACHES[alarm["ComparisonOperator"]]
    treatment = alarm.get("TreatMissingData") or "missing"
    if all(value is None for value in values) and treatment in ("missing", "ignore"):
        return "INSUFFICIENT_DATA" if treatment == "missing" else None
    breaching = sum(
        treatment == "breaching" if value is None else breaches(value, alarm["Threshold"]) for value in values
    )
    needed = alarm.get("DatapointsToAlarm") or alarm.get("EvaluationPeriods", 1)
    if treatment in ("missing", "ignore"):  # fewer datapoints than asked for are judged by themselves
        needed = min(needed, sum(value is not None for value in values))
    return "ALARM" if breaching >= needed else "OK"


def forget_before(limit: float, namespace: str, name: str, dimensions: dict[str, str]) -> None:
    """Drop the points of one metric that are older."""
    points = _points(namespace, name, dimensions)
    old = bisect_left(points, limit, key=lambda point: point["Timestamp"])
    del points[:old]


def _points(namespace: str, name: str, dimensions: dict[str, str]) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = cloudwatch._metrics.get((namespace, name, cloudwatch._dims_key(dimensions))) or []
    return points
