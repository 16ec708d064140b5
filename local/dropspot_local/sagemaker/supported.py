"""Which parameters the embedded SageMaker takes. Everything else is refused by name: nothing is ignored in silence.

CARRIED parameters are kept and described but change nothing here, because the machine is what it is: instance types and
volumes, encryption keys, networks; docs/embedded-cloud.md lists them. Every other listed parameter does what the
service documents, which for BatchStrategy is nothing: it needs a SplitType, and there is none but None.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dropspot_local.sagemaker.errors import not_supported


def _paths(names: str, **below: str) -> set[str]:
    """Dotted paths: names at the top, and names below members that are given with `__` for each dot."""
    found = set(names.split())
    for member, members in below.items():
        found |= {f"{member.replace('__', '.')}.{name}" for name in members.split()}
    return found


_TAGS = "Key Value"
_RANGE = "Name MinValue MaxValue ScalingType"
_SIZE = "Type Value"
_VPC = "SecurityGroupIds Subnets"
_CONTAINERS = {"InferenceSpecification__Containers": "Image ImageDigest ModelDataUrl Environment ContainerHostname"}
_PACKAGE_CHANGES = _paths(
    "CustomerMetadataProperties",
    ModelLifeCycle="Stage StageStatus StageDescription",
    InferenceSpecification=(
        "SupportedContentTypes SupportedResponseMIMETypes SupportedRealtimeInferenceInstanceTypes "
        "SupportedTransformInstanceTypes"
    ),
    **_CONTAINERS,
)
_PACKAGE = _PACKAGE_CHANGES | _paths(
    "ModelPackageDescription Domain Task",
    MetadataProperties="CommitId Repository GeneratedBy ProjectId",
    ModelMetrics__ModelQuality__Statistics="ContentType S3Uri ContentDigest",
)
"""What a model package keeps for whoever reads it."""

HONOURED = {
    "CreateProcessingJob": _paths(
        "ProcessingJobName RoleArn Environment",
        Tags=_TAGS,
        AppSpecification="ImageUri ContainerEntrypoint ContainerArguments",
        ProcessingInputs="InputName AppManaged",
        ProcessingInputs__S3Input="S3Uri LocalPath S3DataType S3InputMode S3DataDistributionType S3CompressionType",
        ProcessingOutputConfig__Outputs="OutputName AppManaged",
        ProcessingOutputConfig__Outputs__S3Output="S3Uri LocalPath S3UploadMode",
        ProcessingResources__ClusterConfig="InstanceCount",
        StoppingCondition="MaxRuntimeInSeconds",
    ),
    "CreateTrainingJob": _paths(
        "TrainingJobName RoleArn Environment HyperParameters EnableManagedSpotTraining",
        Tags=_TAGS,
        AlgorithmSpecification="TrainingImage TrainingInputMode ContainerEntrypoint ContainerArguments",
        AlgorithmSpecification__MetricDefinitions="Name Regex",
        InputDataConfig="ChannelName ContentType CompressionType RecordWrapperType InputMode",
        InputDataConfig__DataSource__S3DataSource="S3DataType S3Uri S3DataDistributionType AttributeNames",
        InputDataConfig__ShuffleConfig="Seed",
        OutputDataConfig="S3OutputPath CompressionType",
        ResourceConfig="InstanceCount",
        StoppingCondition="MaxRuntimeInSeconds MaxWaitTimeInSeconds",
        CheckpointConfig="S3Uri LocalPath",
    ),
    "CreateTransformJob": _paths(
        "TransformJobName ModelName MaxConcurrentTransforms MaxPayloadInMB BatchStrategy Environment",
        Tags=_TAGS,
        TransformInput="ContentType CompressionType SplitType",
        TransformInput__DataSource__S3DataSource="S3DataType S3Uri",
        TransformOutput="S3OutputPath Accept AssembleWith",
        ModelClientConfig="InvocationsTimeoutInSeconds InvocationsMaxRetries",
    ),
    "CreateModel": _paths(
        "ModelName ExecutionRoleArn",
        Tags=_TAGS,
        PrimaryContainer="Image ModelDataUrl Environment Mode ContainerHostname",
    ),
    "CreateEndpointConfig": _paths(
        "EndpointConfigName",
        Tags=_TAGS,
        AsyncInferenceConfig__ClientConfig="MaxConcurrentInvocationsPerInstance",
        AsyncInferenceConfig__OutputConfig="S3OutputPath S3FailurePath",
        AsyncInferenceConfig__OutputConfig__NotificationConfig="SuccessTopic ErrorTopic",
        ProductionVariants=("VariantName ModelName InitialVariantWeight ContainerStartupHealthCheckTimeoutInSeconds"),
    ),
    "CreateEndpoint": _paths("EndpointName EndpointConfigName", Tags=_TAGS),
    "ListTags": _paths("ResourceArn"),
    "DescribeModelPackage": _paths("ModelPackageName"),
    "CreateModelPackageGroup": _paths("ModelPackageGroupName ModelPackageGroupDescription", Tags=_TAGS),
    "CreateModelPackage": _PACKAGE | _paths("ModelPackageGroupName ModelApprovalStatus ClientToken", Tags=_TAGS),
    "UpdateModelPackage": _PACKAGE_CHANGES
    | _paths("ModelPackageArn ModelApprovalStatus ApprovalDescription CustomerMetadataPropertiesToRemove"),
    "UpdateEndpoint": _paths(
        "EndpointName EndpointConfigName RetainAllVariantProperties RetainDeploymentConfig",
        ExcludeRetainedVariantProperties="VariantPropertyType",
        DeploymentConfig__BlueGreenUpdatePolicy="TerminationWaitInSeconds MaximumExecutionTimeoutInSeconds",
        DeploymentConfig__BlueGreenUpdatePolicy__TrafficRoutingConfiguration="Type WaitIntervalInSeconds",
        DeploymentConfig__BlueGreenUpdatePolicy__TrafficRoutingConfiguration__CanarySize=_SIZE,
        DeploymentConfig__BlueGreenUpdatePolicy__TrafficRoutingConfiguration__LinearStepSize=_SIZE,
        DeploymentConfig__RollingUpdatePolicy="WaitIntervalInSeconds MaximumExecutionTimeoutInSeconds",
        DeploymentConfig__RollingUpdatePolicy__MaximumBatchSize=_SIZE,
        DeploymentConfig__RollingUpdatePolicy__RollbackMaximumBatchSize=_SIZE,
        DeploymentConfig__AutoRollbackConfiguration__Alarms="AlarmName",
    ),
}
CARRIED = {
    "CreateProcessingJob": _paths(
        "",
        ProcessingResources__ClusterConfig="InstanceType VolumeSizeInGB VolumeKmsKeyId",
        ProcessingOutputConfig="KmsKeyId",
        NetworkConfig="EnableNetworkIsolation EnableInterContainerTrafficEncryption",
        NetworkConfig__VpcConfig=_VPC,
    ),
    "CreateTrainingJob": _paths(
        "EnableNetworkIsolation EnableInterContainerTrafficEncryption",
        ResourceConfig="InstanceType VolumeSizeInGB VolumeKmsKeyId",
        OutputDataConfig="KmsKeyId",
        AlgorithmSpecification="EnableSageMakerMetricsTimeSeries",
        RetryStrategy="MaximumRetryAttempts",
        VpcConfig=_VPC,
    ),
    "CreateTransformJob": _paths(
        "", TransformResources="InstanceType InstanceCount VolumeKmsKeyId", TransformOutput="KmsKeyId"
    ),
    "CreateModel": _paths("EnableNetworkIsolation", VpcConfig=_VPC),
    "CreateEndpointConfig": _paths(
        "KmsKeyId",
        ProductionVariants="InstanceType InitialInstanceCount VolumeSizeInGB",
    ),
    "CreateEndpoint": _paths(""),
    "ListTags": _paths(""),
    "DescribeModelPackage": _paths(""),
    "CreateModelPackageGroup": _paths(""),
    "CreateModelPackage": _paths("SkipModelValidation"),
    "UpdateModelPackage": _paths(""),
    "UpdateEndpoint": _paths(""),
}
ONLY: dict[str, set[Any]] = {
    "ProcessingInputs.AppManaged": {False},
    "ProcessingInputs.S3Input.S3DataType": {"S3Prefix", "ManifestFile"},
    "ProcessingInputs.S3Input.S3InputMode": {"File"},
    "ProcessingInputs.S3Input.S3CompressionType": {"None"},
    "ProcessingOutputConfig.Outputs.AppManaged": {False},
    "ProcessingResources.ClusterConfig.InstanceCount": {1},
    "InputDataConfig.CompressionType": {"None"},
    "InputDataConfig.DataSource.S3DataSource.S3DataType": {"S3Prefix", "AugmentedManifestFile"},
    "OutputDataConfig.CompressionType": {"GZIP"},
    "ResourceConfig.InstanceCount": set(range(1, 101)),
    "TransformInput.DataSource.S3DataSource.S3DataType": {"S3Prefix", "ManifestFile"},
    "TransformInput.CompressionType": {"None"},
    "TransformInput.SplitType": {"None"},
    "TransformOutput.AssembleWith": {"None"},
    "PrimaryContainer.Mode": {"SingleModel"},
    "ExcludeRetainedVariantProperties.VariantPropertyType": {"DesiredInstanceCount", "DesiredWeight"},
}
"""The values that are implemented, for parameters of which only some are."""

_NOT_TUNED = (
    "TrainingJobName",
    "Tags",
    "HyperParameters",
    "CheckpointConfig",
    "AlgorithmSpecification.Container",
    "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries",
)
"""What a tuning job's definition of its training jobs hasn't got, or would share between them."""
for _kept in (HONOURED, CARRIED):
    _kept["CreateHyperParameterTuningJob"] = {
        f"TrainingJobDefinition.{path}" for path in _kept["CreateTrainingJob"] if not path.startswith(_NOT_TUNED)
    }
HONOURED["CreateHyperParameterTuningJob"] |= _paths(
    "HyperParameterTuningJobName",
    Tags=_TAGS,
    HyperParameterTuningJobConfig="Strategy RandomSeed TrainingJobEarlyStoppingType",
    HyperParameterTuningJobConfig__HyperParameterTuningJobObjective="Type MetricName",
    HyperParameterTuningJobConfig__ResourceLimits="MaxNumberOfTrainingJobs MaxParallelTrainingJobs",
    HyperParameterTuningJobConfig__ParameterRanges__IntegerParameterRanges=_RANGE,
    HyperParameterTuningJobConfig__ParameterRanges__ContinuousParameterRanges=_RANGE,
    HyperParameterTuningJobConfig__ParameterRanges__CategoricalParameterRanges="Name Values",
    TrainingJobDefinition="StaticHyperParameters",
)
ONLY |= {f"TrainingJobDefinition.{path}": values for path, values in ONLY.items()} | {
    "HyperParameterTuningJobConfig.Strategy": {"Random", "Bayesian", "Grid"},
    "HyperParameterTuningJobConfig.TrainingJobEarlyStoppingType": {"Off"},
}


def check_supported(operation: str, request: dict[str, Any]) -> None:
    """Refuse a parameter, or a value of one, that the embedded SageMaker doesn't implement."""
    if operation not in HONOURED:
        return
    known = HONOURED[operation] | CARRIED[operation]
    for path, value in _leaves(request, "", known):
        if path not in known:
            raise not_supported(f"{operation}'s {path}")
        if path in ONLY and value not in ONLY[path]:
            raise not_supported(f"{operation}'s {path} = {value}")


def _leaves(value: Any, path: str, known: set[str]) -> Iterator[tuple[str, Any]]:
    if path in known:
        yield path, value
    elif isinstance(value, dict):
        for name, item in value.items():
            if item is not None:
                yield from _leaves(item, f"{path}.{name}" if path else name, known)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, path, known)
    else:
        yield path, value
