"""The template as a stack: expanded, its intrinsic functions resolved, its parameters filled in."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from sam_expansion import TEMPLATE, expand

REGION, ACCOUNT = "eu-west-1", "111122223333"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::NoValue": None,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "dropspot",
    "AWS::URLSuffix": "amazonaws.com",
}
# Physical names that tests look at; any other resource is called by its logical id.
PHYSICAL = {"DataBucket": "dropspot-databucket-1x2y3z"}
ARN_FORMS = {
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{name}}",
    "AWS::Lambda::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{{name}}",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{name}}",
    "AWS::Events::Rule": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{{name}}",
}
REQUIRED = {"PrepImage": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/dropspot-prep:1"}


@dataclass(frozen=True)
class Stack:
    """The resources that a deployment makes; those under a condition that is false are not among them."""

    parameters: dict[str, Any]
    resources: dict[str, dict[str, Any]]
    outputs: dict[str, str]

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of the resources of one type, by logical id."""
        return {name: r.get("Properties", {}) for name, r in self.resources.items() if r["Type"] == kind}

    def properties(self, name: str) -> dict[str, Any]:
        """Return one resource's properties."""
        found: dict[str, Any] = self.resources[name]["Properties"]
        return found

    def arn(self, name: str) -> str:
        """Return what `!GetAtt <name>.Arn` gives."""
        return _arn(name, self.resources[name]["Type"])

    def environment(self, function: str) -> dict[str, str]:
        """Return a function's variables."""
        found: dict[str, str] = self.properties(function)["Environment"]["Variables"]
        return found

    def statements(self, role: str) -> Iterator[dict[str, Any]]:
        """Yield the statements of a role's own policies and of this stack's managed policies that it carries."""
        properties = self.properties(role)
        for policy in properties.get("Policies", []):
            yield from policy["PolicyDocument"]["Statement"]
        for attached in properties.get("ManagedPolicyArns", []):
            if attached in self.resources:
                yield from self.properties(attached)["PolicyDocument"]["Statement"]


@cache
def _expanded() -> str:
    return json.dumps(expand(TEMPLATE.read_text()))


def deploy(**parameters: str) -> Stack:
    """Return the stack that the template's defaults, overridden by `parameters`, make; ValueError: they can't be."""
    template = json.loads(_expanded())
    values = {name: p["Default"] for name, p in template["Parameters"].items() if "Default" in p}
    values |= REQUIRED | parameters
    missing = template["Parameters"].keys() - values.keys()
    unknown = values.keys() - template["Parameters"].keys()
    if missing or unknown:
        raise ValueError(f"parameters missing: {sorted(missing)}, unknown: {sorted(unknown)}")
    resolver = _Resolver(template, values)
    for rule in template.get("Rules", {}).values():
        if resolver.resolve(rule.get("RuleCondition", True)):
            for assertion in rule["Assertions"]:
                if not resolver.resolve(assertion["Assert"]):
                    raise ValueError(assertion["AssertDescription"])
    kept = {
        name: resource
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or resolver.condition(resource["Condition"])
    }
    resources = {name: resolver.resolve(resource) for name, resource in kept.items()}
    outputs = {
        name: resolver.resolve(output["Value"])
        for name, output in template["Outputs"].items()
        if "Condition" not in output or resolver.condition(output["Condition"])
    }
    return Stack(values, resources, outputs)


def _arn(name: str, kind: str) -> str:
    return ARN_FORMS.get(kind, f"arn:aws:{{name}}:{kind}").format(name=PHYSICAL.get(name, name))


class _Resolver:
    """The intrinsic functions that the template uses; another one is a ValueError."""

    def __init__(self, template: dict[str, Any], values: dict[str, Any]) -> None:
        self._template = template
        self._values = values

    def condition(self, name: str) -> bool:
        return bool(self.resolve(self._template["Conditions"][name]))

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument) = next(iter(value.items()))
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function, argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not None}

    def _call(self, function: str, argument: Any) -> Any:
        match function:
            case "Ref":
                return self._ref(argument)
            case "Fn::GetAtt":
                name, _, attribute = (argument if isinstance(argument, str) else ".".join(argument)).partition(".")
                return self._attribute(name, attribute)
            case "Fn::Sub":
                text, extra = (argument, {}) if isinstance(argument, str) else argument
                return re.sub(r"\$\{([^!}]+)\}", lambda found: str(self._substitute(found[1], extra)), text)
            case "Fn::If":
                condition, then, otherwise = argument
                return self.resolve(then if self.condition(condition) else otherwise)
            case "Fn::Equals":
                left, right = map(self.resolve, argument)
                return str(left) == str(right)
            case "Fn::Not":
                return not self.resolve(argument[0])
            case "Fn::Join":
                separator, parts = argument
                return separator.join(map(str, self.resolve(parts)))
            case "Fn::Split":
                separator, text = self.resolve(argument)
                return text.split(separator)
            case "Fn::Select":
                index, items = argument
                return self.resolve(items)[int(index)]
            case "Fn::FindInMap":
                mapping, first, second = map(self.resolve, argument)
                return self._template["Mappings"][mapping][first][second]
        raise ValueError(f"{function} is not known here")

    def _ref(self, name: str) -> Any:
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self._values:
            return self._values[name]
        if name not in self._template["Resources"]:
            raise ValueError(f"Ref {name}: neither a parameter nor a resource")
        return PHYSICAL.get(name, name)

    def _attribute(self, name: str, attribute: str) -> str:
        kind = self._template["Resources"][name]["Type"]
        return _arn(name, kind) if attribute == "Arn" else PHYSICAL.get(name, name)

    def _substitute(self, name: str, extra: dict[str, Any]) -> Any:
        if name in extra:
            return self.resolve(extra[name])
        resource, dot, attribute = name.partition(".")
        return self._attribute(resource, attribute) if dot else self._ref(name)
