"""Hyperparameter tuning jobs, whose training jobs are real ones.

Cases name the page of the SageMaker API Reference or Developer Guide whose behaviour they copy.
"""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError

BUILT_IN = "811284229777.dkr.ecr.us-east-1.amazonaws.com/object-detection:1"
METRIC = "validation:mAP"


def definition(aws, **more: object) -> dict[str, object]:
    request = aws.training_request("any")
    names = ("RoleArn", "ResourceConfig", "StoppingCondition", "OutputDataConfig")
    return {
        **{name: request[name] for name in names},
        "AlgorithmSpecification": {"TrainingImage": BUILT_IN, "TrainingInputMode": "File"},
        "StaticHyperParameters": {"epochs": "3"},
    } | more


def config(**more: object) -> dict[str, object]:
    return {
        "Strategy": "Random",
        "RandomSeed": 7,
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": METRIC},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": {"ContinuousParameterRanges": [{"Name": "mAP", "MinValue": "0.1", "MaxValue": "0.9"}]},
    } | more


def tune(aws, name: str, *, definition_: dict[str, object] | None = None, **more: object) -> None:
    aws["sagemaker"].create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig=config(**more),
        TrainingJobDefinition=definition_ or definition(aws),
        Tags=[{"Key": "team", "Value": "pets"}],
    )


def tuned(aws, name: str, **more: object) -> dict[str, object]:
    tune(aws, name, **more)
    return at_rest(aws, name)


def at_rest(aws, name: str) -> dict[str, object]:
    return dict(
        aws.ended(
            "describe_hyper_parameter_tuning_job",
            "HyperParameterTuningJobStatus",
            seconds=60,
            HyperParameterTuningJobName=name,
        )
    )


def trainings(aws, name: str, **more: object) -> list[dict[str, object]]:
    answer = aws["sagemaker"].list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, **more
    )
    return list(answer["TrainingJobSummaries"])


def value(summary) -> float:
    return float(summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])


def test_the_best_of_real_trainings_is_named(aws, events):
    """DescribeHyperParameterTuningJob, BestTrainingJob: the training job with the best objective metric."""
    name = aws.name("tune")
    job = tuned(aws, name)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    found = trainings(aws, name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    assert [value(item) for item in found] == sorted((value(item) for item in found), reverse=True)
    assert len(found) == 4
    best = job["BestTrainingJob"]
    assert best["TrainingJobName"] == found[0]["TrainingJobName"]
    assert value(best) == pytest.approx(float(best["TunedHyperParameters"]["mAP"]))
    assert all(0.1 <= float(item["TunedHyperParameters"]["mAP"]) <= 0.9 for item in found)
    assert job["TrainingJobStatusCounters"]["Completed"] == 4
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 4, "Pending": 0, "Failed": 0}
    child = aws["sagemaker"].describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert child["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    assert child["HyperParameters"]["epochs"] == "3"
    assert child["HyperParameters"]["_tuning_objective_metric"] == METRIC
    assert child["ModelArtifacts"]["S3ModelArtifacts"].endswith(f"{best['TrainingJobName']}/output/model.tar.gz")
    assert aws["sagemaker"].list_tags(ResourceArn=child["TrainingJobArn"])["Tags"] == [{"Key": "team", "Value": "pets"}]
    told = [e["detail"] for e in events() if e["detail-type"] == "SageMaker HyperParameter Tuning Job State Change"]
    assert [detail["HyperParameterTuningJobStatus"] for detail in told] == ["InProgress", "Completed"]
    assert told[-1]["TrainingJobStatusCounters"]["Completed"] == 4
    assert "BestTrainingJob" not in told[-1]
    assert isinstance(told[-1]["CreationTime"], str)


def test_training_jobs_are_named_for_their_tuning_job(aws):
    """CreateHyperParameterTuningJob, HyperParameterTuningJobName: the prefix of the names of its training jobs."""
    name = aws.name("tune")
    tuned(aws, name, ResourceLimits={"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1})
    names = [item["TrainingJobName"] for item in trainings(aws, name, SortBy="Name", SortOrder="Ascending")]
    assert [item.rpartition("-")[0] for item in names] == [f"{name}-001", f"{name}-002"]


def test_a_seed_draws_the_same_values(aws):
    """HyperParameterTuningJobConfig, RandomSeed: the same seed gives the same configurations."""
    limits = {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1}
    ranges = {
        "ContinuousParameterRanges": [
            {"Name": "mAP", "MinValue": "0.001", "MaxValue": "0.9", "ScalingType": "Logarithmic"}
        ],
        "IntegerParameterRanges": [{"Name": "sides", "MinValue": "1", "MaxValue": "6"}],
        "CategoricalParameterRanges": [{"Name": "optimizer", "Values": ["sgd", "adam"]}],
    }
    drawn = []
    for _ in range(2):
        name = aws.name("tune")
        tuned(aws, name, ResourceLimits=limits, ParameterRanges=ranges)
        drawn.append([item["TunedHyperParameters"] for item in trainings(aws, name, SortOrder="Ascending")])
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[0][1]
    assert drawn[0][0]["optimizer"] in ("sgd", "adam")
    assert int(drawn[0][0]["sides"]) in range(1, 7)


def test_a_grid_is_gone_through_once(aws):
    """HyperParameterTuningJobConfig, Strategy Grid: every combination of categorical values, without a number."""
    name = aws.name("tune")
    values = [{"Name": "mAP", "Values": ["0.1", "0.2"]}, {"Name": "optimizer", "Values": ["sgd", "adam"]}]
    job = tuned(
        aws,
        name,
        Strategy="Grid",
        ParameterRanges={"CategoricalParameterRanges": values},
        ResourceLimits={"MaxParallelTrainingJobs": 2},
    )
    assert job["TrainingJobStatusCounters"]["Completed"] == 4
    tried = {tuple(sorted(item["TunedHyperParameters"].items())) for item in trainings(aws, name)}
    assert len(tried) == 4
    assert value(job["BestTrainingJob"]) == pytest.approx(0.2)


def test_the_least_is_best_where_it_is_minimised(aws):
    """HyperParameterTuningJobObjective, Type."""
    objective = {"Type": "Minimize", "MetricName": METRIC}
    name = aws.name("tune")
    job = tuned(aws, name, HyperParameterTuningJobObjective=objective)
    assert value(job["BestTrainingJob"]) == min(value(item) for item in trainings(aws, name))


def test_a_tuning_job_fails_when_none_of_its_trainings_succeeds(aws):
    """DescribeHyperParameterTuningJob, FailureReason."""
    failing = definition(aws, StaticHyperParameters={"failure": "no"})
    limits = {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 3}
    job = tuned(aws, aws.name("tune"), definition_=failing, ResourceLimits=limits)
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("No training job succeeded after 3 attempts.")
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 3
    assert "BestTrainingJob" not in job


def test_a_stopped_tuning_job_stops_its_trainings(aws):
    """StopHyperParameterTuningJob: running training jobs are stopped, and what they put out stays."""
    name = aws.name("tune")
    tune(aws, name, definition_=definition(aws, StaticHyperParameters={"sleep": "30"}))
    deadline = time.monotonic() + 20
    while len([item for item in trainings(aws, name) if "TrainingStartTime" in item]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(0.5)  # until the containers listen to signals
    aws["sagemaker"].stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    job = at_rest(aws, name)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert {item["TrainingJobStatus"] for item in trainings(aws, name)} == {"Stopped"}
    assert job["TrainingJobStatusCounters"]["Stopped"] == len(trainings(aws, name)) == 2


def test_names_are_never_free_again_and_unknown_ones_are_not_found(aws):
    """CreateHyperParameterTuningJob, ResourceInUse; DescribeHyperParameterTuningJob, ResourceNotFound."""
    name = aws.name("tune")
    tuned(aws, name, ResourceLimits={"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1})
    with pytest.raises(ClientError) as refused:
        tune(aws, name)
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"
    with pytest.raises(ClientError) as refused:
        aws["sagemaker"].describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="none")
    assert refused.value.response["Error"]["Code"] == "ResourceNotFound"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Strategy": "Hyperband"}, "doesn't support .* = Hyperband"),
        ({"TrainingJobEarlyStoppingType": "Auto"}, "doesn't support .* = Auto"),
        ({"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 0.5}}, "TargetObjectiveMetricValue"),
        ({"ParameterRanges": {}}, "At least one hyperparameter"),
        (
            {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "f1"}},
            "Invalid value for the objective metric: f1",
        ),
        (
            {"ResourceLimits": {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 2}},
            "must not be larger than MaxNumberOfTrainingJobs",
        ),
        (
            {"ParameterRanges": {"CategoricalParameterRanges": [{"Name": "epochs", "Values": ["1"]}]}},
            "epochs have more than one range or value",
        ),
        (
            {"ParameterRanges": {"IntegerParameterRanges": [{"Name": "a", "MinValue": "3", "MaxValue": "2"}]}},
            "The range of a, 3 to 2, is not possible",
        ),
    ],
)
def test_impossible_tunings_are_refused(aws, changes, message):
    """HyperParameterTuningJobConfig: what the service, or this cloud, can't do."""
    with pytest.raises(ClientError, match=message) as refused:
        tune(aws, aws.name("tune"), **changes)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_checkpoints_of_several_trainings_are_refused_by_name(aws):
    """HyperParameterTrainingJobDefinition, CheckpointConfig: here every training would find the others' checkpoints."""
    shared = definition(aws, CheckpointConfig={"S3Uri": "s3://contract-bucket/checkpoints/"})
    with pytest.raises(ClientError, match=r"doesn't support .*TrainingJobDefinition\.CheckpointConfig"):
        tune(aws, aws.name("tune"), definition_=shared)
