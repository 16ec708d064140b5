"""The SAM template as CloudFormation will see it, expanded offline: no AWS account, no credentials, no network."""

import logging
from pathlib import Path
from typing import Any

import boto3
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

TEMPLATE = Path(__file__).resolve().parent.parent / "template.yaml"
REGION = "us-east-1"

# It warns that SAM's own servers haven't told it which unreleased features to use.
logging.getLogger("samtranslator").setLevel(logging.ERROR)

# Where `sam build` and `sam deploy` put an S3 address; the translator refuses local folders.
_CODE_PROPERTIES = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}


class ExpansionError(Exception):
    """The translator refused the template; the message lists what it said."""


def load(text: str) -> dict[str, Any]:
    """Return the template as written, intrinsic functions in their long form (`{"Ref": …}`)."""
    template: dict[str, Any] = yaml_parse(text)
    return template


def expand(text: str) -> dict[str, Any]:
    """Return the CloudFormation template that the SAM transform makes of `text`; raise ExpansionError."""
    template = load(text)
    for resource in template["Resources"].values():
        if code := _CODE_PROPERTIES.get(resource.get("Type", "")):
            resource["Properties"][code] = "s3://bucket/key"
    defaults = {
        name: parameter["Default"] for name, parameter in template["Parameters"].items() if "Default" in parameter
    }
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
    try:
        expanded: dict[str, Any] = translator.translate(template, defaults)
    except InvalidDocumentException as error:
        raise ExpansionError("; ".join(cause.message for cause in error.causes)) from error
    return expanded
