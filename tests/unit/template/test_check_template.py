"""The check finds planted mistakes. Each case edits the template's text, as a slip of the hand would."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from check_template import check
from house_rules import Subject, findings
from sam_expansion import TEMPLATE, expand, load

TEXT = TEMPLATE.read_text()
SCRIPT = TEMPLATE.parent / "scripts" / "check_template.py"

Edit = Callable[[str], str]


def swap(old: str, new: str) -> Edit:
    """Return the edit that replaces the first `old`, which must be there."""

    def edit(text: str) -> str:
        assert old in text, f"{old!r} is not in the template"
        return text.replace(old, new, 1)

    return edit


def swap_in(section: str, old: str, new: str) -> Edit:
    """Return the edit that replaces the first `old` after the line of a resource or parameter."""

    def edit(text: str) -> str:
        head, mark, tail = text.partition(f"\n  {section}:\n")
        assert mark, f"{section} is not in the template"
        return head + mark + swap(old, new)(tail)

    return edit


def house_findings(text: str) -> list[str]:
    return findings(Subject(text, load(text), expand(text)))


UNDELIVERED = """      EventInvokeConfig:
        DestinationConfig:
          OnFailure: {Type: SQS, Destination: !GetAtt CommandDeadLetterQueue.Arn}
"""
PASSED_TO = """              Condition:
                StringEquals: {iam:PassedToService: sagemaker.amazonaws.com}
"""

HOUSE: list[tuple[str, Edit, str]] = [
    (
        "no log group",
        swap_in("ResumeRunsFunction", "      LoggingConfig: {LogGroup: !Ref ResumeRunsLogGroup}\n", ""),
        "ResumeRunsFunction: LoggingConfig",
    ),
    (
        "logs for ever",
        swap_in("ApiLogGroup", "      RetentionInDays: !Ref LogRetentionDays\n", "      LogGroupClass: STANDARD\n"),
        "ApiLogGroup: keeps logs for ever",
    ),
    (
        "failures are lost",
        swap_in("DeployModelFunction", UNDELIVERED, ""),
        "DeployModelFunction: invoked asynchronously",
    ),
    (
        "failures of a scheduled function are lost",
        swap_in("ResumeRunsFunction", UNDELIVERED, ""),
        "ResumeRunsFunction: invoked",
    ),
    (
        "parameter without description",
        swap_in("Epochs", "    Description:", "    ConstraintDescription:"),
        "Epochs: Description",
    ),
    (
        "output without description",
        swap("    Description: The SageMaker endpoint that serves, once a model has passed the gate.\n", ""),
        "EndpointName: Description is missing",
    ),
    (
        "parameter that takes anything",
        swap_in("AppName", "    AllowedPattern: ^[a-z][a-z0-9]{1,15}$\n", ""),
        "AppName: has neither",
    ),
    (
        "unexplained star",
        swap("            # sagemaker:List… knows no resources.\n", ""),
        'Resource "*" without a comment',
    ),
    (
        "new star",
        swap("              Resource: !Sub ${DataBucket.Arn}/detections/*\n", '              Resource: "*"\n'),
        'Resource "*" without a comment',
    ),
    (
        "star in a list",
        swap("              Resource: !Sub ${DataBucket.Arn}/detections/*\n", "              Resource: ['*']\n"),
        "statements allow Resource",
    ),
    (
        "any action of a service",
        swap("Action: events:PutEvents", "Action: events:*"),
        "events:*: name the actions",
    ),
    ("role passed to any service", swap_in("StartTrainingFunction", PASSED_TO, ""), "iam:PassRole on"),
    (
        "short visibility",
        swap("VisibilityTimeout: 1080", "VisibilityTimeout: 120"),
        "ImageQueue: VisibilityTimeout 120",
    ),
    ("longer function", swap_in("DetectObjectsFunction", "Timeout: 180", "Timeout: 300"), "is less than 6 x the 300 s"),
    (
        "whole batches fail",
        swap_in("DetectObjectsFunction", "            FunctionResponseTypes: [ReportBatchItemFailures]\n", ""),
        "FunctionResponseTypes must be",
    ),
    (
        "no dead-letter queue",
        swap_in(
            "ImageQueue",
            "      RedrivePolicy:\n        deadLetterTargetArn: !GetAtt ImageDeadLetterQueue.Arn\n"
            "        maxReceiveCount: 10 # the function gives up at as many: IMAGE_RECEIVES\n",
            "",
        ),
        "ImageQueue: RedrivePolicy",
    ),
    (
        "forgetful dead-letter queue",
        swap_in("CommandDeadLetterQueue", "MessageRetentionPeriod: 1209600", "MessageRetentionPeriod: 345600"),
        "CommandDeadLetterQueue: a dead-letter queue keeps",
    ),
    (
        "misspelt field of a pattern",
        swap_in("ImageChangedRule", "detail-type:", "detailtype:"),
        "detailtype is no field of an event",
    ),
    (
        "pattern without a source",
        swap_in("NotificationRule", "        source: [!Ref AppName]\n", ""),
        "must name both source and detail-type",
    ),
    (
        "variable that nobody takes",
        swap("{job: $.detail.TransformJobName, cause: $.id}", "{name: $.detail.TransformJobName, cause: $.id}"),
        "InputPathsMap takes ['cause', 'name']",
    ),
    (
        "fixed name",
        swap_in("ImageQueue", "    Properties:\n", "    Properties:\n      QueueName: images\n"),
        "ImageQueue: QueueName is fixed",
    ),
    ("path without a slash", swap("Path: /health", "Path: health"), "Path health must begin with a slash"),
    (
        "path that breaks Chalice",
        swap("Path: /detections", 'Path: "/{proxy+}"'),
        "must begin with a slash and name one route",
    ),
    ("runtime of its own", swap("    Runtime: python3.13", "    Runtime: python3.14"), "runs python3.14"),
    (
        "architecture of its own",
        swap("    Architectures: [arm64]", "    Architectures: [x86_64]"),
        "runs on ['x86_64']",
    ),
]


@pytest.mark.parametrize(("edit", "finding"), [case[1:] for case in HOUSE], ids=[case[0] for case in HOUSE])
def test_the_house_rules_find_a_planted_mistake(edit: Edit, finding: str) -> None:
    found = house_findings(edit(TEXT))
    assert [each for each in found if finding in each], found


def test_the_house_rules_have_nothing_to_say_of_the_template() -> None:
    assert house_findings(TEXT) == []


# What only cfn-lint on the expanded template knows.
LINT: list[tuple[Edit, str]] = [
    (
        swap("sagemaker:CreateTrainingJob", "sagemaker:CreateTraningJob"),
        "W3037 .*'createtraningjob'",
    ),  # a function's policy
    (swap("Action: sqs:SendMessage", "Action: sqs:SendMesage"), "W3037 .*'sendmesage'"),  # a queue's
    (swap("logs:PutLogEvents", "logs:PutLogEvent"), "W3037 .*'putlogevent'"),  # a role's
    (swap("QueueName: !GetAtt DatasetQueue.QueueName", "QueueName: !GetAtt DataQueue.QueueName"), "E1019 .*DataQueue"),
    (swap("PREP_IMAGE: !Ref PrepImage", "PREP_IMAGE: !Ref PreparationImage"), "E1020 .*PreparationImage"),
]


def test_cfn_lint_finds_every_planted_mistake_of_the_expanded_template() -> None:
    text = TEXT
    for edit, _ in LINT:
        text = edit(text)
    found = check(text)
    assert [wanted for _, wanted in LINT if not any(re.search(wanted, each) for each in found)] == [], found
    assert len(found) == len(LINT), found


SAM: list[tuple[str, Edit, str]] = [
    ("unknown property of an event", swap("BatchSize: 10", "BatchSise: 10"), "BatchSise"),
    (
        "unknown policy template",
        swap("SQSSendMessagePolicy:", "SQSSendMessagesPolicy:"),
        "[StartPreprocessingFunction]",
    ),
]


@pytest.mark.parametrize(("edit", "finding"), [case[1:] for case in SAM], ids=[case[0] for case in SAM])
def test_what_sam_refuses_is_the_only_finding(edit: Edit, finding: str) -> None:
    (found,) = check(edit(TEXT))
    assert found.startswith("SAM refuses the template: ")
    assert finding in found


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


def test_the_script_says_that_the_template_is_in_order() -> None:
    answer = _run()
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "template.yaml is in order\n", "")


def test_the_script_fails_with_readable_findings(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(swap("BatchSize: 10", "BatchSise: 10")(TEXT))
    answer = _run(str(broken))
    assert answer.returncode == 1
    assert answer.stdout.splitlines()[0].startswith("broken.yaml: SAM refuses the template: ")
    assert answer.stdout.splitlines()[-1] == "1 finding"
    assert answer.stderr == ""
