"""IAM holds for SageMaker too: for its callers and for the roles that jobs work under."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

BUCKET = "contract-bucket"
ARN = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.fixture
def user(aws):
    """Makes clients of users who may do what is listed."""

    def make(service: str, *statements: dict[str, object]):
        name = aws.name("user")
        aws["iam"].create_user(UserName=name)
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        aws["iam"].put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=json.dumps(document))
        key = aws["iam"].create_access_key(UserName=name)["AccessKey"]
        return aws.client(service, key["AccessKeyId"], key["SecretAccessKey"])

    return make


def allow(action: str, resource: str, **condition: object) -> dict[str, object]:
    statement: dict[str, object] = {"Effect": "Allow", "Action": action, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def role_for(aws, name: str, *statements: dict[str, object], service: str = "sagemaker.amazonaws.com") -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = aws["iam"].create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    aws["iam"].put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=policy)
    return str(arn)


def refused(call, *, action: str, resource: str) -> None:
    with pytest.raises(ClientError) as error:
        call()
    assert error.value.response["Error"]["Code"] == "AccessDeniedException"
    assert f"is not authorized to perform: {action} on resource: {resource}" in str(error.value)


def test_an_operation_is_allowed_on_the_resources_that_the_policy_names(aws, user):
    """Service Authorization Reference, CreateTrainingJob: the job is the resource, tags need AddTags."""
    mine, other = aws.name("dropspot-a"), aws.name("dropspot-b")
    pass_role = allow("iam:PassRole", aws.role, StringEquals={"iam:PassedToService": "sagemaker.amazonaws.com"})
    client = user("sagemaker", allow("sagemaker:CreateTrainingJob", f"{ARN}:training-job/dropspot-a*"), pass_role)
    client.create_training_job(**aws.training_request(mine))
    refused(
        lambda: client.create_training_job(**aws.training_request(other)),
        action="sagemaker:CreateTrainingJob",
        resource=f"{ARN}:training-job/{other}",
    )
    refused(
        lambda: client.create_training_job(**aws.training_request(mine, Tags=[{"Key": "k", "Value": "v"}])),
        action="sagemaker:AddTags",
        resource=f"{ARN}:training-job/{mine}",
    )
    refused(client.list_training_jobs, action="sagemaker:ListTrainingJobs", resource="*")


def test_a_role_must_be_passed_on_by_right(aws, user):
    """Service Authorization Reference, CreateTrainingJob: iam:PassRole for the job's role."""
    client = user("sagemaker", allow("sagemaker:*", "*"))
    request = aws.training_request(aws.name("train"))
    refused(lambda: client.create_training_job(**request), action="iam:PassRole", resource=aws.role)


def test_an_update_needs_the_right_to_the_config_as_well(aws, user):
    """Service Authorization Reference, CreateEndpoint: the configuration is a resource as well."""
    client = user("sagemaker", allow("sagemaker:CreateEndpoint", f"{ARN}:endpoint/*"))
    refused(
        lambda: client.create_endpoint(EndpointName="e", EndpointConfigName="c"),
        action="sagemaker:CreateEndpoint",
        resource=f"{ARN}:endpoint-config/c",
    )


def test_invoking_needs_the_right_to_the_endpoint(aws, user):
    """Service Authorization Reference, InvokeEndpoint: the endpoint is the resource."""
    client = user("sagemaker-runtime", allow("sagemaker:InvokeEndpoint", f"{ARN}:endpoint/mine"))
    refused(
        lambda: client.invoke_endpoint(EndpointName="yours", Body=b"x"),
        action="sagemaker:InvokeEndpoint",
        resource=f"{ARN}:endpoint/yours",
    )
    with pytest.raises(ClientError, match="Endpoint mine of account 000000000000 not found"):
        client.invoke_endpoint(EndpointName="mine", Body=b"x")


@pytest.mark.parametrize("service", ["lambda.amazonaws.com", None])
def test_a_role_that_the_service_may_not_assume_is_refused(aws, service):
    """SageMaker Roles: the role must trust sagemaker.amazonaws.com."""
    arn = "arn:aws:iam::000000000000:role/none"
    if service:
        arn = role_for(aws, aws.name("role"), allow("s3:*", "*"), service=service)
    with pytest.raises(ClientError, match=f"Could not assume role {arn}"):
        aws.train(aws.name("train"), RoleArn=arn)


def test_a_job_reads_only_what_its_role_may_read(aws):
    """SageMaker Roles: the job reads under its own role, whoever started it."""
    aws.put("secret/data.rec")
    role = role_for(aws, aws.name("role"), allow("s3:ListBucket", f"arn:aws:s3:::{BUCKET}"))
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/secret/"}}
    job = aws.trained(aws.name("train"), RoleArn=role, InputDataConfig=[{"ChannelName": "train", "DataSource": source}])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == f"ClientError: Data download failed:403 for s3://{BUCKET}/secret/data.rec"


def piped(uri: str, **source: object) -> list[dict[str, object]]:
    s3 = {"S3DataType": "S3Prefix", "S3Uri": uri, **source}
    return [{"ChannelName": "train", "InputMode": "Pipe", "DataSource": {"S3DataSource": s3}}]


def test_a_pipe_brings_only_what_the_jobs_role_may_list_and_read(aws):
    """SageMaker Roles: in Pipe mode too."""
    aws.put("piped-secret/data.rec")
    listing, reading = allow("s3:ListBucket", f"arn:aws:s3:::{BUCKET}"), allow("s3:GetObject", "*")
    reasons = {
        listing["Action"]: f"Data download failed:AccessDenied for s3://{BUCKET}/piped-secret/data.rec",
        reading["Action"]: f"Data download failed:AccessDenied listing s3://{BUCKET}/piped-secret/",
    }
    for statement in (listing, reading):
        job = aws.trained(
            aws.name("train"),
            RoleArn=role_for(aws, aws.name("role"), statement),
            InputDataConfig=piped(f"s3://{BUCKET}/piped-secret/"),
            HyperParameters={"pipes": '{"train": [-1]}'},
        )
        assert job["TrainingJobStatus"] == "Failed"
        assert job["FailureReason"] == f"ClientError: {reasons[statement['Action']]}"


def test_an_augmented_manifest_brings_only_the_objects_that_the_jobs_role_may_read(aws):
    """SageMaker Roles: what a manifest refers to is read under the job's role."""
    aws.put("referred/open/a.jpg")
    aws.put("referred/secret/b.jpg")
    for name in ("open/a.jpg", "secret/b.jpg"):
        aws.put(f"lists/{name}.manifest", json.dumps({"source-ref": f"s3://{BUCKET}/referred/{name}"}).encode())
    objects = [f"arn:aws:s3:::{BUCKET}/{keys}" for keys in ("referred/open/*", "lists/*", "models/*")]
    role = role_for(aws, aws.name("role"), *(allow("s3:*", keys) for keys in objects))

    def trained(uri: str) -> dict[str, str]:
        return dict(
            aws.trained(
                aws.name("train"),
                RoleArn=role,
                InputDataConfig=piped(uri, S3DataType="AugmentedManifestFile", AttributeNames=["source-ref"]),
                HyperParameters={"pipes": '{"train": [-1]}'},
            )
        )

    assert trained(f"s3://{BUCKET}/lists/open/a.jpg.manifest")["TrainingJobStatus"] == "Completed"
    refused_object = trained(f"s3://{BUCKET}/lists/secret/b.jpg.manifest")
    reason = f"ClientError: Data download failed:AccessDenied for s3://{BUCKET}/referred/secret/b.jpg"
    assert refused_object["FailureReason"] == reason
    refused_manifest = trained(f"s3://{BUCKET}/referred/secret/b.jpg")
    assert refused_manifest["FailureReason"] == reason


def test_a_job_reads_what_a_manifest_file_lists_object_by_object(aws):
    """SageMaker Roles: what a manifest lists needs no right to list the prefix."""
    name = aws.name("prep")
    for key in ("listed/open/a.txt", "listed/secret/b.txt"):
        aws.put(key)
    aws.put(f"lists/{name}.json", f'[{{"prefix": "s3://{BUCKET}/listed/"}}, "open/a.txt", "secret/b.txt"]'.encode())
    readable = [f"arn:aws:s3:::{BUCKET}/listed/open/*", f"arn:aws:s3:::{BUCKET}/lists/*"]
    role = role_for(aws, aws.name("role"), *(allow("s3:GetObject", resource) for resource in readable))
    source = {"S3Uri": f"s3://{BUCKET}/lists/{name}.json", "LocalPath": "/opt/ml/processing/input/listed"}
    aws.processing(
        name,
        RoleArn=role,
        ProcessingInputs=[
            {"InputName": "listed", "S3Input": source | {"S3DataType": "ManifestFile", "S3InputMode": "File"}}
        ],
    )
    job = aws.ended("describe_processing_job", "ProcessingJobStatus", ProcessingJobName=name)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == f"ClientError: Data download failed:403 for s3://{BUCKET}/listed/secret/b.txt"


def test_a_job_writes_only_where_its_role_may_write(aws):
    """SageMaker Roles: outputs are written under the job's role."""
    role = role_for(aws, aws.name("role"), allow("s3:GetObject", "*"))
    job = aws.trained(aws.name("train"), RoleArn=role)
    assert job["TrainingJobStatus"] == "Failed"
    assert "AccessDenied" in job["FailureReason"]


def test_registering_a_model_needs_the_right_to_its_group_and_to_its_packages(aws, user):
    """Service Authorization Reference, CreateModelPackage: the package and the group are both resources of it."""
    group = aws.name("mine")
    aws["sagemaker"].create_model_package_group(ModelPackageGroupName=group)
    specification = {"Containers": [{"Image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/fake:1"}]}
    packages = allow("sagemaker:*", f"{ARN}:model-package/{group}/*")
    halves = user("sagemaker", packages)
    request = {"ModelPackageGroupName": group, "InferenceSpecification": specification}
    refused(
        lambda: halves.create_model_package(**request),
        action="sagemaker:CreateModelPackage",
        resource=f"{ARN}:model-package-group/{group}",
    )
    whole = user("sagemaker", packages, allow("sagemaker:CreateModelPackage", f"{ARN}:model-package-group/{group}"))
    arn = whole.create_model_package(**request)["ModelPackageArn"]
    whole.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected")
    refused(
        lambda: whole.delete_model_package_group(ModelPackageGroupName=group),
        action="sagemaker:DeleteModelPackageGroup",
        resource=f"{ARN}:model-package-group/{group}",
    )


def test_the_execution_role_must_be_allowed_to_watch_a_deployments_alarms(aws):
    """Auto-Rollback Configuration and Monitoring: the execution role needs cloudwatch:DescribeAlarms."""
    blind = role_for(aws, aws.name("blind"), allow("s3:*", "*"))
    model, name, alarm = aws.name("model"), aws.name("endpoint"), aws.name("alarm")
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/fake:1"
    aws["sagemaker"].create_model(ModelName=model, PrimaryContainer={"Image": image}, ExecutionRoleArn=blind)
    config = aws.config(aws.name("config"), model)
    aws.endpoint(name, config)
    aws["cloudwatch"].put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    guarded = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]}}
    arn = f"arn:aws:cloudwatch:us-east-1:000000000000:alarm:{alarm}"
    with pytest.raises(ClientError) as error:
        aws["sagemaker"].update_endpoint(EndpointName=name, EndpointConfigName=config, DeploymentConfig=guarded)
    assert f"is not authorized to perform: cloudwatch:DescribeAlarms on resource: {arn}" in str(error.value)


def test_tuning_needs_the_right_to_pass_the_trainings_role(aws, user):
    """Service Authorization Reference, CreateHyperParameterTuningJob: iam:PassRole for the training jobs' role."""
    name = aws.name("tune")
    client = user("sagemaker", allow("sagemaker:*", f"{ARN}:hyper-parameter-tuning-job/{name}"))
    request = aws.training_request("any")
    names = ("RoleArn", "ResourceConfig", "StoppingCondition", "OutputDataConfig", "AlgorithmSpecification")
    tuning = {
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1},
        },
        "TrainingJobDefinition": {field: request[field] for field in names},
    }
    refused(
        lambda: client.create_hyper_parameter_tuning_job(HyperParameterTuningJobName=name, **tuning),
        action="iam:PassRole",
        resource=aws.role,
    )
    refused(
        lambda: client.create_hyper_parameter_tuning_job(HyperParameterTuningJobName="other", **tuning),
        action="sagemaker:CreateHyperParameterTuningJob",
        resource=f"{ARN}:hyper-parameter-tuning-job/other",
    )
