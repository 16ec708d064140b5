"""Which IAM action a request needs, where ministack says another one than AWS."""

from __future__ import annotations

_MAPPING_ACTIONS = {
    "GET": "GetEventSourceMapping",
    "PUT": "UpdateEventSourceMapping",
    "DELETE": "DeleteEventSourceMapping",
}


def name_lambda_actions() -> None:
    """Authorise requests for one event source mapping by its own actions.

    ministack takes reading one for listing all, and lets changes through unchecked. The actions are those of the Service
    Authorization Reference for AWS Lambda.
    """
    from ministack.core import iam_actions

    original = iam_actions._lambda_action

    def action(method: str, path: str) -> str | None:
        parts = [part for part in path.split("/") if part]
        if parts[1:2] == ["event-source-mappings"] and len(parts) == 3:
            return _MAPPING_ACTIONS.get(method)
        return original(method, path)

    iam_actions._lambda_action = action
