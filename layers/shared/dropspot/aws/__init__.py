"""The adapters on AWS, a module for each service, and the only package that imports boto3."""

from dropspot.aws.alarms import CloudWatchAlarms
from dropspot.aws.clients import client
from dropspot.aws.events import EventBridgeBus
from dropspot.aws.hosting import SageMakerHosting
from dropspot.aws.inference import SageMakerInference
from dropspot.aws.jobs import SageMakerJobs
from dropspot.aws.queues import LambdaIntake, SqsQueues
from dropspot.aws.registry import SageMakerRegistry
from dropspot.aws.s3 import S3Store
from dropspot.aws.scaling import ApplicationScaling

__all__ = [
    "ApplicationScaling",
    "CloudWatchAlarms",
    "EventBridgeBus",
    "LambdaIntake",
    "S3Store",
    "SageMakerHosting",
    "SageMakerInference",
    "SageMakerJobs",
    "SageMakerRegistry",
    "SqsQueues",
    "client",
]
