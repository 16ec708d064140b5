"""The REST API: what the pipeline has done and seen, and the requests to train again and to go back."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, cast
from urllib.parse import unquote

from aws_lambda_powertools import Logger
from chalice.app import BadRequestError, Chalice, ChaliceViewError, ConvertToMiddleware, Request, Response
from chalice.app import NotFoundError as NotFoundResponse

from detections import described_images, detections_of
from dropspot.errors import DropspotError, InvalidInputError, NotFoundError, TransientError
from dropspot.services import Services, aws_services
from dropspot.settings import Settings
from retrainings import request_retraining
from rollbacks import request_rollback
from runs_view import run_details, run_list, service_health

View = Callable[..., Any]

logger = Logger()


class ServiceUnavailableError(ChaliceViewError):
    """The answer may be had later."""

    STATUS_CODE = 503


_RESPONSES: dict[type[DropspotError], type[ChaliceViewError]] = {
    InvalidInputError: BadRequestError,
    NotFoundError: NotFoundResponse,
    TransientError: ServiceUnavailableError,
}


def answers_errors(view: View) -> View:
    """Turn this project's errors into responses; any other is a 500, by Chalice."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return view(*args, **kwargs)
        except DropspotError as error:
            kind = next(response for ours, response in _RESPONSES.items() if isinstance(error, ours))
            logger.info("Request refused", status=kind.STATUS_CODE, reason=str(error))
            raise kind(str(error)) from error

    return guarded


def build_app(services: Callable[[], Services[Settings]]) -> Chalice:
    """Return the API over the services, which are asked for with the first request."""
    api = Chalice(app_name="dropspot-api")
    api.register_middleware(ConvertToMiddleware(logger.inject_lambda_context))

    def request() -> Request:
        return cast(Request, api.current_request)  # None only outside of a view

    @api.route("/health", methods=["GET"])
    @answers_errors
    def health() -> dict[str, Any]:
        return service_health(services())

    @api.route("/runs", methods=["GET"])
    @answers_errors
    def runs() -> dict[str, Any]:
        return {"runs": run_list(services())}

    @api.route("/runs/{run_id}", methods=["GET"])
    @answers_errors
    def run(run_id: str) -> dict[str, Any]:
        # API Gateway hands path parameters on as they stand in the URL. A run's id has no % to decode twice.
        return run_details(services(), unquote(run_id))

    @api.route("/detections", methods=["GET"])
    @answers_errors
    def detections() -> dict[str, Any]:
        query = dict(request().query_params or {})
        match sorted(query):
            case ["key"]:
                return detections_of(services(), query["key"])
            case ["prefix"]:
                return described_images(services(), query["prefix"])
            case _:
                raise InvalidInputError("ask for either ?key=images/… or ?prefix=images/…")

    @api.route("/retrainings", methods=["POST"])
    @answers_errors
    def retrainings() -> Response:
        body = request().json_body if request().raw_body else {}
        return Response({"event_id": request_retraining(services(), body)}, status_code=202)

    @api.route("/rollbacks", methods=["POST"])
    @answers_errors
    def rollbacks() -> Response:
        body = request().json_body if request().raw_body else {}
        return Response(request_rollback(services(), body), status_code=202)

    return api


app = build_app(partial(aws_services, Settings))
