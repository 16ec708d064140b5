"""The production wiring: everything a handler needs, built once per container."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Generic, TypeVar

from dropspot.ports import Alarms, EventBus, Hosting, Inference, Intake, Jobs, ObjectStore, Queues, Registry, Scaling
from dropspot.settings import Settings

S_co = TypeVar("S_co", bound=Settings, covariant=True)


def utc_now() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Services(Generic[S_co]):
    """A function's settings and the adapters behind its ports."""

    settings: S_co
    store: ObjectStore
    jobs: Jobs
    hosting: Hosting
    alarms: Alarms
    registry: Registry
    scaling: Scaling
    inference: Inference
    bus: EventBus
    queues: Queues
    intake: Intake
    now: Callable[[], datetime] = utc_now


@cache
def aws_services(kind: type[S_co]) -> Services[S_co]:
    """Return the services on AWS; clients are made when first used."""
    from dropspot import aws  # noqa: PLC0415  # importing a handler must not load boto3

    settings = kind.from_env(os.environ)
    return Services(
        settings=settings,
        store=aws.S3Store(settings.bucket_name),
        jobs=aws.SageMakerJobs(),
        hosting=aws.SageMakerHosting(),
        alarms=aws.CloudWatchAlarms(),
        registry=aws.SageMakerRegistry(),
        scaling=aws.ApplicationScaling(),
        inference=aws.SageMakerInference(),
        bus=aws.EventBridgeBus(settings.app_name),
        queues=aws.SqsQueues(),
        intake=aws.LambdaIntake(),
    )
