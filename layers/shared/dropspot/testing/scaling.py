"""Application Auto Scaling in memory."""

from dropspot.errors import InvalidInputError
from dropspot.ports import Request
from dropspot.service_models import assert_valid_request


class MemoryScaling:
    """Application Auto Scaling: targets and policies by resource; a policy needs its target."""

    def __init__(self) -> None:
        self.targets: dict[str, Request] = {}
        self.policies: dict[tuple[str, str], Request] = {}  # by resource and name

    def is_in_force(self, target: Request, policy: Request) -> bool:
        resource = target["ResourceId"]
        return (
            self.targets.get(resource) == target
            and self.policies.get((policy["ResourceId"], policy["PolicyName"])) == policy
        )

    def register(self, target: Request) -> None:
        assert_valid_request("application-autoscaling", "RegisterScalableTarget", target)
        self.targets[target["ResourceId"]] = target

    def put_policy(self, request: Request) -> str:
        assert_valid_request("application-autoscaling", "PutScalingPolicy", request)
        resource, name = request["ResourceId"], request["PolicyName"]
        if resource not in self.targets:
            raise InvalidInputError(f"Application Auto Scaling refused put_scaling_policy: no target {resource}")
        self.policies[resource, name] = request
        return f"arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:{name}"

    def deregister(self, resource_id: str) -> None:
        self.targets.pop(resource_id, None)
        self.policies = {key: policy for key, policy in self.policies.items() if key[0] != resource_id}
