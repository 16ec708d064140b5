"""Tuning jobs: training jobs with hyperparameters drawn from ranges, and the best of them by its objective metric.

The values are drawn at random or, for a grid, taken in order. `Bayesian` is accepted and drawn at random as well: it
changes which values are tried, not what is done with them.
"""

from __future__ import annotations

import itertools
import math
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from dropspot.algorithm_metrics import METRICS
from dropspot_local.images import BUILT_IN_IMAGE
from dropspot_local.sagemaker import events
from dropspot_local.sagemaker.clients import Clients
from dropspot_local.sagemaker.errors import validation
from dropspot_local.sagemaker.jobs import ENDED, Job, JobFailedError
from dropspot_local.sagemaker.state import Record, Records, Site

ATTEMPTS = 5
"""So many training jobs may fail before one succeeds; then the tuning job gives up."""
OBJECTIVE = "_tuning_objective_metric"
"""The hyperparameter by which the service tells a container that it is being tuned, and for what."""
_KINDS = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")
Values = dict[str, str]


def check(request: Record) -> None:
    """What the service checks beyond its model."""
    config, definition = request["HyperParameterTuningJobConfig"], request.get("TrainingJobDefinition")
    if definition is None:
        raise validation("TrainingJobDefinition must be given.")
    objective = config.get("HyperParameterTuningJobObjective")
    if objective is None:
        raise validation("HyperParameterTuningJobObjective must be given.")
    algorithm = definition["AlgorithmSpecification"]
    metrics = {item["Name"] for item in algorithm.get("MetricDefinitions", [])}
    if BUILT_IN_IMAGE.fullmatch(algorithm.get("TrainingImage", "")):
        metrics |= set(METRICS)
    if objective["MetricName"] not in metrics:
        raise validation(
            f"Invalid value for the objective metric: {objective['MetricName']}. It must be one of the "
            f"metrics that the training job reports: {', '.join(sorted(metrics))}."
        )
    _check_ranges(config, definition)
    limits = config["ResourceLimits"]
    if config["Strategy"] != "Grid":
        if "MaxNumberOfTrainingJobs" not in limits:
            raise validation("ResourceLimits.MaxNumberOfTrainingJobs must be given.")
        if limits["MaxParallelTrainingJobs"] > limits["MaxNumberOfTrainingJobs"]:
            raise validation("MaxParallelTrainingJobs must not be larger than MaxNumberOfTrainingJobs.")


def _check_ranges(config: Record, definition: Record) -> None:
    ranges = config.get("ParameterRanges", {})
    tuned = [item["Name"] for kind in _KINDS for item in ranges.get(kind, [])]
    if not tuned:
        raise validation("At least one hyperparameter must have a range in ParameterRanges.")
    twice = [
        name for name, count in Counter([*tuned, *definition.get("StaticHyperParameters", {})]).items() if count > 1
    ]
    if twice:
        raise validation(f"The hyperparameter(s) {', '.join(twice)} have more than one range or value.")
    if config["Strategy"] == "Grid" and any(ranges.get(kind) for kind in _KINDS[:2]):
        raise validation("Grid search takes categorical hyperparameters alone.")
    for kind, read in zip(_KINDS[:2], (int, float), strict=True):
        for item in ranges.get(kind, []):
            try:
                low, high = read(item["MinValue"]), read(item["MaxValue"])
            except ValueError:
                raise validation(f"The range of {item['Name']} must have numbers as its ends.") from None
            scaling = item.get("ScalingType", "Auto")
            if low >= high or (scaling == "Logarithmic" and low <= 0):
                raise validation(f"The range of {item['Name']}, {low} to {high}, is not possible ({scaling}).")
            if scaling == "ReverseLogarithmic" and not (read is float and low >= 0 and high < 1):
                raise validation(f"The range of {item['Name']}, {low} to {high}, is not possible ({scaling}).")


def combinations(config: Record) -> Iterator[Values]:
    """The values to try, one training job after another; without end but for a grid."""
    ranges = config["ParameterRanges"]
    if config["Strategy"] == "Grid":
        listed = ranges["CategoricalParameterRanges"]
        for values in itertools.product(*(item["Values"] for item in listed)):
            yield {item["Name"]: value for item, value in zip(listed, values, strict=True)}
        return
    source = random.Random(config.get("RandomSeed"))  # noqa: S311 - a search, no secret
    while True:
        yield (
            {item["Name"]: str(_integer(item, source)) for item in ranges.get(_KINDS[0], [])}
            | {item["Name"]: repr(_number(item, source)) for item in ranges.get(_KINDS[1], [])}
            | {item["Name"]: source.choice(item["Values"]) for item in ranges.get(_KINDS[2], [])}
        )


def _integer(item: Record, source: random.Random) -> int:
    low, high = int(item["MinValue"]), int(item["MaxValue"])
    if item.get("ScalingType") == "Logarithmic":
        return min(high, max(low, round(math.exp(source.uniform(math.log(low), math.log(high))))))
    return source.randint(low, high)


def _number(item: Record, source: random.Random) -> float:
    low, high = float(item["MinValue"]), float(item["MaxValue"])
    match item.get("ScalingType"):
        case "Logarithmic":
            return min(high, max(low, math.exp(source.uniform(math.log(low), math.log(high)))))
        case "ReverseLogarithmic":
            return 1 - math.exp(source.uniform(math.log(1 - high), math.log(1 - low)))
    return source.uniform(low, high)


def new_record(site: Site, request: Record) -> Record:
    """The record of a job that has just been asked for."""
    now = time.time()
    return {
        **{name: value for name, value in request.items() if name != "Tags"},
        "HyperParameterTuningJobArn": site.arn("hyper-parameter-tuning-job", request["HyperParameterTuningJobName"]),
        "HyperParameterTuningJobStatus": "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
        **_counters([], ""),
    }


def listed(record: Record) -> Record:
    """The record with what a list shows of its configuration."""
    config = record["HyperParameterTuningJobConfig"]
    return record | {"Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}


class TuningJob(Job):
    """A tuning job at work. `launch` starts a training job of it with these values under that name."""

    kind = "tuning"
    prefix = "HyperParameterTuningJob"
    describe_event = staticmethod(events.tuning_detail)

    def __init__(
        self, site: Site, records: Records, clients: Clients, record: Record, launch: Callable[[Record], Job]
    ) -> None:
        super().__init__(site, records, clients, record)
        self._launch, self._config = launch, record["HyperParameterTuningJobConfig"]
        self._children: list[tuple[Job, Values]] = []

    def work(self) -> dict[str, Any]:
        """Launch training jobs, so many at once, until all have ended."""
        limits = self._config["ResourceLimits"]
        wanted = itertools.islice(combinations(self._config), limits.get("MaxNumberOfTrainingJobs"))
        more = True
        while True:
            self._count()
            running = [job for job, _ in self._children if job.status not in ENDED]
            done = [summary for summary in self.summaries() if summary["TrainingJobStatus"] in ENDED]
            successful = any(summary["ObjectiveStatus"] == "Succeeded" for summary in done)
            if self.stop_requested.is_set():
                for job in running:
                    job.stop()
                more = False
            elif more and len(done) >= ATTEMPTS and not successful:
                more = False
            while more and len(running) < limits["MaxParallelTrainingJobs"]:
                values = next(wanted, None)
                if values is None:
                    more = False
                else:
                    running.append(self._child(values))
            if self.abandoned or not (more or running):
                break
            time.sleep(0.2)
        self._count()
        if not successful and not self.stop_requested.is_set():
            raise JobFailedError(
                f"No training job succeeded after {len(done)} attempts. Please take a look at the training job "
                "failures to get more details."
            )
        return {}

    def end(self, status: str) -> dict[str, Any]:
        """Note the end."""
        super().end(status)
        return {"HyperParameterTuningEndTime": time.time()}

    def summaries(self) -> list[Record]:
        """The training jobs as ListTrainingJobsForHyperParameterTuningJob shows them."""
        objective = self._config["HyperParameterTuningJobObjective"]
        with self.records.lock:
            return [_summary(job.record, values, objective) for job, values in self._children]

    def _child(self, values: Values) -> Job:
        definition = self.record["TrainingJobDefinition"]
        kept = {name: value for name, value in definition.items() if name != "StaticHyperParameters"}
        number = len(self._children) + 1
        objective = self._config["HyperParameterTuningJobObjective"]["MetricName"]
        job = self._launch(
            kept
            | {
                "TrainingJobName": f"{self.name}-{number:03}-{uuid.uuid4().hex[:8]}",
                "HyperParameters": definition.get("StaticHyperParameters", {}) | values | {OBJECTIVE: objective},
                "TuningJobArn": self.arn,
            }
        )
        with self.records.lock:
            self._children.append((job, values))
        self._count()
        return job

    def _count(self) -> None:
        summaries = self.summaries()
        objective = self._config["HyperParameterTuningJobObjective"]["Type"]
        with self.records.lock:
            self.record.update(_counters(summaries, objective))


def _summary(record: Record, values: Values, objective: Record) -> Record:
    metrics = {item["MetricName"]: item["Value"] for item in record.get("FinalMetricDataList", [])}
    value, status = metrics.get(objective["MetricName"]), record["TrainingJobStatus"]
    names = (
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingStartTime",
        "TrainingEndTime",
        "FailureReason",
    )
    summary = {name: record[name] for name in names if name in record}
    summary |= {"TrainingJobStatus": status, "TunedHyperParameters": values}
    if status not in ENDED:
        return summary | {"ObjectiveStatus": "Pending"}
    if value is None or status == "Failed":
        return summary | {"ObjectiveStatus": "Failed"}
    return summary | {
        "ObjectiveStatus": "Succeeded",
        "FinalHyperParameterTuningJobObjectiveMetric": objective | {"Value": value},
    }


def objective_value(summary: Record) -> float | None:
    """The objective metric that a training job ended with."""
    metric = summary.get("FinalHyperParameterTuningJobObjectiveMetric")
    return None if metric is None else float(metric["Value"])


def _counters(summaries: list[Record], objective: str) -> Record:
    statuses = Counter(summary["TrainingJobStatus"] for summary in summaries)
    objectives = Counter(summary["ObjectiveStatus"] for summary in summaries)
    fields: Record = {
        "TrainingJobStatusCounters": {
            "Completed": statuses["Completed"],
            "InProgress": statuses["InProgress"] + statuses["Stopping"],
            "RetryableError": 0,
            "NonRetryableError": statuses["Failed"],
            "Stopped": statuses["Stopped"],
        },
        "ObjectiveStatusCounters": {name: objectives[name] for name in ("Succeeded", "Pending", "Failed")},
    }
    succeeded = [(objective_value(summary), summary) for summary in summaries]
    rated = [(value, summary) for value, summary in succeeded if value is not None]
    if rated:
        best = (max if objective == "Maximize" else min)(rated, key=lambda pair: pair[0])
        fields["BestTrainingJob"] = best[1]
    return fields
