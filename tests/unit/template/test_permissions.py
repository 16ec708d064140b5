"""What each role may do, and above all what it may not."""

from typing import Any

import pytest
from unit.template.deployed import ACCOUNT, PHYSICAL, REGION, Stack, deploy
from unit.template.permissions import allows, listed

RUN = "pets-0123456789"
BACKFILL = "dropspot-holiday-0123456789"
STEPS = [
    "StartPreprocessing",
    "StartTraining",
    "StartEvaluation",
    "DeployModel",
    "ReconcileEndpoint",
    "RecordFailure",
    "ResumeRuns",
    "StartRetraining",
    "RestoreModel",
]
BACKFILLING = {"StartBackfill", "AdvanceBackfill"}
ALL = [*STEPS, *BACKFILLING, "AuditImages", "DetectObjects", "Api"]
BEGINNERS = {"StartPreprocessing", "StartRetraining"}
LOOKING_AT_DATA = BEGINNERS | {"StartTraining"}


def role(name: str) -> str:
    return f"{name}FunctionRole"


def s3(key: str = "") -> str:
    return f"arn:aws:s3:::{PHYSICAL['DataBucket']}" + (f"/{key}" if key else "")


def sagemaker(resource: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{resource}"


def may(stack: Stack, name: str, action: str, resource: str, **context: str) -> bool:
    return allows(stack.statements(role(name)), action, resource, **context)


def those_who_may(stack: Stack, action: str, resource: str, **context: str) -> set[str]:
    return {name for name in ALL if may(stack, name, action, resource, **context)}


@pytest.mark.parametrize(
    ("action", "resource", "who"),
    [
        ("sagemaker:CreateProcessingJob", f"processing-job/dropspot-{RUN}-prep", BEGINNERS),
        ("sagemaker:CreateTrainingJob", f"training-job/dropspot-{RUN}-train", {"StartTraining"}),
        ("sagemaker:CreateModel", f"model/dropspot-{RUN}-model", {"StartEvaluation", "ReconcileEndpoint"}),
        ("sagemaker:CreateTransformJob", f"transform-job/dropspot-{RUN}-eval", {"StartEvaluation"}),
        ("sagemaker:CreateEndpointConfig", f"endpoint-config/dropspot-{RUN}-config", {"ReconcileEndpoint"}),
        ("sagemaker:DescribeEndpointConfig", f"endpoint-config/dropspot-{RUN}-config", {"ReconcileEndpoint"}),
        ("sagemaker:CreateTransformJob", f"transform-job/dropspot-{RUN}-evalchamp", {"StartEvaluation"}),
        ("sagemaker:DescribeTransformJob", f"transform-job/dropspot-{RUN}-evalchamp",
         {"StartEvaluation", "DeployModel", "RecordFailure", "ResumeRuns"}),
        ("sagemaker:CreateModelPackage", "model-package-group/dropspot", {"DeployModel"}),
        ("sagemaker:CreateModelPackage", "model-package/dropspot/3", {"DeployModel"}),
        ("sagemaker:CreateModelPackage", "model-package/dropspot2/3", set()),
        ("sagemaker:DescribeModelPackage", "model-package/dropspot/3", {"DeployModel", "ResumeRuns"}),
        # approving is for people
        ("sagemaker:UpdateModelPackage", "model-package/dropspot/3", set()),
        ("sagemaker:CreateEndpoint", "endpoint/dropspot-endpoint", {"ReconcileEndpoint"}),
        ("sagemaker:CreateEndpoint", f"endpoint-config/dropspot-{RUN}-config", {"ReconcileEndpoint"}),
        ("sagemaker:UpdateEndpoint", "endpoint/dropspot-endpoint", {"ReconcileEndpoint"}),
        ("sagemaker:UpdateEndpoint", f"endpoint-config/dropspot-{RUN}-config", {"ReconcileEndpoint"}),
        ("sagemaker:DeleteEndpoint", "endpoint/dropspot-endpoint", {"ReconcileEndpoint"}),
        ("sagemaker:DeleteEndpointConfig", f"endpoint-config/dropspot-{RUN}-config", {"ReconcileEndpoint"}),
        ("sagemaker:DeleteModel", f"model/dropspot-{RUN}-model", {"ReconcileEndpoint"}),
        ("sagemaker:DescribeEndpoint", "endpoint/dropspot-endpoint", {"ReconcileEndpoint", "Api", "AuditImages"}),
        ("sagemaker:InvokeEndpoint", "endpoint/dropspot-endpoint", {"DetectObjects", "ReconcileEndpoint"}),
        ("sagemaker:CreateProcessingJob", f"processing-job/{BACKFILL}-00000-sniff-backfill", {"AdvanceBackfill"}),
        ("sagemaker:CreateTransformJob", f"transform-job/{BACKFILL}-00000-look-backfill", {"AdvanceBackfill"}),
        ("sagemaker:DescribeTransformJob", f"transform-job/{BACKFILL}-00000-look-backfill", {"AdvanceBackfill"}),
        ("sagemaker:AddTags", f"transform-job/{BACKFILL}-00000-look-backfill", {"AdvanceBackfill"}),
        ("sagemaker:DescribeTrainingJob", f"training-job/dropspot-{RUN}-train",
         {"StartTraining", "StartEvaluation", "RecordFailure", "ResumeRuns"}),
        # tags are set by what is created
        ("sagemaker:AddTags", f"training-job/dropspot-{RUN}-train", {"StartTraining"}),
        # another application's, another step's, and what nobody here touches
        ("sagemaker:CreateTrainingJob", f"training-job/dropspot2-{RUN}-train", set()),
        ("sagemaker:CreateTrainingJob", f"training-job/dropspot-{RUN}-prep", set()),
        ("sagemaker:CreateEndpoint", "endpoint/dropspot-endpoint2", set()),
        ("sagemaker:InvokeEndpoint", "endpoint/another", set()),
        ("sagemaker:DeleteModel", "model/another", set()),
        ("sagemaker:StopTrainingJob", f"training-job/dropspot-{RUN}-train", set()),
    ],
)  # fmt: skip
def test_who_may_do_what_at_sagemaker(stack: Stack, action: str, resource: str, who: set[str]) -> None:
    assert those_who_may(stack, action, sagemaker(resource)) == who


@pytest.mark.parametrize(
    ("action", "key", "who"),
    [
        ("s3:GetObject", "datasets/pets/training.json", LOOKING_AT_DATA),
        ("s3:GetObject", "images/cat.jpg", {"DetectObjects", "AdvanceBackfill"}),
        ("s3:GetObject", f"runs/{RUN}/run.json", set(ALL) - {"AuditImages"}),
        ("s3:GetObject", "detections/cat.jpg.json", {"DetectObjects", "AdvanceBackfill", "Api"}),
        ("s3:GetObject", "endpoint/champion.json",
         {"StartEvaluation", "DeployModel", "ReconcileEndpoint", "RestoreModel", "StartRetraining", "StartTraining",
          "DetectObjects", "Api", *BACKFILLING}),
        ("s3:GetObject", "backfills/holiday-0123456789/backfill.json", BACKFILLING),
        ("s3:PutObject", "backfills/holiday-0123456789/backfill.json", BACKFILLING),
        ("s3:PutObject", "open-backfills/holiday-0123456789", {"StartBackfill"}),
        ("s3:DeleteObject", "open-backfills/holiday-0123456789", {"AdvanceBackfill"}),
        ("s3:PutObject", f"runs/{RUN}/failure.json", set(STEPS)),
        ("s3:PutObject", f"runs/{RUN}/references/photos.json", set(STEPS)),
        ("s3:PutObject", f"open-runs/{RUN}", BEGINNERS),
        ("s3:PutObject", "detections/cat.jpg.json", {"DetectObjects", "AdvanceBackfill"}),
        ("s3:PutObject", "endpoint/desired.json", {"DeployModel", "ReconcileEndpoint", "RestoreModel"}),
        ("s3:DeleteObject", f"open-runs/{RUN}", {"ResumeRuns"}),
        ("s3:DeleteObject", "detections/cat.jpg.json", {"DetectObjects"}),
        # what the user uploads is nobody's to change, and what a run has left is nobody's to remove
        ("s3:PutObject", "datasets/pets/training.json", set()),
        ("s3:PutObject", "images/cat.jpg", set()),
        ("s3:DeleteObject", "datasets/pets/training.json", set()),
        ("s3:DeleteObject", "images/cat.jpg", set()),
        ("s3:DeleteObject", f"runs/{RUN}/run.json", set()),
        ("s3:DeleteObjectVersion", "images/cat.jpg", set()),
    ],
)  # fmt: skip
def test_who_may_do_what_in_the_bucket(stack: Stack, action: str, key: str, who: set[str]) -> None:
    assert those_who_may(stack, action, s3(key)) == who


def test_everyone_sees_that_a_key_is_missing(stack: Stack) -> None:
    # Without s3:ListBucket on the whole bucket S3 answers 403, which no function takes for "not there".
    assert those_who_may(stack, "s3:ListBucket", s3()) == set(ALL)


def test_only_those_who_start_jobs_or_make_models_pass_the_role_and_only_to_sagemaker(stack: Stack) -> None:
    arn, service = stack.arn("SageMakerRole"), "sagemaker.amazonaws.com"
    who = BEGINNERS | {"StartTraining", "StartEvaluation", "ReconcileEndpoint", "AdvanceBackfill"}
    assert those_who_may(stack, "iam:PassRole", arn, iam_PassedToService=service) == who
    assert those_who_may(stack, "iam:PassRole", arn, iam_PassedToService="ec2.amazonaws.com") == set()
    assert those_who_may(stack, "iam:PassRole", arn) == set()


def test_events_are_put_under_this_application_s_name_only(stack: Stack) -> None:
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    assert those_who_may(stack, "events:PutEvents", bus, events_source="dropspot") == set(ALL)
    assert those_who_may(stack, "events:PutEvents", bus, events_source="dropspot2") == set()


def test_queues_are_written_by_those_who_must(stack: Stack) -> None:
    stranded = {"StartTraining", "StartEvaluation", "DeployModel", "ReconcileEndpoint", "RecordFailure", "ResumeRuns"}
    dead = stack.arn("CommandDeadLetterQueue")
    others = {*BACKFILLING, "AuditImages", "StartRetraining", "RestoreModel"}
    assert those_who_may(stack, "sqs:SendMessage", dead) == stranded | others
    assert those_who_may(stack, "sqs:SendMessage", stack.arn("DatasetQueue")) == {"StartPreprocessing"}
    assert those_who_may(stack, "sqs:SendMessage", stack.arn("ImageQueue")) == {
        *("AdvanceBackfill", "AuditImages", "DetectObjects"),
    }
    assert those_who_may(stack, "sqs:SendMessage", stack.arn("ImageDeadLetterQueue")) == {"DetectObjects"}
    assert those_who_may(stack, "sqs:ChangeMessageVisibility", stack.arn("ImageQueue")) == {"DetectObjects"}


def test_only_reconcile_endpoint_opens_and_closes_the_image_queue_and_no_other_mapping(stack: Stack) -> None:
    prefix = f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:"
    action, mapping = (
        "lambda:UpdateEventSourceMapping",
        stack.environment("ReconcileEndpointFunction")["IMAGE_MAPPING_ID"],
    )
    assert those_who_may(stack, action, prefix + mapping) == {"ReconcileEndpoint"}
    assert those_who_may(stack, action, prefix + "another") == set()


def alarm(name: str) -> str:
    return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"


@pytest.mark.parametrize("action", ["PutMetricAlarm", "DescribeAlarms", "DeleteAlarms"])
def test_reconcile_endpoint_makes_and_removes_the_alarms_of_runs_and_no_others(stack: Stack, action: str) -> None:
    for watched in ("errors", "latency"):
        assert those_who_may(stack, f"cloudwatch:{action}", alarm(f"dropspot-{RUN}-{watched}")) == {"ReconcileEndpoint"}
    for other in ("dropspot-CommandDeadLetterAlarm-1X", f"dropspot2-{RUN}-errors", "anything"):
        assert those_who_may(stack, f"cloudwatch:{action}", alarm(other)) == set()


def test_a_key_of_one_s_own_is_used_by_reconcile_endpoint_for_aws_s_resources_only(stack: Stack) -> None:
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
    keyed = deploy(EndpointKmsKeyArn=key)
    grant = {"kms_GrantIsForAWSResource": "true"}
    assert those_who_may(keyed, "kms:CreateGrant", key, **grant) == {"ReconcileEndpoint"}
    assert those_who_may(keyed, "kms:CreateGrant", key, kms_GrantIsForAWSResource="false") == set()
    assert those_who_may(keyed, "kms:DescribeKey", key) == {"ReconcileEndpoint"}
    assert those_who_may(keyed, "kms:Decrypt", key) == set()
    assert those_who_may(stack, "kms:CreateGrant", key, **grant) == set()


def test_the_jobs_role_makes_network_interfaces_only_where_models_run_in_subnets(stack: Stack) -> None:
    inside = deploy(ModelSubnets="subnet-0a,subnet-0b", ModelSecurityGroups="sg-0c")
    made = ("ec2:CreateNetworkInterface", f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1")
    assert allows(inside.statements("SageMakerRole"), *made)
    assert allows(inside.statements("SageMakerRole"), "ec2:DescribeSubnets", "*")
    assert not allows(inside.statements("SageMakerRole"), "ec2:CreateVpc", f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/v")
    assert not allows(stack.statements("SageMakerRole"), *made)


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("s3:GetObject", s3("datasets/pets/images.tar.gz"), True),
        ("s3:GetObject", s3(f"runs/{RUN}/prepared/train/train.rec"), True),
        ("s3:PutObject", s3(f"runs/{RUN}/model/x/output/model.tar.gz"), True),
        ("s3:PutObject", s3("backfills/holiday-0123456789/00000/raw/images/cat.jpg.out"), True),
        ("s3:PutObject", s3("detections/cat.jpg.json"), False),
        ("s3:DeleteObject", s3(f"runs/{RUN}/checkpoints/state.params"), True),
        ("s3:ListBucket", s3(), True),
        ("ecr:BatchGetImage", f"arn:aws:ecr:{REGION}:685385470294:repository/object-detection", True),
        (
            "logs:PutLogEvents",
            f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/TrainingJobs:log-stream:x",
            True,
        ),
        ("cloudwatch:DescribeAlarms", alarm(f"dropspot-{RUN}-latency"), True),
        ("cloudwatch:PutMetricAlarm", alarm(f"dropspot-{RUN}-latency"), False),
        ("s3:PutObject", s3("datasets/pets/images.tar.gz"), False),
        ("s3:DeleteObject", s3(f"runs/{RUN}/run.json"), False),
        ("s3:GetObject", s3("images/cat.jpg"), True),  # a manifest may refer to it
        ("s3:PutObject", s3("images/cat.jpg"), False),
        ("s3:PutObject", s3("endpoint/desired.json"), False),
        ("logs:PutLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/x:log-stream:y", False),
        ("sagemaker:CreateEndpoint", sagemaker("endpoint/dropspot-endpoint"), False),
        ("events:PutEvents", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default", False),
    ],
)
def test_what_sagemaker_s_jobs_and_endpoints_may_do(stack: Stack, action: str, resource: str, allowed: bool) -> None:
    assert allows(stack.statements("SageMakerRole"), action, resource) is allowed


@pytest.mark.parametrize("names", ["photos", "photos,more", "a11,b22,photos,c33,more"])
def test_those_who_look_at_data_and_the_jobs_may_read_the_extra_buckets_and_no_other(names: str) -> None:
    stack = deploy(ExtraDataBuckets=names)
    for name in names.split(","):
        bucket = f"arn:aws:s3:::{name}"
        assert those_who_may(stack, "s3:ListBucket", bucket) == LOOKING_AT_DATA
        assert those_who_may(stack, "s3:GetObject", f"{bucket}/a/b.jpg") == LOOKING_AT_DATA
        assert those_who_may(stack, "s3:PutObject", f"{bucket}/a/b.jpg") == set()
        assert allows(stack.statements("SageMakerRole"), "s3:ListBucket", bucket)
        assert allows(stack.statements("SageMakerRole"), "s3:GetObject", f"{bucket}/a/b.jpg")
        assert not allows(stack.statements("SageMakerRole"), "s3:PutObject", f"{bucket}/a/b.jpg")
        for other in (f"{bucket}2", "arn:aws:s3:::other", "arn:aws:s3:::"):
            assert those_who_may(stack, "s3:ListBucket", other) == set()
            assert not allows(stack.statements("SageMakerRole"), "s3:GetObject", f"{other}/a/b.jpg")


def test_without_extra_buckets_there_is_no_policy_for_them(stack: Stack) -> None:
    policies = stack.of_type("AWS::IAM::ManagedPolicy")
    assert deploy(ExtraDataBuckets="photos").of_type("AWS::IAM::ManagedPolicy").keys() - policies.keys() == {
        "ReadExtraDataPolicy"
    }
    attached = [properties.get("ManagedPolicyArns", []) for properties in stack.of_type("AWS::IAM::Role").values()]
    assert all("ReadExtraDataPolicy" not in arns for arns in attached)
    assert "ManagedPolicyArns" not in stack.properties("SageMakerRole")


def test_what_asynchronous_mode_permits() -> None:
    stack, realtime = deploy(InferenceMode="async"), deploy()
    endpoint = sagemaker("endpoint/dropspot-endpoint")
    assert may(stack, "DetectObjects", "sagemaker:InvokeEndpointAsync", endpoint)
    assert not may(stack, "DetectObjects", "sagemaker:InvokeEndpoint", endpoint)
    assert not may(realtime, "DetectObjects", "sagemaker:InvokeEndpointAsync", endpoint)
    for key, who in {
        "async/awaited/a.json": {"DetectObjects", "CollectDetections"},
        "async/payloads/a": {"DetectObjects", "CollectDetections"},
        "detections/cat.jpg.json": {"DetectObjects", "CollectDetections", "AdvanceBackfill"},
    }.items():
        names = [*ALL, "CollectDetections"]
        assert {name for name in names if may(stack, name, "s3:PutObject", s3(key))} == who
    assert not may(stack, "CollectDetections", "s3:DeleteObject", s3("detections/cat.jpg.json"))
    role = list(stack.statements("SageMakerRole"))
    assert allows(role, "sns:Publish", "InferenceTopic")
    assert not allows(role, "sns:Publish", "NotificationTopic")
    assert allows(role, "s3:PutObject", s3("async/answers/r/x.out"))
    assert not allows(role, "s3:PutObject", s3("async/awaited/x.json"))


@pytest.mark.parametrize("mode", ["async", "realtime"])
def test_a_variant_s_scaling_may_be_undone_in_the_mode_that_comes_after(mode: str) -> None:
    stack, own = deploy(InferenceMode=mode), "TargetTracking-endpoint/dropspot-endpoint/variant/v-AlarmHigh-1"
    for name in ("dropspot-endpoint-asleep", own):
        for action in ("DescribeAlarms", "DeleteAlarms"):
            assert may(stack, "ReconcileEndpoint", f"cloudwatch:{action}", alarm(name))


def test_metrics_of_the_jobs_stay_in_sagemaker_s_namespaces(stack: Stack) -> None:
    statements = list(stack.statements("SageMakerRole"))
    put = "cloudwatch:PutMetricData"
    assert allows(statements, put, "*", cloudwatch_namespace="/aws/sagemaker/TrainingJobs")
    assert not allows(statements, put, "*", cloudwatch_namespace="AWS/SQS")


def test_the_managed_policies_that_sam_adds_are_the_known_ones(stack: Stack) -> None:
    foreign = {
        attached.rpartition("/")[2]
        for properties in stack.of_type("AWS::IAM::Role").values()
        for attached in properties.get("ManagedPolicyArns", [])
        if attached not in stack.resources
    }
    assert foreign == {"AWSLambdaBasicExecutionRole", "AWSLambdaSQSQueueExecutionRole", "AWSXrayWriteOnlyAccess"}


def _statements(stack: Stack, kind: str) -> list[dict[str, Any]]:
    return [s for policy in stack.of_type(kind).values() for s in policy["PolicyDocument"]["Statement"]]


def test_only_the_rule_of_a_queue_may_send_to_it(stack: Stack) -> None:
    sources = {
        (queue.rpartition(":")[2], statement["Condition"]["ArnEquals"]["aws:SourceArn"].rpartition("/")[2])
        for statement in _statements(stack, "AWS::SQS::QueuePolicy")
        for queue in listed(statement["Resource"])
        if statement["Principal"] == {"Service": "events.amazonaws.com"} and statement["Action"] == "sqs:SendMessage"
    }
    assert sources == {
        ("DatasetQueue", "DatasetChangedRule"),
        ("DatasetDeadLetterQueue", "DatasetChangedRule"),
        ("ImageQueue", "ImageChangedRule"),
        ("ImageDeadLetterQueue", "ImageChangedRule"),
    }
