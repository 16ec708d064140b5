"""SageMaker's processing, training, tuning and transform jobs."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from dropspot.aws.clients import client
from dropspot.aws.errors import code_of, is_missing, message_of, translated
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.ports import Job, JobKind, Request

_OPERATION = {
    JobKind.PROCESSING: "processing_job",
    JobKind.TRAINING: "training_job",
    JobKind.TUNING: "hyper_parameter_tuning_job",
    JobKind.TRANSFORM: "transform_job",
}


class SageMakerJobs:
    """SageMaker's processing, training, tuning and transform jobs."""

    def start(self, kind: JobKind, request: Request) -> bool:
        name = request[f"{kind.value}Name"]
        try:
            getattr(client("sagemaker"), f"create_{_OPERATION[kind]}")(**request)
        except ClientError as error:
            if code_of(error) == "ResourceInUse":
                return False
            if code_of(error) in {"ValidationException", "ResourceLimitExceeded", "ResourceNotFound"}:
                raise InvalidInputError(f"SageMaker refused {name}: {message_of(error)}") from error
            raise translated(error, f"start {name}") from error
        return True

    def describe(self, kind: JobKind, name: str) -> Job:
        try:
            answer = getattr(client("sagemaker"), f"describe_{_OPERATION[kind]}")(**{f"{kind.value}Name": name})
        except ClientError as error:
            if is_missing(error):
                raise NotFoundError(f"describe {name}: {message_of(error)}") from error
            raise translated(error, f"describe {name}") from error
        if best := answer.get("BestTrainingJob"):
            answer |= {"ModelArtifacts": {"S3ModelArtifacts": self._model_of(best["TrainingJobName"])}}
        return Job(
            name=name,
            status=answer[f"{kind.value}Status"],
            reason=_reason(answer),
            model_data=answer.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""),
        )

    def _model_of(self, training_job: str) -> str:
        return self.describe(JobKind.TRAINING, training_job).model_data


def _reason(answer: Mapping[str, Any]) -> str:
    """Return why a job has ended, in its own words or, where the service stopped it in silence, in ours."""
    if answer.get("SecondaryStatus") == "MaxRuntimeExceeded":
        limit = answer.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
        return f"the job was stopped at its time limit, max_runtime_seconds ({limit})"
    if answer.get("SecondaryStatus") == "MaxWaitTimeExceeded":
        limit = answer.get("StoppingCondition", {}).get("MaxWaitTimeInSeconds")
        return f"there wasn't enough spot capacity within the {limit} seconds that the job may wait and train"
    return str(answer.get("ExitMessage") or answer.get("FailureReason") or "")
