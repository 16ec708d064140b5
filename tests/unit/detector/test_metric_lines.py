"""The lines match the regular expressions with which SageMaker reads the built-in algorithm's log."""

import re

import pytest

from detector import metric_lines

REGULAR_EXPRESSIONS = {
    "train:progress": r"#progress_metric: host=\S+, completed (\S+) %",
    "train:smooth_l1": r"#quality_metric: host=\S+, epoch=\S+, batch=\S+ train smooth_l1 <loss>=(\S+)",
    "train:cross_entropy": r"#quality_metric: host=\S+, epoch=\S+, batch=\S+ train cross_entropy <loss>=(\S+)",
    "train:throughput": r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
    "validation:mAP": r"#quality_metric: host=\S+, epoch=\S+, validation mAP <score>=\((\S+)\)",
}
LINES = {
    "train:progress": (metric_lines.progress(37.5), 37.5),
    "train:smooth_l1": (metric_lines.train_loss("smooth_l1", 3, 17, 0.5417), 0.5417),
    "train:cross_entropy": (metric_lines.train_loss("cross_entropy", 3, 17, 1.25e-7), 1.25e-7),
    "train:throughput": (metric_lines.throughput(53.25), 53.25),
    "validation:mAP": (metric_lines.validation_map(3, 0.991234), 0.991234),
}


@pytest.mark.parametrize("metric", REGULAR_EXPRESSIONS)
def test_each_value_is_found_by_its_metric_and_no_other(metric: str) -> None:
    line, value = LINES[metric]
    found = {name: re.search(expression, line) for name, expression in REGULAR_EXPRESSIONS.items()}
    assert [name for name, match in found.items() if match] == [metric]
    match = found[metric]
    assert match is not None
    assert float(match[1]) == pytest.approx(value)
