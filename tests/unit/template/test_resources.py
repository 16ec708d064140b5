"""The bucket, the queues, the topic and the alarms as they deploy."""

import json
import re
from typing import Any

import pytest
from sam_expansion import TEMPLATE, load
from unit.template.deployed import REQUIRED, Stack, deploy

FOURTEEN_DAYS = 14 * 24 * 3600


def test_the_bucket_outlives_the_stack(stack: Stack) -> None:
    bucket = stack.resources["DataBucket"]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"


def test_the_bucket_is_private_encrypted_versioned_and_tells_eventbridge(stack: Stack) -> None:
    bucket = stack.properties("DataBucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    # A customer's key would have to admit EventBridge and the roles; S3's own needs nothing.
    assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


def test_the_bucket_refuses_plain_http(stack: Stack) -> None:
    (statement,) = stack.properties("DataBucketPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Resource"] == [stack.arn("DataBucket"), stack.arn("DataBucket") + "/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_only_what_is_replaced_or_unfinished_expires(stack: Stack) -> None:
    rules = {rule["Id"]: rule for rule in stack.properties("DataBucket")["LifecycleConfiguration"]["Rules"]}
    assert {rule["Status"] for rule in rules.values()} == {"Enabled"}
    assert rules["AbortIncompleteUploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert rules["ForgetReplacedVersions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rules["MoveOldRunsToCheaperStorage"]["Prefix"] == "runs/"
    expiring = {rule["Prefix"] for rule in rules.values() if {"ExpirationInDays", "ExpirationDate"} & rule.keys()}
    assert expiring == {"async/", "backfills/"}  # the documents that came of them have long been put in place


def test_every_queue_keeps_messages_for_fourteen_days_encrypted_by_sqs(stack: Stack) -> None:
    queues = stack.of_type("AWS::SQS::Queue")
    assert {queue["MessageRetentionPeriod"] for queue in queues.values()} == {FOURTEEN_DAYS}
    assert {queue["SqsManagedSseEnabled"] for queue in queues.values()} == {True}
    assert [name for name, queue in queues.items() if "KmsMasterKeyId" in queue] == []


@pytest.mark.parametrize("subject", ["Dataset", "Image"])
def test_a_queue_hands_what_keeps_failing_to_its_dead_letter_queue(stack: Stack, subject: str) -> None:
    redrive = stack.properties(f"{subject}Queue")["RedrivePolicy"]
    assert redrive["deadLetterTargetArn"] == stack.arn(f"{subject}DeadLetterQueue")
    assert redrive["maxReceiveCount"] >= 3
    (target,) = stack.properties(f"{subject}ChangedRule")["Targets"]
    assert target["DeadLetterConfig"] == {"Arn": stack.arn(f"{subject}DeadLetterQueue")}


def test_a_change_of_a_data_set_waits_for_the_settle_time() -> None:
    stack = deploy(SettleSeconds="77")
    assert stack.properties("DatasetQueue")["DelaySeconds"] == "77"
    assert stack.environment("StartPreprocessingFunction")["SETTLE_SECONDS"] == "77"
    assert "DelaySeconds" not in stack.properties("ImageQueue")


@pytest.mark.parametrize("subject", ["Dataset", "Image", "Command", "Inference"])
def test_a_stranded_message_raises_an_alarm(subject: str) -> None:
    stack = deploy(InferenceMode="async")
    alarm = stack.properties(f"{subject}DeadLetterAlarm")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": f"{subject}DeadLetterQueue"}]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
    assert alarm["AlarmActions"] == ["NotificationTopic"]


def test_answers_reach_their_queue_raw_and_from_their_topic_alone() -> None:
    stack = deploy(InferenceMode="async")
    subscription = stack.properties("InferenceSubscription")
    assert subscription == {
        "TopicArn": "InferenceTopic",
        "Protocol": "sqs",
        "Endpoint": stack.arn("InferenceQueue"),
        "RawMessageDelivery": True,
    }
    (statement,) = stack.properties("InferenceQueuePolicy")["PolicyDocument"]["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": "InferenceTopic"}}
    redrive = stack.properties("InferenceQueue")["RedrivePolicy"]
    assert redrive["deadLetterTargetArn"] == stack.arn("InferenceDeadLetterQueue")


def test_somebody_is_subscribed_only_if_an_address_is_given(stack: Stack) -> None:
    assert stack.of_type("AWS::SNS::Subscription") == {}
    (subscription,) = deploy(NotificationEmail="me@example.org").of_type("AWS::SNS::Subscription").values()
    assert subscription == {"TopicArn": "NotificationTopic", "Protocol": "email", "Endpoint": "me@example.org"}


def test_the_outputs_are_what_the_command_line_reads(stack: Stack) -> None:
    assert stack.outputs == {
        "ApiUrl": "https://RestApi.execute-api.eu-west-1.amazonaws.com/v1",
        "AppName": "dropspot",
        "BucketName": "dropspot-databucket-1x2y3z",
        "CommandDeadLetterQueueUrl": "CommandDeadLetterQueue",
        "DatasetDeadLetterQueueUrl": "DatasetDeadLetterQueue",
        "DatasetQueueUrl": "DatasetQueue",
        "EndpointName": "dropspot-endpoint",
        "ImageDeadLetterQueueUrl": "ImageDeadLetterQueue",
        "ImageQueueUrl": "ImageQueue",
        "NotificationTopicArn": "NotificationTopic",
    }


PARAMETERS: dict[str, Any] = load(TEMPLATE.read_text())["Parameters"]
LOCAL_IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/dropspot-detector:local"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("AppName", ["dropspot", "a1"], ["", "a", "Dropspot", "drop-spot", "1app", "a" * 17]),
        ("ServedDataset", ["", "oxford pets", "été"], ["a/b", "/"]),
        ("ExtraDataBuckets", ["", "photos", "a-1,b.2,c33,d44,e55"],
         ["a", "Photos", "a b", "photos,", ",photos", "photos, more", "a-1,b-2,c-3,d-4,e-5,f-6", "s3://photos"]),
        ("TrainingAlgorithm", ["built-in", LOCAL_IMAGE, f"{LOCAL_IMAGE.rpartition(':')[0]}@sha256:{'a' * 64}"],
         ["", "builtin", "detector:latest", LOCAL_IMAGE.rpartition(":")[0]]),
        ("PrepImage", [LOCAL_IMAGE], ["", "built-in"]),
        ("TrainingInstanceType", ["ml.g4dn.xlarge", "ml.p4d.24xlarge"], ["g4dn.xlarge", "ml.", ""]),
        ("TrainingInstanceCount", ["1", "12"], ["0", "01", "1.0", ""]),
        ("Epochs", ["0", "1", "240"], ["-1", "1.5", "007", ""]),
        ("MaxTrainingSeconds", ["60", "99", "100", "86400"], ["0", "10", "59", "1e3", ""]),
        ("MinimumMap50", ["0", "0.5", "1", "1.0"], [".5", "1.5", "0.", "50%", ""]),
        ("ScoreThreshold", ["0.25", "evaluated"], ["-0.1", "2", "best", ""]),
        ("EndpointKmsKeyArn", ["", "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"],
         ["alias/mine", "1234abcd-12ab-34cd-56ef-1234567890ab", "arn:aws:kms:eu-west-1:111122223333:alias/mine"]),
        ("ModelSubnets", ["", "subnet-0a1b", "subnet-0a,subnet-0b"], ["subnet", "subnet-0a, subnet-0b", "sg-0a"]),
        ("ModelSecurityGroups", ["", "sg-0a", "sg-0a,sg-0b"], ["subnet-0a", "sg-0a,sg-0b,sg-0c,sg-0d,sg-0e,sg-0f"]),
        ("RollbackErrorPercent", ["0", "0.5", "5", "99.999", "100"], ["", "101", "100.5", "-1", "5%", ".5", "05"]),
        ("RetrainingSchedule", ["", "rate(7 days)", "cron(0 3 ? * SUN *)"], ["7 days", "rate()", "every(1 day)"]),
        ("NotificationEmail", ["", "me@example.org"], ["me", "me@example", "a b@example.org"]),
    ],
)  # fmt: skip
def test_a_parameter_takes_what_makes_sense(name: str, good: list[str], bad: list[str]) -> None:
    pattern = re.compile(PARAMETERS[name]["AllowedPattern"])
    assert [value for value in good if not pattern.search(value)] == []
    assert [value for value in bad if pattern.search(value)] == []


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"DeploymentStrategy": "canary"}, "an EndpointInstanceCount of two or more"),
        ({"DeploymentStrategy": "linear", "EndpointInstanceCount": "1"}, "an EndpointInstanceCount of two or more"),
        ({"ModelSubnets": "subnet-0a"}, "ModelSubnets needs ModelSecurityGroups"),
        ({"ModelSecurityGroups": "sg-0a"}, "ModelSecurityGroups needs ModelSubnets"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused_before_anything_is_made(
    parameters: dict[str, str], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        deploy(**parameters)


def test_the_guardrails_are_the_parameters_as_json() -> None:
    canary = {"DeploymentStrategy": "canary", "EndpointInstanceCount": "4", "TrafficStepSize": "25"}
    stack = deploy(**canary, RollbackErrorPercent="2.5")
    assert json.loads(stack.environment("ReconcileEndpointFunction")["GUARDRAILS"]) == {
        "strategy": "canary",
        "step": 25,
        "step_unit": "percent",
        "wait_seconds": 300,
        "termination_wait_seconds": 300,
        "timeout_seconds": 3600,
        "error_percent": 2.5,
        "latency_milliseconds": 10000,
    }


def test_defaults_are_allowed_and_only_the_preparation_s_image_must_be_named() -> None:
    assert {name for name, parameter in PARAMETERS.items() if "Default" not in parameter} == REQUIRED.keys()
    for name, parameter in PARAMETERS.items():
        default = str(parameter.get("Default", REQUIRED.get(name)))
        assert re.search(parameter.get("AllowedPattern", ""), default), name
        assert default in map(str, parameter.get("AllowedValues", [default])), name
