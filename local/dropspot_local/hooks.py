"""What the embedded cloud changes inside ministack, in one place, each change with its reason.

The names below are private to ministack, so they may vanish in any release: the version is pinned and `install` checks every
name before it touches one.
"""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dropspot_local.authorization import name_lambda_actions
from dropspot_local.cloudformation import restore_dropped_properties

PINNED_VERSION = "1.5.33"
NEEDED = {
    "ministack.app": (
        "SERVICE_HANDLERS",
        "AUTH",
        "app",
        "extract_access_key_id",
        "fix_error_content_type",
        "fix_success_content_type",
        "pin_request_origin",
    ),
    "ministack.core.lambda_runtime": ("_detect_runtime_binary",),
    "ministack.core.responses": ("get_account_id", "get_region"),
    "ministack.core.router": ("_KNOWN_AWS_SERVICE_NAMES",),
    "ministack.services.eventbridge": ("_put_events", "_dispatch_to_lambda"),
    "ministack.core.iam_actions": ("_lambda_action",),
    "ministack.core.iam_actions": ("_lambda_action",),
    "ministack.core.iam_evaluator": ("enforce", "AuthError"),
    "ministack.services.cloudformation.provisioners": ("_RESOURCE_HANDLERS",),
    "ministack.services.iam": ("_roles",),
    "ministack.services.lambda_svc": (
        "_put_function_concurrency",
        "_delete_function_concurrency",
        "_update_esm",
        "invoke_async_with_retry",
        "_execute_function",
        "_execute_function_with_config_scope",
        "_execution_record_for_config",
        "_get_func_record_for_ref",
        "_route_async_failure",
    ),
    "ministack.services.sts": ("register_session",),
}

Handler = Callable[[str, str, dict[str, str], bytes, dict[str, list[str]]], Awaitable[tuple[int, dict[str, str], bytes]]]


class HookError(RuntimeError):
    """The installed ministack is not the one that the hooks were written for."""


def self_test() -> None:
    """Raise HookError unless ministack has the pinned version and every name that the hooks rely on."""
    installed = version("ministack")
    if installed != PINNED_VERSION:
        raise HookError(f"The embedded cloud needs ministack {PINNED_VERSION}, but {installed} is installed.")
    missing = [
        f"{module}.{name}"
        for module, names in NEEDED.items()
        for name in names
        if not hasattr(importlib.import_module(module), name)
    ]
    if missing:
        raise HookError(f"ministack {installed} lacks what the embedded cloud relies on: {', '.join(missing)}.")


def install(root: Path, sagemaker: Handler) -> None:
    """Check ministack, then register SageMaker and mend what the project's template needs."""
    self_test()
    from ministack import app

    app.SERVICE_HANDLERS["sagemaker"] = sagemaker
    name_services()
    run_handlers_in(root / ".envs" / "lambda" / "bin" / "python")
    deliver_events_asynchronously()
    restore_dropped_properties()
    tell_mapping_actions_apart()
    keep_content_types_of("sagemaker")
    count_loopback_as_secure()
    name_lambda_actions()


def name_services() -> None:
    """Tell the router the names of all services.

    Otherwise the first request that is signed for an unregistered one loads every model of botocore: 6 s and 400 MiB.
    """
    import botocore.session
    from ministack.core import router

    router._KNOWN_AWS_SERVICE_NAMES = frozenset(botocore.session.get_session().get_available_services())


def run_handlers_in(interpreter: Path) -> None:
    """Run Python handlers in an environment that holds what Lambda provides, not in the server's own.

    In the server's a function that forgot a dependency would find it. Without that environment the server's is used.
    """
    from ministack.core import lambda_runtime

    original = lambda_runtime._detect_runtime_binary

    def detect(runtime: str) -> tuple[str, str]:
        binary, script = original(runtime)
        return (str(interpreter) if runtime.startswith("python") and interpreter.exists() else binary), script

    lambda_runtime._detect_runtime_binary = detect


def deliver_events_asynchronously() -> None:
    """Make asynchronous invocations behave as Lambda documents.

    ministack's EventBridge invokes a function once and forgets it: no retries, no on-failure destination. And its asynchronous
    invocation counts a throttled attempt as a failed one, so a function with reserved concurrency 1 would lose events; Lambda
    returns throttled events to its queue and counts only function errors as attempts.
    """
    from ministack.services import eventbridge, lambda_svc

    def invoke(function: dict[str, Any], event: Any) -> None:
        context = copy_context()
        thread = threading.Thread(target=context.run, args=(_invoke_until_done, function, event), daemon=True)
        thread.start()

    def dispatch(arn: str, payload: str) -> None:
        function, configuration, name = lambda_svc._get_func_record_for_ref(arn)
        if not function or not configuration:
            eventbridge.logger.warning("EventBridge → Lambda: function %s not found", name)
            return
        invoke(lambda_svc._execution_record_for_config(function, configuration), eventbridge.json.loads(payload))

    lambda_svc.invoke_async_with_retry = invoke
    eventbridge._dispatch_to_lambda = dispatch


def _invoke_until_done(function: dict[str, Any], event: Any) -> None:
    """One asynchronous invocation: waits while throttled, retries errors, then the on-failure destination.

    Lambda waits a minute before the first retry and two before the second; here it is a second and two, because somebody sits
    and watches (LAMBDA_ASYNC_RETRY_BASE_SECONDS changes it).
    """
    from ministack.services import lambda_svc

    configuration = function.get("config") or function
    settings = function.get("event_invoke_config") or (function.get("event_invoke_configs") or {}).get("$LATEST") or {}
    retries = settings.get("MaximumRetryAttempts")
    attempts = 1 + (2 if retries is None else int(retries))
    expires = time.monotonic() + int(settings.get("MaximumEventAgeInSeconds") or 21600)
    pause = float(os.environ.get("LAMBDA_ASYNC_RETRY_BASE_SECONDS", "1"))
    failed = 0
    while True:
        result = lambda_svc._execute_function_with_config_scope(function, event)
        if not result.get("error") and not result.get("throttle"):
            return
        if not result.get("throttle"):
            failed += 1
            if log := result.get("log"):
                lambda_svc.logger.info("Lambda %s failed (attempt %d):\n%s", configuration.get("FunctionName"), failed, log)
        wait = 0.2 if result.get("throttle") else pause * 2 ** (failed - 1)
        if failed >= attempts or time.monotonic() + wait > expires:
            break
        time.sleep(wait)
    destination = (settings.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination")
    destination = destination or (configuration.get("DeadLetterConfig") or {}).get("TargetArn")
    if destination:
        lambda_svc._route_async_failure(destination, configuration.get("FunctionName", "unknown"), event, result)


def tell_mapping_actions_apart() -> None:
    """Authorise each call on one event source mapping as the action that it is.

    ministack takes reading one for listing all of them, which has no resource to confine it to, and checks no changes.
    """
    from ministack.core import iam_actions

    original = iam_actions._lambda_action
    actions = {
        "GET": "GetEventSourceMapping",
        "PUT": "UpdateEventSourceMapping",
        "DELETE": "DeleteEventSourceMapping",
    }

    def action(method: str, path: str) -> str | None:
        parts = path.strip("/").split("/")
        if len(parts) == 3 and parts[1] == "event-source-mappings":
            return actions.get(method)
        name: str | None = original(method, path)
        return name

    iam_actions._lambda_action = action


def keep_content_types_of(service: str) -> None:
    """Leave the service's responses as its plug-in made them.

    ministack knows a service's protocol from botocore and sets the Content-Type to match; under SageMaker's name there are two
    protocols, and an endpoint's answer has whatever type its container gave it.
    """
    from ministack import app

    def kept(fix: Callable[[str, int, dict[str, str]], None]) -> Callable[[str, int, dict[str, str]], None]:
        def fix_others(name: str, status: int, headers: dict[str, str]) -> None:
            if name != service:
                fix(name, status, headers)

        return fix_others

    app.fix_error_content_type = kept(app.fix_error_content_type)
    app.fix_success_content_type = kept(app.fix_success_content_type)


def count_loopback_as_secure() -> None:
    """Let aws:SecureTransport be true: policies that refuse plain HTTP are right, and requests here never leave the machine."""
    from ministack import app

    pin = app.pin_request_origin

    def pin_secure(source_ip: str, _secure_transport: bool) -> None:
        pin(source_ip, True)

    app.pin_request_origin = pin_secure
