"""CloudWatch's alarms."""

from collections.abc import Sequence

from botocore.exceptions import ClientError

from dropspot.aws.clients import client
from dropspot.aws.errors import code_of, message_of, translated
from dropspot.errors import InvalidInputError
from dropspot.ports import Request


class CloudWatchAlarms:
    """CloudWatch's alarms."""

    def put(self, request: Request) -> None:
        attempt = f"put alarm {request['AlarmName']}"
        try:
            client("cloudwatch").put_metric_alarm(**request)
        except ClientError as error:
            if code_of(error) in {"ValidationError", "InvalidParameterValue", "LimitExceeded"}:
                raise InvalidInputError(f"CloudWatch refused to {attempt}: {message_of(error)}") from error
            raise translated(error, attempt) from error

    def delete(self, names: Sequence[str]) -> None:
        for name in names:  # one by one: where one of several doesn't exist, CloudWatch deletes none
            try:
                client("cloudwatch").delete_alarms(AlarmNames=[name])
            except ClientError as error:
                if code_of(error) not in {"ResourceNotFound", "ResourceNotFoundException"}:
                    raise translated(error, f"delete alarm {name}") from error
