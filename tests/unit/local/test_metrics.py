"""Metrics are read as the service reads them: the last match counts."""

from __future__ import annotations

from dropspot.algorithm_metrics import METRICS
from dropspot_local.sagemaker.metrics import MetricReader


def read(*lines: str) -> dict[str, float]:
    reader = MetricReader({"Name": name, "Regex": regex} for name, regex in METRICS.items())
    for line in lines:
        reader.read(line)
    return {metric["MetricName"]: metric["Value"] for metric in reader.final()}


def test_the_lines_of_the_built_in_algorithm():
    assert read(
        "[11/22/2026 10:00:00 INFO 1] #progress_metric: host=algo-1, completed 50 %",
        "#quality_metric: host=algo-1, epoch=0, batch=6 train cross_entropy <loss>=(0.9)",
        "#quality_metric: host=algo-1, epoch=0, batch=6 train smooth_l1 <loss>=0.4",
        "#quality_metric: host=algo-1, epoch=0, validation mAP <score>=(0.25)",
        "#quality_metric: host=algo-1, epoch=1, validation mAP <score>=(0.75)",
        "#throughput_metric: host=algo-1, train throughput=53.2 records/second",
    ) == {
        "train:progress": 50.0,
        "train:cross_entropy": 0.9,
        "train:smooth_l1": 0.4,
        "validation:mAP": 0.75,
        "train:throughput": 53.2,
    }


def test_a_line_without_a_metric_changes_nothing():
    assert read("epoch 1 of 3") == {}
