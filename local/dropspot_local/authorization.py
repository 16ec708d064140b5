"""What IAM is asked, where ministack asks something else than AWS."""

# ruff: noqa: SLF001 - hooks reach into ministack by design; hooks.NEEDED lists the names

from __future__ import annotations

import json
import re
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator

_MAPPING_ACTIONS = {
    "GET": "GetEventSourceMapping",
    "PUT": "UpdateEventSourceMapping",
    "DELETE": "DeleteEventSourceMapping",
}


def name_lambda_actions() -> None:
    """Authorise requests for one event source mapping by its own actions.

    ministack takes reading one for listing all, and lets changes through unchecked. The actions are those of the
    Service Authorization Reference for AWS Lambda.
    """
    original = iam_actions._lambda_action

    def action(method: str, path: str) -> str | None:
        parts = [part for part in path.split("/") if part]
        if parts[1:2] == ["event-source-mappings"] and len(parts) == 3:
            return _MAPPING_ACTIONS.get(method)
        name: str | None = original(method, path)
        return name

    iam_actions._lambda_action = action


def name_sources_of_events() -> None:
    """Give policies the condition key events:source, which ministack lacks: a function speaks as itself."""
    original = iam_actions.request_tag_context

    def context(service: str, action: str, body: bytes, parameters: dict[str, Any]) -> dict[str, Any]:
        keys: dict[str, Any] = original(service, action, body, parameters)
        if action == "events:PutEvents":
            entries = json.loads(body or b"{}").get("Entries", [])
            sources = sorted({str(entry.get("Source", "")) for entry in entries})
            # Several sources in one call match no single-valued condition: refused rather than let through unseen.
            keys = {**keys, "events:source": sources[0] if len(sources) == 1 else sources}
        return keys

    iam_actions.request_tag_context = context


def count_loopback_as_secure() -> None:
    """Let aws:SecureTransport be true: policies may refuse plain HTTP, and requests here stay on the machine."""
    pin = app.pin_request_origin

    def pin_secure(source_ip: str, _secure_transport: bool) -> None:
        pin(source_ip, True)

    app.pin_request_origin = pin_secure


def let_wildcards_span_lines() -> None:
    """Let a policy's * and ? stand for a newline too, as in AWS: an object's key may hold one."""
    original = iam_evaluator._fnmatch_compile

    def spanning(pattern: str, ignore_case: bool) -> re.Pattern[str]:
        compiled: re.Pattern[str] = original(pattern, ignore_case)
        return re.compile(compiled.pattern.removesuffix("$") + r"\Z", compiled.flags | re.DOTALL)

    iam_evaluator._fnmatch_compile = spanning
