"""Jobs and hosting. moto takes a job's name twice, has no UpdateEndpoint and answers for endpoints that don't exist:
what it gets wrong is stated here as SageMaker states it, by botocore's Stubber.
"""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from dropspot import aws
from dropspot.errors import InvalidInputError, NotFoundError, TransientError
from dropspot.ports import Alarms, Hosting, Inference, JobKind, Jobs, Request
from dropspot.testing import MemoryAlarms, MemoryHosting, MemoryInference, MemoryJobs

ROLE = "arn:aws:iam::000000000000:role/sagemaker"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/dropspot-detector:1"
MODEL: Request = {"ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": IMAGE}}
TOPIC = "arn:aws:sns:us-east-1:000000000000:inference"
ASYNCHRONOUS: Request = {
    "AsyncInferenceConfig": {
        "OutputConfig": {
            "S3OutputPath": "s3://the-bucket/async/answers/run",
            "NotificationConfig": {"SuccessTopic": TOPIC, "ErrorTopic": TOPIC},
        }
    }
}


def processing_job(name: str) -> Request:
    resources = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    return {
        "ProcessingJobName": name,
        "ProcessingResources": {"ClusterConfig": resources},
        "AppSpecification": {"ImageUri": IMAGE},
        "RoleArn": ROLE,
    }


def training_job(name: str) -> Request:
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://the-bucket/runs/"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }


def endpoint_config(name: str, model: str = "m") -> Request:
    variant = {"VariantName": "v", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    return {"EndpointConfigName": name, "ProductionVariants": [variant]}


@pytest.fixture
def jobs(side: str) -> Jobs:
    return MemoryJobs() if side == "memory" else aws.SageMakerJobs()


@pytest.fixture
def hosting(side: str) -> Hosting:
    return MemoryHosting() if side == "memory" else aws.SageMakerHosting()


@pytest.fixture
def stubbed() -> Iterator[Stubber]:
    """Yield what states SageMaker's answers."""
    aws.client.cache_clear()
    with Stubber(aws.client("sagemaker")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()
    aws.client.cache_clear()


JOB_REQUESTS = [(JobKind.PROCESSING, processing_job), (JobKind.TRAINING, training_job)]


@pytest.mark.parametrize(("kind", "request_of"), JOB_REQUESTS)
def test_a_started_job_can_be_described(jobs: Jobs, kind: JobKind, request_of: Any) -> None:
    assert jobs.start(kind, request_of("dropspot-pets-0123456789-x"))
    job = jobs.describe(kind, "dropspot-pets-0123456789-x")
    assert job.name == "dropspot-pets-0123456789-x"
    assert not job.has_failed


@pytest.mark.parametrize("kind", [JobKind.PROCESSING, JobKind.TRAINING])
def test_a_job_that_was_never_started_is_not_found(jobs: Jobs, kind: JobKind) -> None:
    with pytest.raises(NotFoundError):
        jobs.describe(kind, "never")


def test_a_job_s_name_is_never_free_again() -> None:
    jobs = MemoryJobs()
    assert jobs.start(JobKind.TRAINING, training_job("once"))
    jobs.end(JobKind.TRAINING, "once", "Failed", reason="it broke")
    assert not jobs.start(JobKind.TRAINING, training_job("once"))
    assert jobs.describe(JobKind.TRAINING, "once").reason == "it broke"


@pytest.mark.parametrize(("told", "pending"), [({}, ""), ({"EndpointConfigName": "app-b"}, "app-b")])
def test_an_endpoint_tells_what_it_is_being_changed_to(stubbed: Stubber, told: Request, pending: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    arn = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/e"
    answer = {"EndpointName": "e", "EndpointArn": arn, "EndpointConfigName": "app-a", "EndpointStatus": "Updating"}
    answer |= {"CreationTime": now, "LastModifiedTime": now} | ({"PendingDeploymentSummary": told} if told else {})
    stubbed.add_response("describe_endpoint", answer)
    endpoint = aws.SageMakerHosting().endpoint("e")
    assert endpoint is not None
    assert (endpoint.config, endpoint.pending) == ("app-a", pending)


def test_sagemaker_says_that_a_name_is_taken(stubbed: Stubber) -> None:
    stubbed.add_client_error("create_training_job", "ResourceInUse", "Job name must be unique", 400)
    assert not aws.SageMakerJobs().start(JobKind.TRAINING, training_job("once"))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ValidationException", InvalidInputError),
        ("ResourceLimitExceeded", InvalidInputError),
        ("ThrottlingException", TransientError),
    ],
)
def test_a_refused_job_is_invalid_and_a_throttled_one_transient(
    stubbed: Stubber, code: str, expected: type[Exception]
) -> None:
    stubbed.add_client_error("create_training_job", code, "no", 400)
    with pytest.raises(expected):
        aws.SageMakerJobs().start(JobKind.TRAINING, training_job("x"))


def test_a_tuning_job_has_the_model_of_its_best_training(stubbed: Stubber) -> None:
    at, arn = datetime(2026, 1, 1, tzinfo=UTC), "arn:aws:sagemaker:us-east-1:000000000000:x/x"
    best = {"TrainingJobName": "t-002-ab", "TrainingJobArn": arn, "CreationTime": at, "TrainingJobStatus": "Completed"}
    tuning = {
        "HyperParameterTuningJobName": "t",
        "HyperParameterTuningJobArn": arn,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
        },
        "HyperParameterTuningJobStatus": "Completed",
        "CreationTime": at,
        "TrainingJobStatusCounters": {},
        "ObjectiveStatusCounters": {},
        "BestTrainingJob": best | {"TunedHyperParameters": {}},
    }
    training = {
        "TrainingJobName": "t-002-ab",
        "TrainingJobArn": arn,
        "ModelArtifacts": {"S3ModelArtifacts": "s3://the-bucket/t-002-ab/output/model.tar.gz"},
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "CreationTime": at,
    }
    stubbed.add_response("describe_hyper_parameter_tuning_job", tuning, {"HyperParameterTuningJobName": "t"})
    stubbed.add_response("describe_training_job", training, {"TrainingJobName": "t-002-ab"})
    job = aws.SageMakerJobs().describe(JobKind.TUNING, "t")
    assert (job.name, job.status) == ("t", "Completed")
    assert job.model_data == "s3://the-bucket/t-002-ab/output/model.tar.gz"


def test_a_job_stopped_at_its_time_limit_says_so(stubbed: Stubber) -> None:
    arn = "arn:aws:sagemaker:us-east-1:000000000000:training-job/x"
    answer = {
        "TrainingJobName": "x",
        "TrainingJobArn": arn,
        "ModelArtifacts": {"S3ModelArtifacts": "s3://b/k"},
        "TrainingJobStatus": "Stopped",
        "SecondaryStatus": "MaxRuntimeExceeded",
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
    }
    stubbed.add_response("describe_training_job", answer)
    assert "max_runtime_seconds (60)" in aws.SageMakerJobs().describe(JobKind.TRAINING, "x").reason


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ValidationException", "Requested resource not found."),
        ("ValidationException", "Could not find requested job with name: x"),
        ("ResourceNotFound", "Requested resource not found."),
    ],
)
def test_a_missing_job_is_not_found_however_the_service_words_it(stubbed: Stubber, code: str, message: str) -> None:
    stubbed.add_client_error("describe_training_job", code, message, 400)
    with pytest.raises(NotFoundError):
        aws.SageMakerJobs().describe(JobKind.TRAINING, "x")


def test_a_request_that_the_service_s_model_forbids_is_refused_in_memory() -> None:
    with pytest.raises(AssertionError, match="TrainingJobName"):
        MemoryJobs().start(JobKind.TRAINING, training_job("under_score"))


def test_hosting_says_what_was_made(hosting: Hosting) -> None:
    assert hosting.endpoint("e") is None
    hosting.create_model(MODEL)
    hosting.create_endpoint_config(endpoint_config("app-b"))
    hosting.create_endpoint_config(endpoint_config("app-a"))
    hosting.create_endpoint_config(endpoint_config("other-app-a"))
    assert hosting.endpoint_configs("app-") == ["app-b", "app-a"]
    config = hosting.endpoint_config("app-a")
    assert config is not None
    assert config["ProductionVariants"][0]["VariantName"] == "v"
    assert hosting.endpoint_config("app-never") is None
    hosting.create_endpoint({"EndpointName": "e", "EndpointConfigName": "app-b"})
    endpoint = hosting.endpoint("e")
    assert endpoint is not None
    assert (endpoint.config, endpoint.variant) == ("app-b", "v")
    assert endpoint.modified.tzinfo is not None
    hosting.delete_endpoint("e")
    assert hosting.endpoint("e") is None
    hosting.delete_endpoint_config("app-b")
    hosting.delete_endpoint_config("other-app-a")
    assert hosting.endpoint_configs("app-") == ["app-a"]
    hosting.create_model(MODEL | {"ModelName": "app-m"})
    assert hosting.model_names("app-") == ["app-m"]
    hosting.delete_model("app-m")
    assert hosting.model_names("") == ["m"]


def test_an_endpoint_config_says_where_asynchronous_answers_go(hosting: Hosting) -> None:
    hosting.create_model(MODEL)
    hosting.create_endpoint_config(endpoint_config("app-a") | ASYNCHRONOUS)
    hosting.create_endpoint_config(endpoint_config("app-b"))
    told, untold = hosting.endpoint_config("app-a"), hosting.endpoint_config("app-b")
    assert told is not None
    assert untold is not None
    assert told["AsyncInferenceConfig"] == ASYNCHRONOUS["AsyncInferenceConfig"]
    assert "AsyncInferenceConfig" not in untold


def test_an_asynchronous_endpoint_is_known_as_one(stubbed: Stubber) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    answer = {
        "EndpointName": "e",
        "EndpointArn": "arn:aws:sagemaker:us-east-1:000000000000:endpoint/e",
        "EndpointStatus": "InService",
        "CreationTime": moment,
        "LastModifiedTime": moment,
    }
    memory = MemoryHosting()
    memory.create_model(MODEL)
    for more in ({}, ASYNCHRONOUS):
        memory.create_endpoint_config(endpoint_config(f"c{len(more)}") | more)
        memory.create_endpoint({"EndpointName": "e", "EndpointConfigName": f"c{len(more)}"})
        stubbed.add_response("describe_endpoint", answer | more, {"EndpointName": "e"})
        sides: list[Hosting] = [memory, aws.SageMakerHosting()]
        assert [side.endpoint("e").is_asynchronous for side in sides] == [bool(more)] * 2  # type: ignore[union-attr]
        memory.delete_endpoint("e")


def test_no_update_makes_one_kind_of_endpoint_into_the_other() -> None:
    hosting = MemoryHosting()
    hosting.create_model(MODEL)
    hosting.create_endpoint_config(endpoint_config("c"))
    hosting.create_endpoint_config(endpoint_config("asynchronous") | ASYNCHRONOUS)
    hosting.create_endpoint({"EndpointName": "e", "EndpointConfigName": "c"})
    hosting.settle("e")
    with pytest.raises(InvalidInputError, match="kind of endpoint"):
        hosting.update_endpoint({"EndpointName": "e", "EndpointConfigName": "asynchronous"})


def test_deleting_what_is_not_there_is_no_error(hosting: Hosting) -> None:
    hosting.delete_endpoint("never")
    hosting.delete_endpoint_config("never")
    hosting.delete_model("never")


def test_an_endpoint_needs_a_config(hosting: Hosting) -> None:
    with pytest.raises(InvalidInputError):
        hosting.create_endpoint({"EndpointName": "e", "EndpointConfigName": "never"})


def test_creating_what_exists_is_no_error() -> None:
    hosting = MemoryHosting()
    hosting.create_model(MODEL)
    hosting.create_model(MODEL)
    hosting.create_endpoint_config(endpoint_config("c"))
    hosting.create_endpoint_config(endpoint_config("c"))
    assert hosting.endpoint_configs("") == ["c"]


def test_sagemaker_says_that_a_model_and_a_config_exist(stubbed: Stubber) -> None:
    taken = 'Cannot create already existing {} "arn:aws:sagemaker:us-east-1:000000000000:{}/x".'
    stubbed.add_client_error("create_model", "ValidationException", taken.format("model", "model"), 400)
    stubbed.add_client_error("create_endpoint_config", "ValidationException", taken.format("config", "config"), 400)
    aws.SageMakerHosting().create_model(MODEL)
    aws.SageMakerHosting().create_endpoint_config(endpoint_config("c"))


def test_only_an_endpoint_in_service_is_updated() -> None:
    hosting = MemoryHosting()
    hosting.create_model(MODEL)
    hosting.create_endpoint_config(endpoint_config("c"))
    update = {"EndpointName": "e", "EndpointConfigName": "c"}
    with pytest.raises(InvalidInputError):
        hosting.update_endpoint(update)
    hosting.create_endpoint(update)
    with pytest.raises(InvalidInputError):
        hosting.update_endpoint(update)
    hosting.settle("e")
    hosting.update_endpoint(update)
    assert hosting.endpoints["e"].status == "Updating"


def test_an_endpoint_is_made_once(stubbed: Stubber) -> None:
    stubbed.add_client_error("create_endpoint", "ValidationException", "Cannot create already existing endpoint", 400)
    request = {"EndpointName": "e", "EndpointConfigName": "c"}
    memory = MemoryHosting()
    memory.create_model(MODEL)
    memory.create_endpoint_config(endpoint_config("c"))
    memory.create_endpoint(request)
    sides: list[Hosting] = [memory, aws.SageMakerHosting()]
    for hosting in sides:
        with pytest.raises(InvalidInputError):
            hosting.create_endpoint(request)


def test_sagemaker_refuses_an_update_while_another_is_under_way(stubbed: Stubber) -> None:
    stubbed.add_client_error("update_endpoint", "ValidationException", "Cannot update in-progress endpoint", 400)
    with pytest.raises(InvalidInputError):
        aws.SageMakerHosting().update_endpoint({"EndpointName": "e", "EndpointConfigName": "c"})


# ---- The endpoint's runtime: moto answers for every name, so both sides are told what to say ----


@pytest.fixture
def runtime() -> Iterator[Stubber]:
    aws.client.cache_clear()
    with Stubber(aws.client("sagemaker-runtime")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()
    aws.client.cache_clear()


def test_no_endpoint_in_service_is_not_the_image_s_fault(runtime: Stubber) -> None:
    runtime.add_client_error("invoke_endpoint", "ValidationError", "Endpoint e of account 0 not found.", 400)
    sides: list[Inference] = [MemoryInference(), aws.SageMakerInference()]
    for inference in sides:
        with pytest.raises(NotFoundError, match="invoke e"):
            inference.invoke("e", b"image")


def test_the_answer_names_the_variant_and_the_attributes_of_what_gave_it(runtime: Stubber) -> None:
    body = b'{"prediction": [[0.0, 0.5, 0.1, 0.2, 0.3, 0.4]]}'
    runtime.add_response(
        "invoke_endpoint",
        {
            "Body": StreamingBody(io.BytesIO(body), len(body)),
            "InvokedProductionVariant": "pets-0123456789",
            "CustomAttributes": "run_id=pets-0123456789",
        },
        {"EndpointName": "e", "ContentType": "application/x-image", "Accept": "application/json", "Body": b"image"},
    )
    memory = MemoryInference()
    memory.serve("e", "pets-0123456789", lambda image: [[0.0, 0.5, 0.1, 0.2, 0.3, 0.4]], "run_id=pets-0123456789")
    assert memory.invoke("e", b"image") == aws.SageMakerInference().invoke("e", b"image")


@pytest.mark.parametrize(
    ("code", "original", "expected"),
    [
        ("ModelError", 400, InvalidInputError),
        ("ModelError", 415, InvalidInputError),
        ("ModelError", 500, TransientError),
        ("ModelNotReadyException", None, TransientError),
        ("InternalFailure", None, TransientError),
        ("ServiceUnavailable", None, TransientError),
        ("ThrottlingException", None, TransientError),
    ],
)
def test_only_a_refusal_by_the_container_is_the_image_s_fault(
    runtime: Stubber, code: str, original: int | None, expected: type[Exception]
) -> None:
    modeled = {"OriginalStatusCode": original, "OriginalMessage": "why"} if original else None
    runtime.add_client_error("invoke_endpoint", code, "no", 424, modeled_fields=modeled)
    with pytest.raises(expected):
        aws.SageMakerInference().invoke("e", b"image")


# ---- CloudWatch's alarms ----


ALARM: Request = {
    "AlarmName": "app-pets-0123456789-errors",
    "EvaluationPeriods": 1,
    "ComparisonOperator": "GreaterThanThreshold",
    "Namespace": "AWS/SageMaker",
    "MetricName": "Invocation5XXErrors",
    "Statistic": "Average",
    "Period": 60,
    "Threshold": 0.05,
}


@pytest.fixture
def watching() -> Iterator[Stubber]:
    aws.client.cache_clear()
    with Stubber(aws.client("cloudwatch")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()
    aws.client.cache_clear()


def test_an_alarm_is_made_and_removed_whether_it_is_there_or_not(watching: Stubber) -> None:
    watching.add_response("put_metric_alarm", {}, ALARM)
    watching.add_client_error("delete_alarms", "ResourceNotFound", "", 404, expected_params={"AlarmNames": ["gone"]})
    watching.add_response("delete_alarms", {}, {"AlarmNames": [ALARM["AlarmName"]]})
    memory = MemoryAlarms()
    sides: list[Alarms] = [memory, aws.CloudWatchAlarms()]
    for alarms in sides:
        alarms.put(ALARM)
        alarms.delete(["gone", ALARM["AlarmName"]])
    assert memory.requests == {}


def test_one_alarm_too_many_is_invalid(watching: Stubber) -> None:
    watching.add_client_error("put_metric_alarm", "LimitExceeded", "no", 400)
    with pytest.raises(InvalidInputError, match="put alarm app-pets-0123456789-errors: no"):
        aws.CloudWatchAlarms().put(ALARM)
