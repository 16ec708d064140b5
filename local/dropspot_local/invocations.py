"""Asynchronous invocations as Lambda documents them.

ministack's EventBridge invokes a function once and forgets it: no retries, no on-failure destination. And its
asynchronous invocation counts a throttled attempt as a failed one, so a function with reserved concurrency 1 would lose
events; Lambda returns throttled events to its queue and counts only function errors as attempts.
"""

# ruff: noqa: SLF001 - hooks reach into ministack by design; hooks.NEEDED lists the names

from __future__ import annotations

import json
import logging
import os
import threading
import time
from contextvars import copy_context
from typing import Any

from ministack.services import eventbridge, lambda_svc

logger = logging.getLogger("dropspot_local")

DEFAULT_RETRIES = 2
DEFAULT_MAX_AGE_SECONDS = 21_600
RETRY_SECONDS = float(os.environ.get("LAMBDA_ASYNC_RETRY_BASE_SECONDS", "1"))
"""Pause before the first retry, doubled for each further one. Lambda waits a minute; here somebody sits and watches."""
THROTTLED_SECONDS = 0.2


def deliver_events_asynchronously() -> None:
    """Replace ministack's asynchronous invocation, and make EventBridge use it."""
    lambda_svc.invoke_async_with_retry = invoke
    eventbridge._dispatch_to_lambda = _dispatch


def invoke(function: dict[str, Any], event: Any) -> None:
    """Invoke in a thread of its own; the caller doesn't wait."""
    context = copy_context()
    threading.Thread(target=context.run, args=(_invoke_until_done, function, event), daemon=True).start()


def _dispatch(arn: str, payload: str) -> None:
    function, configuration, name = lambda_svc._get_func_record_for_ref(arn)
    if not function or not configuration:
        logger.warning("A rule's target, the function %s, doesn't exist", name)
        return
    invoke(lambda_svc._execution_record_for_config(function, configuration), json.loads(payload))


def _invoke_until_done(function: dict[str, Any], event: Any) -> None:
    configuration = function.get("config") or function
    name = configuration.get("FunctionName", "unknown")
    settings = function.get("event_invoke_config") or (function.get("event_invoke_configs") or {}).get("$LATEST") or {}
    retries = settings.get("MaximumRetryAttempts")
    attempts = 1 + (DEFAULT_RETRIES if retries is None else int(retries))
    expires = time.monotonic() + int(settings.get("MaximumEventAgeInSeconds") or DEFAULT_MAX_AGE_SECONDS)
    failed = 0
    while True:
        result = lambda_svc._execute_function_with_config_scope(function, event)
        throttled = bool(result.get("throttle"))
        if not throttled and not result.get("error"):
            return
        if not throttled:
            failed += 1
            logger.info("Function %s failed (attempt %d):\n%s", name, failed, result.get("log", ""))
        wait = THROTTLED_SECONDS if throttled else RETRY_SECONDS * 2 ** (failed - 1)
        if failed >= attempts or time.monotonic() + wait > expires:
            break
        time.sleep(wait)
    destination = (settings.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination")
    destination = destination or (configuration.get("DeadLetterConfig") or {}).get("TargetArn")
    if destination:
        lambda_svc._route_async_failure(destination, name, event, result)
