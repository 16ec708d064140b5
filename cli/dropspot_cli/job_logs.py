"""A SageMaker job's log as CloudWatch Logs has it, followed while it grows."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import ClientError

from dropspot import aws

TRAINING_JOBS = "/aws/sagemaker/TrainingJobs"


class LogReader(Protocol):
    """A log that grows."""

    def new_lines(self) -> Iterator[str]:
        """Yield the lines that came since the last call, none where the job has written nothing yet."""


@dataclass(slots=True)
class JobLog:
    """The log of one job; its streams are named `<job>/<host>…`."""

    job: str
    group: str = TRAINING_JOBS
    _tokens: dict[str, str] = field(default_factory=dict)

    def new_lines(self) -> Iterator[str]:
        for stream in self._streams():
            while True:
                token = self._tokens.get(stream)
                request: dict[str, Any] = {"logGroupName": self.group, "logStreamName": stream, "startFromHead": True}
                answer = aws.client("logs").get_log_events(**request, **({"nextToken": token} if token else {}))
                for event in answer["events"]:
                    yield str(event["message"])
                self._tokens[stream] = answer["nextForwardToken"]
                if answer["nextForwardToken"] == token or not answer["events"]:
                    break

    def _streams(self) -> list[str]:
        try:
            answer = aws.client("logs").describe_log_streams(
                logGroupName=self.group, logStreamNamePrefix=f"{self.job}/"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":  # nothing was ever logged there
                return []
            raise
        return [stream["logStreamName"] for stream in answer["logStreams"]]
