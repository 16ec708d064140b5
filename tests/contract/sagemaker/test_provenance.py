"""Every case of this suite names what it copies: a page of the API Reference or a guide, or this cloud's document."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from botocore.session import get_session

FOLDER = Path(__file__).parent
GUIDE_PAGES = {
    "Amazon SageMaker endpoint invocation metrics",
    "Augmented Manifest Files for Training Jobs",
    "Auto-Rollback Configuration",
    "Auto-Rollback Configuration and Monitoring",
    "Autoscale an asynchronous endpoint",
    "AWS::SageMaker::ModelPackageGroup",
    "Common Errors",
    "docs/embedded-cloud.md",
    "Events that SageMaker sends to EventBridge",
    "Exclusions",
    "How Amazon SageMaker Processes Training Output",
    "How Amazon SageMaker Provides Training Information",
    "Log Groups and Streams that Amazon SageMaker Sends to Amazon CloudWatch Logs",
    "Managed Spot Training",
    "Object Detection - MXNet",
    "SageMaker Roles",
    "Service Authorization Reference",
    "Use canary traffic shifting",
    "Use linear traffic shifting",
    "Use rolling deployments",
    "Use Your Own Inference Code with Hosting Services",
}
"""Titles of documents that aren't pages on an operation or a type of the API."""

_SERVICES = ("sagemaker", "sagemaker-runtime", "application-autoscaling")


def cases() -> list[tuple[str, ast.FunctionDef]]:
    return [
        (path.name, node)
        for path in sorted(FOLDER.glob("test_*.py"))
        if path.name != Path(__file__).name
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


@pytest.fixture(scope="module")
def api_pages() -> set[str]:
    models = [get_session().get_service_model(name) for name in _SERVICES]
    return {page for model in models for page in (*model.operation_names, *model.shape_names)}


@pytest.mark.parametrize(("file", "case"), [pytest.param(f, c, id=f"{f}-{c.name}") for f, c in cases()])
def test_a_case_names_the_page_whose_behaviour_it_copies(file: str, case: ast.FunctionDef, api_pages: set[str]) -> None:
    documented = ast.get_docstring(case) or ""
    page = re.split(r"[,;:](?!:)", documented.replace("::", "\0"), maxsplit=1)[0].replace("\0", "::").rstrip(".")
    assert page in api_pages | GUIDE_PAGES, f"{file}: {case.name} begins with {page!r}, which is no page"
