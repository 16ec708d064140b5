"""The HTTP side of serving: SageMaker's /ping, /invocations and /execution-parameters."""

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Protocol

import numpy as np
import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from detector.answers import Answer, wants_annotation
from detector.bodies import Bodies, Body
from detector.pictures import PictureTooLargeError
from dropspot.errors import InvalidInputError

LOG = logging.getLogger(__name__)

_INVOCATIONS = "/invocations"
CONTENT_TYPES = ("image/jpeg", "image/png", "application/x-image")
BODY_SECONDS = 30.0  # that a client may take to send a picture
_WAITING_PER_WORKER = 8  # requests beyond these are told to come again
_BODIES = 4  # of the largest size that are kept in memory at once; of smaller ones more
_LENGTH_DIGITS = 18  # of an announced length that matter: whatever has more is too large anyway
_MEBIBYTE = 1 << 20
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"  # the header that InvokeEndpoint hands on to who asked
_TRANSFORM_MEBIBYTES = 100  # of a batch transform job: payload times concurrency may not exceed it


class Model(Protocol):
    """Looks at pictures; used from several threads at once."""

    def detect(self, data: bytes) -> Answer:
        """Return the detections in a compressed picture; raise InvalidInputError where it isn't one."""

    def prove(self) -> None:
        """Run a real inference; raise where the model fails or answers nonsense."""


class RefusedError(Exception):
    """A request that gets an error status and one sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence

    def response(self) -> JSONResponse:
        """The answer; to one that may be repeated it says when."""
        retry = {"Retry-After": "1"} if self.status == HTTPStatus.SERVICE_UNAVAILABLE else None
        return JSONResponse({"error": self.sentence}, status_code=self.status, headers=retry)


class DetectionServer:
    """Answers requests with one model on `workers` threads; the event loop itself never decodes or computes.

    Until it has been given a proven model it answers 503. Where `run_id` is known, every answer names it.
    """

    def __init__(self, workers: int, max_body_bytes: int, body_seconds: float = BODY_SECONDS, run_id: str = "") -> None:
        self._model: Model | None = None
        self._proven = False
        self._workers = workers
        self._max_body_bytes = max_body_bytes
        self._body_seconds = body_seconds
        self._headers = {ATTRIBUTES: f"run_id={run_id}"} if run_id else None
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="detect")
        self._admitted = 0
        self._bodies = Bodies(_BODIES * max_body_bytes)
        self._since: dict[int, float] = {}  # thread -> when it began with its picture
        self._routes = Starlette(
            routes=[
                Route("/ping", self.ping, methods=["GET"]),
                Route(_INVOCATIONS, self.invocations, methods=["POST"]),
                Route("/execution-parameters", self.execution_parameters, methods=["GET"]),
            ],
            exception_handlers={HTTPException: _no_such_thing},
        )
        self._routes.router.redirect_slashes = False  # to an address that the client's own Host header makes up

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application; pictures do without Starlette's layers, which cost small networks some of the rate."""
        if scope["type"] == "http" and scope["path"] == _INVOCATIONS and scope["method"] == "POST":
            response = await self.invocations(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._routes(scope, receive, send)

    def take(self, model: Model) -> None:
        """Answer with this model from now on; an inference of it has passed."""
        self._model, self._proven = model, True

    def longest_running(self) -> float:
        """Return for how many seconds the slowest thread has been busy with its picture."""
        return time.monotonic() - min(self._since.copy().values(), default=time.monotonic())

    async def ping(self, _request: Request) -> Response:
        """Healthy: a real inference has passed, and again since one failed for no fault of its picture's."""
        if self._model is None:
            return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "the model is being loaded").response()
        if not self._proven:
            try:
                await asyncio.get_running_loop().run_in_executor(self._pool, self._model.prove)
            except Exception as error:
                LOG.exception("the model is broken")
                sentence = f"the model fails: {type(error).__name__}"
                return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, sentence).response()
            self._proven = True
        return Response(status_code=HTTPStatus.OK)

    async def execution_parameters(self, _request: Request) -> Response:
        """What a batch transform job should do with this container."""
        limit = min(self._max_body_bytes // _MEBIBYTE, _TRANSFORM_MEBIBYTES // self._workers)
        return JSONResponse(
            {
                "MaxConcurrentTransforms": self._workers,
                "BatchStrategy": "SINGLE_RECORD",
                "MaxPayloadInMB": max(1, limit),
            }
        )

    async def invocations(self, request: Request) -> Response:
        """Detect objects in the picture of the body."""
        body = Body()
        try:
            self._check_content_type(request)
            self._check_room()
            await self._read(request, body)
            accepted = ",".join(request.headers.getlist("accept"))  # several lines are one list
            answer = await self._detect(bytes(body.data), wants_annotation(accepted))
        except RefusedError as refusal:
            return refusal.response()
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody is there to read it
        finally:
            self._bodies.forget(body)
        return Response(answer, media_type="application/json", headers=self._headers)

    @staticmethod
    def _check_content_type(request: Request) -> None:
        content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if content_type not in CONTENT_TYPES:
            given = repr(content_type[:100]) if content_type else "none"
            sentence = f"content type {given} is not supported: send one of {', '.join(CONTENT_TYPES)}"
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, sentence)

    def _check_room(self) -> None:
        if self._model is None:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "the model is being loaded: try again")
        if self._admitted >= self._workers * (1 + _WAITING_PER_WORKER):
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests are waiting: try again")

    async def _read(self, request: Request, body: Body) -> None:
        """Read the request's body into `body`; what is refused is left unread (see protocol.py)."""
        too_large = RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the picture is larger than {self._max_body_bytes:,} bytes"
        )
        given = request.headers.get("content-length", "")
        announced = int(given[:_LENGTH_DIGITS]) if given.isdecimal() else 0
        if announced > self._max_body_bytes:
            raise too_large
        try:
            async with asyncio.timeout(self._body_seconds) as reading:
                self._bodies.begin(body, announced, reading)
                async for chunk in request.stream():
                    if len(body.data) + len(chunk) > self._max_body_bytes:  # a chunked request announces no length
                        raise too_large
                    if not self._bodies.keep(body, chunk):
                        raise _no_room()
        except TimeoutError as error:  # a later attempt may succeed: no fault of the picture's
            if body.has_made_room:
                raise _no_room() from error
            sentence = f"the picture did not arrive within {self._body_seconds:g} s: try again"
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, sentence) from error
        self._bodies.complete(body)
        if not body.data:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the request has no body: send the picture's bytes")

    async def _detect(self, body: bytes, pixels: bool) -> bytes:
        self._check_room()  # others may have come first while the body was under way
        self._admitted += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._answer, body, pixels)
        except (PictureTooLargeError, MemoryError) as error:
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error) or "the picture does not fit into memory"
            ) from error
        except InvalidInputError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error
        except Exception as error:
            LOG.exception("inference failed")
            self._proven = False
            raise RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, f"inference failed: {type(error).__name__}") from error
        finally:
            self._admitted -= 1

    def _answer(self, body: bytes, pixels: bool) -> bytes:
        """Return the answer's JSON; runs on a thread of the pool."""
        assert self._model is not None  # noqa: S101 - checked on admission
        thread = threading.get_ident()
        self._since[thread] = time.monotonic()
        try:
            answer = self._model.detect(body)
        finally:
            del self._since[thread]
        if not np.isfinite(answer.rows).all():
            raise ValueError("the answer has numbers that JSON doesn't know")
        return orjson.dumps(answer.annotation() if pixels else answer.prediction())


def _no_room() -> RefusedError:
    return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "too many bytes are waiting: try again")


async def _no_such_thing(_request: Request, error: Exception) -> Response:
    """Refuse unknown paths and methods in the same form as everything else."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these alone
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)
