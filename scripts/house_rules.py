"""The project's own rules for its template, on the parsed text and on what SAM expands it to. No AWS, no network.

A rule takes a `Subject` and yields findings, each a sentence that names the resource and says what to mend.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Template = dict[str, Any]
Rule = Callable[["Subject"], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Subject:
    """One template three times: its text, the text parsed, and what CloudFormation will see."""

    text: str
    source: Template
    expanded: Template

    def resources(self, kind: str) -> dict[str, Any]:
        """Return the properties of the expanded resources of one type, by logical id."""
        found = self.expanded["Resources"].items()
        return {name: resource.get("Properties", {}) for name, resource in found if resource["Type"] == kind}


def referenced(value: Any) -> str | None:
    """Return the logical id that a `Ref` or `Fn::GetAtt` names, None for anything else."""
    if isinstance(value, dict) and len(value) == 1:
        if "Ref" in value:
            return str(value["Ref"])
        if "Fn::GetAtt" in value:
            target = value["Fn::GetAtt"]
            return str(target if isinstance(target, str) else target[0]).partition(".")[0]
    return None


def functions_log_to_a_group_with_retention(subject: Subject) -> Iterator[str]:
    """A function's log group belongs to the stack: it goes with it, and no log is kept for ever."""
    groups = subject.resources("AWS::Logs::LogGroup")
    for name, function in subject.resources("AWS::Lambda::Function").items():
        group = referenced(function.get("LoggingConfig", {}).get("LogGroup"))
        if group not in groups:
            yield f"{name}: LoggingConfig names no log group of this template"
        elif "RetentionInDays" not in groups[group]:
            yield f"{group}: keeps logs for ever, RetentionInDays is missing"


def asynchronous_functions_have_a_failure_destination(subject: Subject) -> Iterator[str]:
    """What an event could not make a function do is kept, not forgotten after two retries."""
    functions = subject.resources("AWS::Lambda::Function")
    kept = {
        referenced(config["FunctionName"])
        for config in subject.resources("AWS::Lambda::EventInvokeConfig").values()
        if config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    }
    woken = {
        referenced(target["Arn"])
        for rule in subject.resources("AWS::Events::Rule").values()
        for target in rule["Targets"]
    }
    for name in functions:
        if name in woken and name not in kept:
            yield f"{name}: invoked asynchronously, but EventInvokeConfig names no OnFailure destination"


def parameters_and_outputs_are_described(subject: Subject) -> Iterator[str]:
    """Whoever deploys the stack is told what each parameter and output is."""
    for section in ("Parameters", "Outputs"):
        for name, entry in subject.source.get(section, {}).items():
            if not entry.get("Description"):
                yield f"{name}: Description is missing"


def parameters_say_what_they_allow(subject: Subject) -> Iterator[str]:
    """A parameter refuses a wrong value before anything is created."""
    for name, parameter in subject.source["Parameters"].items():
        bounded = {"MinValue", "MaxValue"} <= parameter.keys()
        if not bounded and not {"AllowedValues", "AllowedPattern"} & parameter.keys():
            yield f"{name}: has neither AllowedValues nor AllowedPattern nor both MinValue and MaxValue"


def statements(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every policy statement anywhere below `value`."""
    if isinstance(value, dict):
        if value.get("Effect") in {"Allow", "Deny"}:
            yield value
        for child in value.values():
            yield from statements(child)
    elif isinstance(value, list):
        for child in value:
            yield from statements(child)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


_UNBOUNDED = re.compile(r"""\s*Resource: (['"])\*\1$""")


def unbounded_resources_are_explained(subject: Subject) -> Iterator[str]:
    """An API that knows no resources is the only reason for Resource "*", and a comment names it."""
    lines = subject.text.splitlines()
    written = [number for number, line in enumerate(lines) if _UNBOUNDED.match(line)]
    for number in written:
        start = next(above for above in range(number, -1, -1) if lines[above].lstrip().startswith("- "))
        if not lines[start - 1].lstrip().startswith("#"):
            yield f'line {number + 1}: Resource "*" without a comment above its statement naming the API that forces it'
    meant = [
        statement
        for statement in statements(subject.source["Resources"])
        if statement["Effect"] == "Allow" and "*" in _listed(statement.get("Resource"))
    ]
    if len(meant) != len(written):
        yield f'{len(meant)} statements allow Resource "*", {len(written)} write it as `Resource: "*"` on its own line'


def actions_are_named(subject: Subject) -> Iterator[str]:
    """No statement allows a whole service or a family of actions."""
    for statement in statements(subject.source["Resources"]):
        for action in _listed(statement["Action"]):
            if statement["Effect"] == "Allow" and "*" in action:
                yield f"Action {action}: name the actions that are needed"


def roles_are_passed_to_a_named_service(subject: Subject) -> Iterator[str]:
    """A role that may be passed may be passed to one service."""
    for statement in statements(subject.source["Resources"]):
        if "iam:PassRole" in _listed(statement["Action"]):
            services = [
                key
                for operator, condition in statement.get("Condition", {}).items()
                for key in condition
                if operator == "StringEquals" and key == "iam:PassedToService"
            ]
            if not services:
                yield f"iam:PassRole on {statement['Resource']}: no condition on iam:PassedToService"


def queues_outlast_their_function(subject: Subject) -> Iterator[str]:
    """A message stays hidden while its function works, and a batch fails message by message."""
    functions, queues = subject.resources("AWS::Lambda::Function"), subject.resources("AWS::SQS::Queue")
    for name, mapping in subject.resources("AWS::Lambda::EventSourceMapping").items():
        queue, function = referenced(mapping["EventSourceArn"]), referenced(mapping["FunctionName"])
        if queue in queues and function in functions:
            visible, timeout = int(queues[queue].get("VisibilityTimeout", 30)), int(functions[function]["Timeout"])
            if visible < 6 * timeout:
                yield f"{queue}: VisibilityTimeout {visible} is less than 6 x the {timeout} s of {function}"
            if mapping.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
                yield f"{name}: FunctionResponseTypes must be [ReportBatchItemFailures]"


def messages_end_in_a_dead_letter_queue(subject: Subject) -> Iterator[str]:
    """A message that keeps failing is set aside, and dead-letter queues keep it for 14 days."""
    queues = subject.resources("AWS::SQS::Queue")
    fed = {
        referenced(mapping["EventSourceArn"])
        for mapping in subject.resources("AWS::Lambda::EventSourceMapping").values()
    }
    for name, queue in queues.items():
        dead = referenced(queue.get("RedrivePolicy", {}).get("deadLetterTargetArn"))
        if name in fed and dead not in queues:
            yield f"{name}: RedrivePolicy names no dead-letter queue of this template"
        if name not in fed and int(queue.get("MessageRetentionPeriod", 345600)) < 1209600:
            yield f"{name}: a dead-letter queue keeps its messages for 14 days (MessageRetentionPeriod 1209600)"


_ENVELOPE = {"account", "detail", "detail-type", "id", "region", "resources", "source", "time", "version", "$or"}


def event_patterns_name_fields_of_the_envelope(subject: Subject) -> Iterator[str]:
    """A misspelt field makes a rule that never matches, and nothing else would say so."""
    for name, rule in subject.resources("AWS::Events::Rule").items():
        pattern = rule.get("EventPattern", {})
        for field in sorted(pattern.keys() - _ENVELOPE):
            yield f"{name}: {field} is no field of an event, so the rule never matches"
        if pattern and not {"source", "detail-type"} <= pattern.keys():
            yield f"{name}: the pattern must name both source and detail-type"


def input_transformers_use_what_they_take(subject: Subject) -> Iterator[str]:
    """A template's variable that no path feeds stays in the text as it is."""
    for name, rule in subject.resources("AWS::Events::Rule").items():
        for target in rule["Targets"]:
            transformer = target.get("InputTransformer", {"InputTemplate": ""})
            taken = transformer.get("InputPathsMap", {}).keys()
            used = set(re.findall(r"<([^<>]+)>", transformer["InputTemplate"]))
            if taken != used:
                yield f"{name}: InputPathsMap takes {sorted(taken)}, InputTemplate uses {sorted(used)}"


_PHYSICAL_NAMES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
}


def resources_have_no_fixed_names(subject: Subject) -> Iterator[str]:
    """Two stacks can live in one account."""
    for kind, attribute in _PHYSICAL_NAMES.items():
        for name, properties in subject.resources(kind).items():
            if attribute in properties:
                yield f"{name}: {attribute} is fixed; two stacks could not live in one account"


def api_paths_begin_with_a_slash(subject: Subject) -> Iterator[str]:
    """Chalice dispatches on declared paths: one route, one event."""
    for name, resource in subject.source["Resources"].items():
        for event, definition in resource.get("Properties", {}).get("Events", {}).items():
            path = definition.get("Properties", {}).get("Path", "/")
            if not path.startswith("/") or "{proxy+}" in path:
                yield f"{name}.{event}: Path {path} must begin with a slash and name one route"


def layers_fit_their_functions(subject: Subject) -> Iterator[str]:
    """A function's runtime and architecture are those its layers are built for."""
    layers = {
        name: resource
        for name, resource in subject.expanded["Resources"].items()
        if resource["Type"] == "AWS::Lambda::LayerVersion"
    }
    for name, function in subject.resources("AWS::Lambda::Function").items():
        for layer in filter(None, map(referenced, function.get("Layers", []))):
            properties = layers[layer]["Properties"]
            if function["Runtime"] not in properties["CompatibleRuntimes"]:
                yield f"{name}: runs {function['Runtime']}, {layer} is for {properties['CompatibleRuntimes']}"
            if not set(function["Architectures"]) <= set(properties["CompatibleArchitectures"]):
                architectures = properties["CompatibleArchitectures"]
                yield f"{name}: runs on {function['Architectures']}, {layer} is for {architectures}"


RULES: tuple[Rule, ...] = (
    functions_log_to_a_group_with_retention,
    asynchronous_functions_have_a_failure_destination,
    parameters_and_outputs_are_described,
    parameters_say_what_they_allow,
    unbounded_resources_are_explained,
    actions_are_named,
    roles_are_passed_to_a_named_service,
    queues_outlast_their_function,
    messages_end_in_a_dead_letter_queue,
    event_patterns_name_fields_of_the_envelope,
    input_transformers_use_what_they_take,
    resources_have_no_fixed_names,
    api_paths_begin_with_a_slash,
    layers_fit_their_functions,
)


def findings(subject: Subject) -> list[str]:
    """Return what every rule finds, in the rules' order."""
    return [finding for rule in RULES for finding in rule(subject)]
