"""The hyperparameters that follow from the data and the plan."""

import json

import pytest

from dropspot.plan import BUILT_IN, DETECTOR, Instance, PlanDefaults, TrainingPlan
from dropspot.prepared import Prepared, hyperparameters_for

PREPARED = Prepared(classes=2, samples=500, label_width=350)


@pytest.mark.parametrize("algorithm", [BUILT_IN, DETECTOR])
@pytest.mark.parametrize(
    ("count", "stated", "expected"),
    [(1, {}, None), (2, {}, "dist_sync"), (2, {"kv_store": "dist_async"}, "dist_async")],
)
def test_several_machines_are_told_to_train_one_model(
    algorithm: str, count: int, stated: dict[str, str], expected: str | None
) -> None:
    document = json.dumps({"instance": {"count": count}, "hyperparameters": stated}).encode()
    plan = TrainingPlan.parse(document, PlanDefaults(Instance("ml.p3.2xlarge", 1)), algorithm)
    assert hyperparameters_for(plan, PREPARED, algorithm).get("kv_store") == expected
