"""Alarms come to the states that CloudWatch documents: "Evaluating an alarm" and "treating missing data"."""

from __future__ import annotations

import pytest

from dropspot_local import alarms


def alarm(**more: object) -> dict[str, object]:
    return {
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 1.0,
        "EvaluationPeriods": 3,
        "TreatMissingData": "missing",
    } | more


@pytest.mark.parametrize(
    ("values", "more", "expected"),
    [
        ([2.0, 2.0, 2.0], {}, "ALARM"),
        ([2.0, 0.0, 2.0], {}, "OK"),
        ([2.0, 0.0, 2.0], {"DatapointsToAlarm": 2}, "ALARM"),
        ([1.0, 1.0, 1.0], {}, "OK"),
        ([1.0, 1.0, 1.0], {"ComparisonOperator": "GreaterThanOrEqualToThreshold"}, "ALARM"),
        ([0.0, 0.0, 0.0], {"ComparisonOperator": "LessThanThreshold"}, "ALARM"),
        ([None, None, None], {}, "INSUFFICIENT_DATA"),
        ([None, None, None], {"TreatMissingData": "ignore"}, None),
        ([None, None, None], {"TreatMissingData": "notBreaching"}, "OK"),
        ([None, None, None], {"TreatMissingData": "breaching"}, "ALARM"),
        ([2.0, None, None], {}, "ALARM"),
        ([2.0, None, None], {"TreatMissingData": "notBreaching"}, "OK"),
        ([2.0, None, None], {"TreatMissingData": "notBreaching", "DatapointsToAlarm": 1}, "ALARM"),
        ([0.0, None, None], {"TreatMissingData": "breaching", "DatapointsToAlarm": 2}, "ALARM"),
    ],
)
def test_states_follow_from_the_last_datapoints(values, more, expected):
    assert alarms.state(alarm(**more), values) == expected
