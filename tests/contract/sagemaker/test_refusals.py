"""What the service refuses before anything happens, in its own words."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError


def channel(**changes: object) -> dict[str, object]:
    """One channel; what is left out of its S3DataSource and what is added to it go by the service's names."""
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://contract-bucket/a"}
    source |= {name: changes.pop(name) for name in ("S3DataType", "AttributeNames") if name in changes}
    return {"ChannelName": "train", "DataSource": {"S3DataSource": source}, **changes}


def code_and_message(refused) -> tuple[str, str]:
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_missing_member_must_not_be_null(aws):
    """CreateTrainingJob: required members."""
    with pytest.raises(ClientError) as refused:
        aws["sagemaker"].create_training_job(TrainingJobName="x")
    code, message = code_and_message(refused)
    assert code == "ValidationException"
    assert message == (
        "2 validation errors detected: Value null at 'roleArn' failed to satisfy constraint: Member must not be null; "
        "Value null at 'outputDataConfig' failed to satisfy constraint: Member must not be null"
    )


@pytest.mark.parametrize("member", ["AlgorithmSpecification", "ResourceConfig", "StoppingCondition"])
def test_a_training_job_needs_what_its_model_leaves_open(aws, member):
    """CreateTrainingJob: what a job with instances needs."""
    request = aws.training_request(aws.name("refused"))
    del request[member]
    with pytest.raises(ClientError, match=f"{member} must be given"):
        aws["sagemaker"].create_training_job(**request)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"TrainingJobName": "under_score"},
            (
                "Value 'under_score' at 'trainingJobName' failed to satisfy constraint: Member must satisfy regular "
                "expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
            ),
        ),
        (
            {"TrainingJobName": "x" * 64},
            (
                f"Value '{'x' * 64}' at 'trainingJobName' failed to satisfy constraint: Member must have length less "
                "than or equal to 63"
            ),
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 0}},
            (
                "Value '0' at 'stoppingCondition.maxRuntimeInSeconds' failed to satisfy constraint: Member must have "
                "value greater than or equal to 1"
            ),
        ),
        (
            {"AlgorithmSpecification": {"TrainingImage": "x", "TrainingInputMode": "Fast"}},
            (
                "Value 'Fast' at 'algorithmSpecification.trainingInputMode' failed to satisfy constraint: Member must "
                "satisfy enum value set: [Pipe, File, FastFile]"
            ),
        ),
        (
            {"HyperParameters": {"key": "x" * 2501}},
            (
                "at 'hyperParameters.key.member' failed to satisfy constraint: Member must have length less than or "
                "equal to 2500"
            ),
        ),
    ],
)
def test_constraints_of_the_model_hold(aws, changes, expected):
    """CreateTrainingJob: lengths, patterns, enumerations and ranges of its members."""
    with pytest.raises(ClientError) as refused:
        aws["sagemaker"].create_training_job(**aws.training_request(aws.name("refused"), **changes))
    code, message = code_and_message(refused)
    assert code == "ValidationException"
    assert expected in message


def test_a_wrong_type_is_a_serialization_error(aws):
    """CreateTrainingJob, HyperParameters: a map of texts."""
    with pytest.raises(ClientError, match=r"hyperParameters\.epochs\.member must be string") as refused:
        call(aws, "CreateTrainingJob", aws.training_request("x", HyperParameters={"epochs": 3}))
    assert code_and_message(refused)[0] == "SerializationException"


def test_a_misspelt_parameter_is_refused(aws):
    """docs/embedded-cloud.md: an unknown parameter is refused, as botocore's client does."""
    with pytest.raises(ClientError, match=r"Unknown parameter 'stoppingCondition\.maxRuntimeInSecond'"):
        call(aws, "CreateTrainingJob", aws.training_request("x", StoppingCondition={"MaxRuntimeInSecond": 3}))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 101, "VolumeSizeInGB": 1}},
            "InstanceCount = 101",
        ),
        ({"InputDataConfig": [channel(S3DataType="ManifestFile")]}, "S3DataType = ManifestFile"),
        ({"InputDataConfig": [channel(CompressionType="Gzip", InputMode="Pipe")]}, "CompressionType = Gzip"),
        ({"DebugHookConfig": {"S3OutputPath": "s3://bucket/x"}}, "DebugHookConfig.S3OutputPath"),
    ],
)
def test_a_parameter_that_has_no_effect_here_is_refused_by_name(aws, changes, named):
    """docs/embedded-cloud.md: nothing is accepted and ignored."""
    with pytest.raises(ClientError, match="The embedded cloud doesn't support CreateTrainingJob's") as refused:
        aws.train(aws.name("refused"), **changes)
    assert named in str(refused.value)


@pytest.mark.parametrize("mode", ["File", "FastFile"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"S3DataType": "AugmentedManifestFile", "AttributeNames": ["source-ref"]},
            "AugmentedManifestFile can only be used in input mode Pipe, and channel train has",
        ),
        ({"RecordWrapperType": "RecordIO"}, "RecordWrapperType must be None in input mode"),
    ],
)
def test_what_only_a_pipe_carries_is_refused_elsewhere(aws, mode, changes, message):
    """S3DataSource, AugmentedManifestFile; Channel, RecordWrapperType: in Pipe mode alone."""
    with pytest.raises(ClientError, match=message):
        aws.train(aws.name("refused"), InputDataConfig=[channel(**changes, InputMode=mode)])
    specification = aws.training_request("any")["AlgorithmSpecification"] | {"TrainingInputMode": mode}
    with pytest.raises(ClientError, match=message):
        aws.train(aws.name("refused"), InputDataConfig=[channel(**changes)], AlgorithmSpecification=specification)


@pytest.mark.parametrize("changes", [{"S3DataType": "AugmentedManifestFile"}, {"AttributeNames": ["source-ref"]}])
def test_attributes_are_named_of_augmented_manifests_and_of_nothing_else(aws, changes):
    """S3DataSource, AttributeNames: for AugmentedManifestFile."""
    with pytest.raises(ClientError, match="channel train must have AttributeNames if, and only if"):
        aws.train(aws.name("refused"), InputDataConfig=[channel(**changes, InputMode="Pipe")])


def test_an_operation_that_is_not_there_is_refused_by_name(aws):
    """docs/embedded-cloud.md: an operation that isn't there answers as an unknown operation."""
    with pytest.raises(ClientError, match="CreateAutoMLJobV2") as refused:
        call(aws, "CreateAutoMLJobV2", {})
    assert code_and_message(refused)[0] == "UnknownOperationException"


@pytest.mark.parametrize(
    ("operation", "request_", "code", "message"),
    [
        (
            "describe_processing_job",
            {"ProcessingJobName": "no"},
            "ResourceNotFound",
            "Could not find requested job with name: no",
        ),
        (
            "describe_transform_job",
            {"TransformJobName": "no"},
            "ResourceNotFound",
            "Could not find requested job with name: no",
        ),
        ("describe_training_job", {"TrainingJobName": "no"}, "ValidationException", "Requested resource not found."),
        ("stop_training_job", {"TrainingJobName": "no"}, "ValidationException", "Requested resource not found."),
        ("describe_model", {"ModelName": "no"}, "ValidationException", "Could not find model"),
        ("delete_model", {"ModelName": "no"}, "ValidationException", "Could not find model"),
        (
            "describe_endpoint_config",
            {"EndpointConfigName": "no"},
            "ValidationException",
            "Could not find endpoint config",
        ),
        (
            "delete_endpoint_config",
            {"EndpointConfigName": "no"},
            "ValidationException",
            "Could not find endpoint config",
        ),
        ("describe_endpoint", {"EndpointName": "no"}, "ValidationException", "Could not find endpoint"),
        ("delete_endpoint", {"EndpointName": "no"}, "ValidationException", "Could not find endpoint"),
    ],
)
def test_what_is_missing_is_named(aws, operation, request_, code, message):
    """DescribeTrainingJob; DescribeModel; DescribeEndpoint: each kind's own words for what isn't there."""
    with pytest.raises(ClientError) as refused:
        getattr(aws["sagemaker"], operation)(**request_)
    assert code_and_message(refused)[0] == code
    assert message in code_and_message(refused)[1]


def test_a_config_needs_its_models(aws):
    """CreateEndpointConfig, ProductionVariants: of models that exist."""
    with pytest.raises(ClientError, match="Could not find model"):
        aws.config(aws.name("config"), "no-such-model")


def test_a_model_needs_its_artifact(aws):
    """CreateModel, ModelDataUrl: an object that the role can read."""
    with pytest.raises(ClientError, match=r"Could not access model data at s3://contract-bucket/none\.tar\.gz"):
        aws.model(aws.name("model"), data="s3://contract-bucket/none.tar.gz")


def call(aws, operation: str, request: dict[str, object]) -> None:
    """Send a request as it is: botocore's client would put a wrong one right, or not know the parameter."""
    address, scope = urlsplit(aws.url), "test/20260101/us-east-1/sagemaker/aws4_request"
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    headers = {
        "X-Amz-Target": f"SageMaker.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00",
    }
    connection.request("POST", "/", json.dumps(request), headers)
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()
    if response.status >= 400:
        raise ClientError({"Error": {"Code": body["__type"], "Message": body["message"]}}, operation)
