"""The runtime of SageMaker's endpoints."""

from botocore.exceptions import ClientError

from dropspot.awaiting import LONGEST_WAIT
from dropspot.aws.clients import client
from dropspot.aws.errors import UNANSWERED, code_of, message_of, translated
from dropspot.errors import DropspotError, InvalidInputError, NotFoundError, TransientError
from dropspot.ports import Answer

_LATER = (408, 429)  # a container that is busy: no fault of the image


class SageMakerInference:
    """The endpoint's runtime."""

    def invoke(self, endpoint: str, image: bytes) -> Answer:
        try:
            answer = client("sagemaker-runtime").invoke_endpoint(
                EndpointName=endpoint, ContentType="application/x-image", Accept="application/json", Body=image
            )
            body = answer["Body"].read()
        except ClientError as error:
            raise self._translated(error, endpoint) from error
        except UNANSWERED as error:
            raise TransientError(f"invoke {endpoint}: {error}") from error
        return Answer(body, answer["InvokedProductionVariant"], answer.get("CustomAttributes", ""))

    def submit(self, endpoint: str, input_uri: str, inference_id: str) -> None:
        try:
            client("sagemaker-runtime").invoke_endpoint_async(
                EndpointName=endpoint,
                ContentType="application/x-image",
                Accept="application/json",
                InferenceId=inference_id,
                InputLocation=input_uri,
                RequestTTLSeconds=int(LONGEST_WAIT.total_seconds()),
            )
        except ClientError as error:
            raise self._translated(error, endpoint) from error
        except UNANSWERED as error:
            raise TransientError(f"invoke {endpoint}: {error}") from error

    @staticmethod
    def _translated(error: ClientError, endpoint: str) -> Exception:
        code, attempt = code_of(error), f"invoke {endpoint}"
        if code == "ModelError":
            original = int(error.response.get("OriginalStatusCode", 500))
            message = error.response.get("OriginalMessage", message_of(error))
            is_refusal = 400 <= original < 500 and original not in _LATER
            kind: type[DropspotError] = InvalidInputError if is_refusal else TransientError
            return kind(f"{attempt}: the model's container answered {original}: {message}")
        if code in {"ValidationError", "ValidationException"}:
            # Said of a missing endpoint, and of one that isn't in service: no fault of the image.
            return NotFoundError(f"{attempt}: {message_of(error)}")
        if code in {"ModelNotReadyException", "InternalDependencyException"}:
            return TransientError(f"{attempt}: {code}")
        return translated(error, attempt)
