"""The log lines from which SageMaker reads a training's metrics, in the built-in algorithm's wording."""

import logging

LOG = logging.getLogger(__name__)
HOST = "algo-1"


def progress(completed: float, host: str = HOST) -> str:
    """Return the line of how far the training is, in percent."""
    return f"#progress_metric: host={host}, completed {completed:.4g} %"


def train_loss(name: str, epoch: int, batch: int, value: float, host: str = HOST) -> str:
    """Return the line of a training loss; `name` is `smooth_l1` or `cross_entropy`.

    Without the brackets of the mAP's line: the built-in's regular expression for the losses takes all that follows the
    equals sign as the number.
    """
    return f"#quality_metric: host={host}, epoch={epoch}, batch={batch} train {name} <loss>={value:.6g}"


def validation_map(epoch: int, value: float, host: str = HOST) -> str:
    """Return the line of an epoch's mean average precision."""
    return f"#quality_metric: host={host}, epoch={epoch}, validation mAP <score>=({value:.6g})"


def throughput(records_per_second: float, host: str = HOST) -> str:
    """Return the line of an epoch's speed."""
    return f"#throughput_metric: host={host}, train throughput={records_per_second:.6g} records/second"


def emit(line: str) -> None:
    """Print a metric line where SageMaker looks for it."""
    LOG.info("%s", line)
