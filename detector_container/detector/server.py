"""The HTTP side of serving: SageMaker's /ping, /invocations and /execution-parameters."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from detector.answers import Answer
from detector.pictures import PictureTooLargeError
from dropspot.errors import InvalidInputError

LOG = logging.getLogger(__name__)

CONTENT_TYPES = ("image/jpeg", "image/png", "application/x-image")
DEFAULT_MAX_BODY_BYTES = 32 << 20
_WAITING_PER_WORKER = 8  # requests beyond these are told to come again
_MEBIBYTE = 1 << 20


class Model(Protocol):
    """Looks at pictures; used from several threads at once."""

    def detect(self, data: bytes) -> Answer:
        """Return the detections in a compressed picture; raise InvalidInputError where it isn't one."""


class RefusedError(Exception):
    """A request that gets an error status and one sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class DetectionServer:
    """Answers requests with one model on `workers` threads; the event loop itself never decodes or computes."""

    def __init__(self, model: Model, workers: int, max_body_bytes: int = DEFAULT_MAX_BODY_BYTES) -> None:
        self._model = model
        self._workers = workers
        self._max_body_bytes = max_body_bytes
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="detect")
        self._admitted = 0
        self.app = Starlette(
            routes=[
                Route("/ping", self.ping, methods=["GET"]),
                Route("/invocations", self.invocations, methods=["POST"]),
                Route("/execution-parameters", self.execution_parameters, methods=["GET"]),
            ]
        )

    async def ping(self, _request: Request) -> Response:
        """Healthy: the process only starts to listen after a real inference has passed (see serve.py)."""
        return Response(status_code=HTTPStatus.OK)

    async def execution_parameters(self, _request: Request) -> Response:
        """What a batch transform job should do with this container."""
        limit = max(1, self._max_body_bytes // _MEBIBYTE)
        return JSONResponse(
            {"MaxConcurrentTransforms": self._workers, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": limit}
        )

    async def invocations(self, request: Request) -> Response:
        """Detect objects in the picture of the body."""
        try:
            self._check_content_type(request)
            body = await self._body(request)
            answer = await self._detect(body)
        except RefusedError as refusal:
            retry = {"Retry-After": "1"} if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE else None
            return JSONResponse({"error": refusal.sentence}, status_code=refusal.status, headers=retry)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody is there to read it
        wants_pixels = "annotation=1" in request.headers.get("accept", "").replace(" ", "").lower()
        return JSONResponse(answer.annotation() if wants_pixels else answer.prediction())

    @staticmethod
    def _check_content_type(request: Request) -> None:
        content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if content_type not in CONTENT_TYPES:
            sentence = (
                f"content type {content_type or 'none'!r} is not supported: send one of {', '.join(CONTENT_TYPES)}"
            )
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, sentence)

    async def _body(self, request: Request) -> bytes:
        too_large = RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the picture is larger than {self._max_body_bytes:,} bytes"
        )
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_body_bytes:
            raise too_large
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_body_bytes:  # a chunked request announces no length
                raise too_large
        if not body:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the request has no body: send the picture's bytes")
        return bytes(body)

    async def _detect(self, body: bytes) -> Answer:
        if self._admitted >= self._workers * (1 + _WAITING_PER_WORKER):
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests are waiting: try again")
        self._admitted += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._model.detect, body)
        except (PictureTooLargeError, MemoryError) as error:
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error) or "the picture does not fit into memory"
            ) from error
        except InvalidInputError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error
        except Exception as error:
            LOG.exception("inference failed")
            raise RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, f"inference failed: {type(error).__name__}") from error
        finally:
            self._admitted -= 1
