"""Scaling of an asynchronous endpoint by Application Auto Scaling: to no instance while nobody asks, and back.

The endpoint and its variant are made by this function and not by the template, so their scaling is too. As the
developer guide has it ("Autoscale an asynchronous endpoint"): a target of so many waiting requests for each instance
scales out and in; it can't leave zero, with no instance to count by, which is what the alarm and its step are for.
"""

from typing import Any

from dropspot.endpoint import asleep_alarm
from dropspot.ports import Endpoint, Request
from dropspot.services import Services

_BACKLOG = 5.0  # requests that wait for each instance
_DIMENSION = "sagemaker:variant:DesiredInstanceCount"


def resource_id(endpoint: str, variant: str) -> str:
    """Return the name by which Application Auto Scaling knows a variant."""
    return f"endpoint/{endpoint}/variant/{variant}"


def keep_scaling(services: Services[Any], endpoint: Endpoint) -> bool:
    """See to it that the endpoint in service scales; return whether anything had to be done."""
    settings = services.settings
    name, variant = settings.endpoint_name, endpoint.variant
    target = target_request(name, variant, settings.endpoint_instance_count)
    tracking = tracking_request(name, variant, settings.async_idle_seconds)
    # The last thing that is made is the first that is looked for.
    if services.scaling.is_in_force(target, tracking):
        return False
    services.scaling.register(target)
    step = services.scaling.put_policy(step_request(name, variant))
    services.alarms.put(alarm_request(settings.app_name, name, step))
    services.scaling.put_policy(tracking)
    return True


def stop_scaling(services: Services[Any], endpoint: Endpoint) -> None:
    """Let the variant go: one that is a target of scaling can't be replaced."""
    if endpoint.variant:  # one that failed while it was made may have none
        services.scaling.deregister(resource_id(services.settings.endpoint_name, endpoint.variant))


def target_request(endpoint: str, variant: str, most: int) -> Request:
    """Return RegisterScalableTarget's arguments: no instance at least, so many at most."""
    return _variant(endpoint, variant) | {"MinCapacity": 0, "MaxCapacity": most}


def tracking_request(endpoint: str, variant: str, idle_seconds: int) -> Request:
    """Return PutScalingPolicy's arguments for scaling with the backlog."""
    metric = {
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
        "Statistic": "Average",
    }
    return _variant(endpoint, variant) | {
        "PolicyName": f"{endpoint}-backlog",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": _BACKLOG,
            "CustomizedMetricSpecification": metric,
            "ScaleInCooldown": idle_seconds,
            "ScaleOutCooldown": 60,
        },
    }


def step_request(endpoint: str, variant: str) -> Request:
    """Return PutScalingPolicy's arguments for the first instance."""
    return _variant(endpoint, variant) | {
        "PolicyName": f"{endpoint}-wake",
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": 300,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        },
    }


def alarm_request(app: str, endpoint: str, policy: str) -> Request:
    """Return PutMetricAlarm's arguments for requests that wait while there is no instance."""
    return {
        "AlarmName": asleep_alarm(app),
        "AlarmDescription": "Wakes the endpoint up: images wait and it has no instance.",
        "Namespace": "AWS/SageMaker",
        "MetricName": "HasBacklogWithoutCapacity",
        "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        "AlarmActions": [policy],
    }


def _variant(endpoint: str, variant: str) -> Request:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": resource_id(endpoint, variant),
        "ScalableDimension": _DIMENSION,
    }
