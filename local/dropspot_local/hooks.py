"""What the embedded cloud changes inside ministack: the list of it, and the check that it still can.

Many names are private to ministack and may vanish in any release: the version is pinned, and `install` checks every
name before it touches one.
"""

# ruff: noqa: SLF001 - see above

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import botocore.session
from ministack import app
from ministack.core import lambda_runtime, router

from dropspot_local import alarms, authorization, cloudformation, invocations
from dropspot_local.sagemaker.plugin import SageMakerPlugin

PINNED_VERSION = "1.5.33"
NEEDED = {
    "ministack.app": (
        "AUTH",
        "SERVICE_HANDLERS",
        "app",
        "extract_access_key_id",
        "fix_error_content_type",
        "fix_success_content_type",
        "pin_request_origin",
    ),
    "ministack.core.iam_actions": ("_lambda_action", "request_tag_context"),
    "ministack.core.iam_evaluator": ("AuthError", "_fnmatch_compile", "enforce"),
    "ministack.core.lambda_runtime": ("_detect_runtime_binary",),
    "ministack.core.responses": ("get_account_id", "get_region"),
    "ministack.core.router": ("_KNOWN_AWS_SERVICE_NAMES",),
    "ministack.services.cloudformation.provisioners": ("_RESOURCE_HANDLERS",),
    "ministack.services.cloudwatch": (
        "_calc_stats",
        "_dims_key",
        "_dispatch_alarm_actions",
        "_evaluate_alarm",
        "_evaluate_all_alarms",
        "_evaluate_parent_alarms",
        "_metrics",
        "_record_history",
        "_stat_value",
        "record_metric",
    ),
    "ministack.services.eventbridge": ("_dispatch_to_lambda", "_put_events"),
    "ministack.services.iam": ("_roles",),
    "ministack.services.lambda_svc": (
        "_delete_function_concurrency",
        "_execute_function_with_config_scope",
        "_execution_record_for_config",
        "_get_func_record_for_ref",
        "_put_function_concurrency",
        "_route_async_failure",
        "_update_esm",
        "invoke_async_with_retry",
    ),
    "ministack.services.sts": ("register_session",),
}


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


def install(root: Path, sagemaker: SageMakerPlugin) -> None:
    """Check ministack, then register SageMaker and mend what the project's template needs."""
    self_test()
    app.SERVICE_HANDLERS["application-autoscaling"] = sagemaker.handle_scaling
    app.SERVICE_HANDLERS["sagemaker"] = sagemaker.handle
    keep_content_types_of("sagemaker")
    name_services()
    run_handlers_in(root / ".envs" / "lambda" / "bin" / "python")
    invocations.deliver_events_asynchronously()
    cloudformation.restore_dropped_properties()
    cloudformation.provide_model_package_groups(sagemaker.administer)
    alarms.evaluate_alarms_as_cloudwatch()
    authorization.name_lambda_actions()
    authorization.name_sources_of_events()
    authorization.count_loopback_as_secure()
    authorization.let_wildcards_span_lines()


def name_services() -> None:
    """Tell the router the names of all services.

    Otherwise the first request that is signed for an unregistered one loads every model of botocore: 6 s and 400 MiB.
    """
    router._KNOWN_AWS_SERVICE_NAMES = frozenset(botocore.session.get_session().get_available_services())


def run_handlers_in(interpreter: Path) -> None:
    """Run Python handlers in an environment that holds what Lambda provides, not in the server's own.

    In the server's a function that forgot a dependency would find it. Without that environment the server's is used.
    """
    original = lambda_runtime._detect_runtime_binary

    def detect(runtime: str) -> tuple[str, str]:
        binary, script = original(runtime)
        return (str(interpreter) if runtime.startswith("python") and interpreter.exists() else binary), script

    lambda_runtime._detect_runtime_binary = detect


def keep_content_types_of(service: str) -> None:
    """Leave the service's responses as its plug-in made them.

    ministack knows a service's protocol from botocore and sets the Content-Type to match. SageMaker's name stands for
    two protocols, and an endpoint's answer has whatever type its container gave it.
    """

    def kept(fix: Callable[[str, int, dict[str, str]], None]) -> Callable[[str, int, dict[str, str]], None]:
        def fix_others(name: str, status: int, headers: dict[str, str]) -> None:
            if name != service:
                fix(name, status, headers)

        return fix_others

    app.fix_error_content_type = kept(app.fix_error_content_type)
    app.fix_success_content_type = kept(app.fix_success_content_type)
