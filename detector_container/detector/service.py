"""What serving answers to: SageMaker's /ping, /invocations and /execution-parameters."""

import logging
from http import HTTPStatus
from typing import Protocol

import orjson

from detector.answers import Answer, wants_annotation
from detector.bodies import Bodies, Body
from detector.messages import Receive, RefusedError, Request, Response
from detector.pictures import PictureTooLargeError
from detector.turns import CrowdedError, Turns
from dropspot.errors import InvalidInputError

LOG = logging.getLogger(__name__)

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


class DetectionService:
    """Answers requests with one model, `workers` pictures at once, each in the thread that asks.

    Until it has been given a proven model it answers 503. Where `run_id` is known, every answer names it.
    """

    def __init__(self, workers: int, max_body_bytes: int, body_seconds: float = BODY_SECONDS, run_id: str = "") -> None:
        self._model: Model | None = None
        self._proven = False
        self._workers = workers
        self._max_body_bytes = max_body_bytes
        self._body_seconds = body_seconds
        self._headers = {ATTRIBUTES: f"run_id={run_id}"} if run_id else {}
        self._turns = Turns(workers, workers * (1 + _WAITING_PER_WORKER))
        self._bodies = Bodies(_BODIES * max_body_bytes)
        self._routes = {
            "/ping": (("GET", "HEAD"), self._ping),
            "/invocations": (("POST",), self._invocations),
            "/execution-parameters": (("GET", "HEAD"), self._execution_parameters),
        }

    def answer(self, request: Request, receive: Receive) -> Response:
        """The application (see messages.py)."""
        if request.path not in self._routes:
            return Response.refusal(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_FOUND.phrase)
        methods, give = self._routes[request.path]
        if request.method not in methods:
            status = HTTPStatus.METHOD_NOT_ALLOWED
            return Response.refusal(status, status.phrase, allow=", ".join(methods))
        try:
            return give(request, receive)
        except RefusedError as refusal:
            return refusal.response()
        except MemoryError:
            return Response.refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the picture does not fit into memory")

    def take(self, model: Model) -> None:
        """Answer with this model from now on; an inference of it has passed."""
        self._model, self._proven = model, True

    def longest_running(self) -> float:
        """Return for how many seconds the slowest thread has been busy with its picture."""
        return self._turns.longest()

    def _ping(self, _request: Request, _receive: Receive) -> Response:
        """Healthy: a real inference has passed, and again since one failed for no fault of its picture's."""
        if self._model is None:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "the model is being loaded")
        if not self._proven:
            try:
                self._model.prove()  # beside the pictures, not behind them: who asks waits for two seconds
            except Exception as error:
                LOG.exception("the model is broken")
                sentence = f"the model fails: {type(error).__name__}"
                raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, sentence) from error
            self._proven = True
        return Response()

    def _execution_parameters(self, _request: Request, _receive: Receive) -> Response:
        """What a batch transform job should do with this container."""
        limit = min(self._max_body_bytes // _MEBIBYTE, _TRANSFORM_MEBIBYTES // self._workers)
        told = {
            "MaxConcurrentTransforms": self._workers,
            "BatchStrategy": "SINGLE_RECORD",
            "MaxPayloadInMB": max(1, limit),
        }
        return Response.json(orjson.dumps(told))

    def _invocations(self, request: Request, receive: Receive) -> Response:
        """Detect objects in the picture of the body."""
        _check_content_type(request)
        self._check_room()
        body = Body(self._announced(request))
        try:
            self._read(body, receive)
            answer = self._detect(body, wants_annotation(request.headers.get("accept", "")))
        finally:
            self._bodies.forget(body)
        return Response.json(answer, self._headers)

    def _check_room(self) -> None:
        if self._model is None:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "the model is being loaded: try again")
        if self._turns.are_crowded:
            raise _crowded()

    def _announced(self, request: Request) -> int:
        given = request.headers.get("content-length", "")
        announced = int(given[:_LENGTH_DIGITS]) if given.isdecimal() else 0
        if announced > self._max_body_bytes:
            raise self._too_large()
        return announced

    def _read(self, body: Body, receive: Receive) -> None:
        self._bodies.begin(body)
        try:
            for chunk in receive(self._body_seconds):
                if body.length + len(chunk) > self._max_body_bytes:  # a chunked request announces no length
                    raise self._too_large()
                if not self._bodies.keep(body, chunk):
                    raise _no_room()
        except TimeoutError as error:  # a later attempt may succeed: no fault of the picture's
            sentence = f"the picture did not arrive within {self._body_seconds:g} s: try again"
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, sentence) from error
        if not self._bodies.complete(body):
            raise _no_room()
        if not body.length:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the request has no body: send the picture's bytes")

    def _too_large(self) -> RefusedError:
        sentence = f"the picture is larger than {self._max_body_bytes:,} bytes"
        return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)

    def _detect(self, body: Body, pixels: bool) -> bytes:
        assert self._model is not None  # noqa: S101 - else there is no room
        try:
            with self._turns:  # others may have come first while the body was under way
                return self._model.detect(body.take()).encoded(pixels)
        except CrowdedError as error:
            raise _crowded() from error
        except PictureTooLargeError as error:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from error
        except InvalidInputError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error
        except MemoryError:
            raise
        except Exception as error:
            LOG.exception("inference failed")
            self._proven = False
            sentence = f"inference failed: {type(error).__name__}"
            raise RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, sentence) from error


def _check_content_type(request: Request) -> None:
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type not in CONTENT_TYPES:
        given = repr(content_type[:100]) if content_type else "none"
        sentence = f"content type {given} is not supported: send one of {', '.join(CONTENT_TYPES)}"
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, sentence)


def _crowded() -> RefusedError:
    return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests are waiting: try again")


def _no_room() -> RefusedError:
    return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "too many bytes are waiting: try again")
