"""What preparation can write besides RecordIO, and what training reads of it, on the whole road."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deployed import Deployed

pytestmark = pytest.mark.e2e

# What trains quickly, and never passes the gate: only the way from preparation to the metrics is looked at here.
PLAN = {"hyperparameters": {"base_network": "tiny", "image_shape": 128, "epochs": 1}, "gate": {"min_map50": 1}}
ROADS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "pictures": ({"output": "image"}, {"input_mode": "File", "content_type": "image/jpeg"}),
    "streamed-manifest": (
        {"output": "augmented-manifest"},
        {"input_mode": "Pipe", "content_type": "application/x-recordio"},
    ),
    "streamed-records": (
        {"output": "recordio", "input_mode": "Pipe"},
        {"input_mode": "Pipe", "content_type": "application/x-recordio"},
    ),
}
SEEDS = {name: 31 + number for number, name in enumerate(ROADS)}


@pytest.mark.parametrize("name", ROADS)
def test_an_output_is_trained_on_and_judged(deployed: Deployed, small: Callable[..., Path], name: str) -> None:
    stated, expected = ROADS[name]
    deployed.upload(small(SEEDS[name], PLAN | stated), name)
    run_id = deployed.run(name)
    assert deployed.ended(run_id) == "judged", deployed.json(f"runs/{run_id}/failure.json")

    job = training(deployed, run_id)
    assert job["TrainingJobStatus"] == "Completed"
    assert job["AlgorithmSpecification"]["TrainingInputMode"] == expected["input_mode"]
    assert {channel["ContentType"] for channel in job["InputDataConfig"]} == {expected["content_type"]}
    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert "validation:mAP" in metrics
    assert metrics["train:smooth_l1"] > 0

    report = deployed.json(f"runs/{run_id}/report/report.json")
    evaluation = deployed.json(f"runs/{run_id}/evaluation/evaluation.json")
    assert report is not None
    assert evaluation is not None
    assert report["output"] == stated["output"]
    assert evaluation["images"] == report["splits"]["test"]["images"] > 0
    assert 0 <= evaluation["map50"] <= 1


def training(deployed: Deployed, run_id: str) -> dict[str, Any]:
    return dict(deployed.client("sagemaker").describe_training_job(TrainingJobName=f"dropspot-{run_id}-train"))
