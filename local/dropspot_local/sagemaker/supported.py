"""Which parameters the embedded SageMaker takes. Everything else is refused by name: nothing is ignored in silence.

CARRIED parameters are kept and described but change nothing here, because the machine is what it is: instance types and
volumes, encryption keys, networks. Every other listed parameter does what the service documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dropspot_local.sagemaker.errors import not_supported

_VPC = "VpcConfig.SecurityGroupIds VpcConfig.Subnets"
_TAGS = "Tags.Key Tags.Value"

HONOURED = {
    "CreateProcessingJob": f"""ProcessingJobName RoleArn Environment {_TAGS}
        AppSpecification.ImageUri AppSpecification.ContainerEntrypoint AppSpecification.ContainerArguments
        ProcessingInputs.InputName ProcessingInputs.AppManaged ProcessingInputs.S3Input.S3Uri ProcessingInputs.S3Input.LocalPath
        ProcessingInputs.S3Input.S3DataType ProcessingInputs.S3Input.S3InputMode
        ProcessingInputs.S3Input.S3DataDistributionType ProcessingInputs.S3Input.S3CompressionType
        ProcessingOutputConfig.Outputs.OutputName ProcessingOutputConfig.Outputs.AppManaged
        ProcessingOutputConfig.Outputs.S3Output.S3Uri ProcessingOutputConfig.Outputs.S3Output.LocalPath
        ProcessingOutputConfig.Outputs.S3Output.S3UploadMode
        ProcessingResources.ClusterConfig.InstanceCount StoppingCondition.MaxRuntimeInSeconds""",
    "CreateTrainingJob": f"""TrainingJobName RoleArn Environment HyperParameters {_TAGS}
        AlgorithmSpecification.TrainingImage AlgorithmSpecification.TrainingInputMode
        AlgorithmSpecification.MetricDefinitions.Name AlgorithmSpecification.MetricDefinitions.Regex
        AlgorithmSpecification.ContainerEntrypoint AlgorithmSpecification.ContainerArguments
        InputDataConfig.ChannelName InputDataConfig.ContentType InputDataConfig.CompressionType
        InputDataConfig.RecordWrapperType InputDataConfig.InputMode InputDataConfig.DataSource.S3DataSource.S3DataType
        InputDataConfig.DataSource.S3DataSource.S3Uri InputDataConfig.DataSource.S3DataSource.S3DataDistributionType
        OutputDataConfig.S3OutputPath OutputDataConfig.CompressionType ResourceConfig.InstanceCount
        StoppingCondition.MaxRuntimeInSeconds StoppingCondition.MaxWaitTimeInSeconds EnableManagedSpotTraining
        CheckpointConfig.S3Uri CheckpointConfig.LocalPath""",
    "CreateTransformJob": f"""TransformJobName ModelName MaxConcurrentTransforms MaxPayloadInMB BatchStrategy Environment {_TAGS}
        TransformInput.DataSource.S3DataSource.S3DataType TransformInput.DataSource.S3DataSource.S3Uri TransformInput.ContentType
        TransformInput.CompressionType TransformInput.SplitType TransformOutput.S3OutputPath TransformOutput.Accept
        TransformOutput.AssembleWith ModelClientConfig.InvocationsTimeoutInSeconds ModelClientConfig.InvocationsMaxRetries""",
    "CreateModel": f"""ModelName ExecutionRoleArn {_TAGS} PrimaryContainer.Image PrimaryContainer.ModelDataUrl
        PrimaryContainer.Environment PrimaryContainer.Mode PrimaryContainer.ContainerHostname""",
    "CreateEndpointConfig": f"""EndpointConfigName {_TAGS} ProductionVariants.VariantName ProductionVariants.ModelName
        ProductionVariants.InitialVariantWeight ProductionVariants.ContainerStartupHealthCheckTimeoutInSeconds""",
    "CreateEndpoint": f"EndpointName EndpointConfigName {_TAGS}",
    "UpdateEndpoint": """EndpointName EndpointConfigName RetainAllVariantProperties
        DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration.Type
        DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration.WaitIntervalInSeconds""",
}
CARRIED = {
    "CreateProcessingJob": f"""ProcessingResources.ClusterConfig.InstanceType ProcessingResources.ClusterConfig.VolumeSizeInGB
        ProcessingResources.ClusterConfig.VolumeKmsKeyId ProcessingOutputConfig.KmsKeyId NetworkConfig.EnableNetworkIsolation
        NetworkConfig.EnableInterContainerTrafficEncryption NetworkConfig.{_VPC.replace(" ", " NetworkConfig.")}""",
    "CreateTrainingJob": f"""ResourceConfig.InstanceType ResourceConfig.VolumeSizeInGB ResourceConfig.VolumeKmsKeyId
        ResourceConfig.KeepAlivePeriodInSeconds OutputDataConfig.KmsKeyId EnableNetworkIsolation
        EnableInterContainerTrafficEncryption AlgorithmSpecification.EnableSageMakerMetricsTimeSeries
        RetryStrategy.MaximumRetryAttempts {_VPC}""",
    "CreateTransformJob": """TransformResources.InstanceType TransformResources.InstanceCount
        TransformResources.VolumeKmsKeyId TransformOutput.KmsKeyId""",
    "CreateModel": f"EnableNetworkIsolation {_VPC}",
    "CreateEndpointConfig": """ProductionVariants.InstanceType ProductionVariants.InitialInstanceCount
        ProductionVariants.VolumeSizeInGB ProductionVariants.ModelDataDownloadTimeoutInSeconds KmsKeyId""",
    "CreateEndpoint": "",
    "UpdateEndpoint": """DeploymentConfig.BlueGreenUpdatePolicy.TerminationWaitInSeconds
        DeploymentConfig.BlueGreenUpdatePolicy.MaximumExecutionTimeoutInSeconds""",
}
ONLY = {
    "ProcessingInputs.AppManaged": {False},
    "ProcessingInputs.S3Input.S3DataType": {"S3Prefix"},
    "ProcessingInputs.S3Input.S3InputMode": {"File"},
    "ProcessingInputs.S3Input.S3CompressionType": {"None"},
    "ProcessingOutputConfig.Outputs.AppManaged": {False},
    "ProcessingResources.ClusterConfig.InstanceCount": {1},
    "InputDataConfig.CompressionType": {"None"},
    "InputDataConfig.RecordWrapperType": {"None"},
    "InputDataConfig.DataSource.S3DataSource.S3DataType": {"S3Prefix"},
    "OutputDataConfig.CompressionType": {"GZIP"},
    "ResourceConfig.InstanceCount": {1},
    "TransformInput.DataSource.S3DataSource.S3DataType": {"S3Prefix"},
    "TransformInput.CompressionType": {"None"},
    "TransformInput.SplitType": {"None"},
    "TransformOutput.AssembleWith": {"None"},
    "PrimaryContainer.Mode": {"SingleModel"},
    "RetainAllVariantProperties": {False},
    "DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration.Type": {"ALL_AT_ONCE"},
}
"""The values that are implemented, for parameters of which only some are."""


def check_supported(operation: str, request: dict[str, Any]) -> None:
    """Refuse a parameter, or a value of one, that the embedded SageMaker doesn't implement."""
    if operation not in HONOURED:
        return
    known = {*HONOURED[operation].split(), *CARRIED[operation].split()}
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
