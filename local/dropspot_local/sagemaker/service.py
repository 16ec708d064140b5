"""The control plane's operations for one account and region."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import partial
from typing import Any

from dropspot_local.sagemaker import listing, models, processing, training_request, transform, tuning
from dropspot_local.sagemaker.authorization import ADMINISTRATOR, Caller, authorize, check_role
from dropspot_local.sagemaker.clients import Clients
from dropspot_local.sagemaker.endpoints import Endpoints
from dropspot_local.sagemaker.errors import ServiceError, resource_in_use, resource_not_found, validation
from dropspot_local.sagemaker.faults import Faults
from dropspot_local.sagemaker.jobs import ENDED, Job
from dropspot_local.sagemaker.processing import ProcessingJob
from dropspot_local.sagemaker.registry import Registry
from dropspot_local.sagemaker.scaling import Scaling
from dropspot_local.sagemaker.state import Record, Records, Site
from dropspot_local.sagemaker.supported import check_supported
from dropspot_local.sagemaker.training import TrainingJob
from dropspot_local.sagemaker.transform import TransformJob
from dropspot_local.sagemaker.tuning import TuningJob
from dropspot_local.sagemaker.validation import check_request, operations

ABANDON_SECONDS = 5


class Service:
    """SageMaker's control plane. `call` takes an operation's name and its request."""

    def __init__(self, site: Site) -> None:
        self.site, self.records = site, Records()
        self._clients = Clients(site, ADMINISTRATOR)
        self._jobs: list[Job] = []
        self.faults = Faults()
        self.endpoints = Endpoints(site, self.records, self._clients)
        self.scaling = Scaling(site, self.endpoints)
        self._operations: dict[str, Callable[[Record], Record]] = {
            "CreateProcessingJob": self._create_processing_job,
            "CreateTrainingJob": self._create_training_job,
            "CreateHyperParameterTuningJob": self._create_tuning_job,
            "ListTrainingJobsForHyperParameterTuningJob": self._list_trainings_of,
            "CreateTransformJob": self._create_transform_job,
            "CreateModel": lambda request: models.create(site, self.records, request),
            "DescribeModel": lambda request: dict(models.find(site, self.records, request["ModelName"])),
            "DeleteModel": lambda request: models.delete(site, self.records, request),
            "CreateEndpointConfig": self.endpoints.create_config,
            "DescribeEndpointConfig": self.endpoints.describe_config,
            "DeleteEndpointConfig": self.endpoints.delete_config,
            "CreateEndpoint": self.endpoints.create,
            "UpdateEndpoint": self.endpoints.update,
            "DescribeEndpoint": self.endpoints.describe,
            "DeleteEndpoint": self.endpoints.delete,
            "AddTags": self._add_tags,
            "ListTags": self._list_tags,
            "DeleteTags": self._delete_tags,
            **Registry(site, self.records).operations,
        }
        for kind, table in self._job_tables().items():
            self._operations[f"Describe{kind}Job"] = partial(self._describe_job, kind, table)
            self._operations[f"Stop{kind}Job"] = partial(self._stop_job, kind, table)
        tables = {f"{kind}Jobs": table for kind, table in self._job_tables().items()}
        tables |= {
            "Models": self.records.models,
            "EndpointConfigs": self.records.endpoint_configs,
            "Endpoints": self.records.endpoints,
        }
        for name, table in tables.items():
            self._operations[f"List{name}"] = partial(self._list, listing.LISTINGS[f"List{name}"], table)

    def call(self, operation: str, request: Record, caller: Caller) -> Record:
        """Carry out one operation; ServiceError when it is refused."""
        if operation not in operations():
            raise ServiceError("UnknownOperationException", f"SageMaker has no operation {operation}.")
        if operation not in self._operations:
            raise ServiceError(
                "UnknownOperationException", f"The embedded cloud doesn't support the operation {operation}."
            )
        self.faults.check(operation, request)
        check_request(operation, request)
        authorize(self.site, caller, operation, request)
        check_supported(operation, request)
        answer = self._operations[operation](request)
        if operation.startswith("Create") and request.get("Tags"):
            arn = next(value for name, value in answer.items() if name.endswith("Arn"))
            with self.records.lock:
                self.records.tags.setdefault(arn, {}).update({tag["Key"]: tag["Value"] for tag in request["Tags"]})
        return answer

    def control(self, operation: str, request: Record, caller: Caller) -> Record:
        """Carry out an operation that only this cloud has (dropspot_local.control), for the root user alone."""
        if caller.access_key != ADMINISTRATOR.access_key:
            raise ServiceError("AccessDeniedException", f"Only the root user may call {operation}.")
        if operation == "RefuseCalls":
            return self.faults.refuse(request)
        if operation == "InterruptTrainingJob":
            record = self._job_record("Training", self.records.training_jobs, request)
            job = next(job for job in self._jobs if job.record is record)
            if isinstance(job, TrainingJob):
                job.interrupt(float(request.get("CapacityAfterSeconds", 0)))
            return {}
        raise ServiceError("UnknownOperationException", f"The embedded cloud has no operation {operation}.")

    def close(self) -> None:
        """End every job and endpoint because the cloud goes away."""
        abandon = [job.abandon for job in self._jobs if job.status not in ENDED] + self.endpoints.abandon()
        if abandon:
            with ThreadPoolExecutor(len(abandon)) as pool:
                list(pool.map(lambda end: end(ABANDON_SECONDS), abandon))

    def _job_tables(self) -> dict[str, dict[str, Record]]:
        return {
            "Processing": self.records.processing_jobs,
            "Training": self.records.training_jobs,
            "HyperParameterTuning": self.records.tuning_jobs,
            "Transform": self.records.transform_jobs,
        }

    def _create_processing_job(self, request: Record) -> Record:
        processing.check(request)
        check_role(request["RoleArn"])
        return self._start(ProcessingJob, self.records.processing_jobs, processing.new_record(self.site, request))

    def _create_training_job(self, request: Record) -> Record:
        training_request.check(request)
        check_role(request["RoleArn"])
        return self._start(TrainingJob, self.records.training_jobs, training_request.new_record(self.site, request))

    def _create_tuning_job(self, request: Record) -> Record:
        tuning.check(request)
        definition, tags = request["TrainingJobDefinition"], request.get("Tags", [])
        training_request.check(definition)
        check_role(definition["RoleArn"])

        def launch(child: Record) -> Job:
            arn = self._start(TrainingJob, self.records.training_jobs, training_request.new_record(self.site, child))
            with self.records.lock:
                if tags:
                    self.records.tags[arn["TrainingJobArn"]] = {tag["Key"]: tag["Value"] for tag in tags}
            return next(job for job in reversed(self._jobs) if job.arn == arn["TrainingJobArn"])

        kind = partial(TuningJob, launch=launch)
        return self._start(kind, self.records.tuning_jobs, tuning.new_record(self.site, request))

    def _list_trainings_of(self, request: Record) -> Record:
        record = self._job_record("HyperParameterTuning", self.records.tuning_jobs, request)
        job = next(job for job in self._jobs if job.record is record)
        summaries = job.summaries() if isinstance(job, TuningJob) else []
        if request.get("SortBy") == "FinalObjectiveMetricValue":
            rated = [(tuning.objective_value(summary), summary) for summary in summaries]
            summaries = [summary | {"FinalObjectiveMetricValue": v} for v, summary in rated if v is not None]
        asked = {name: value for name, value in request.items() if name != "HyperParameterTuningJobName"}
        return listing.answer(listing.LISTINGS["ListTrainingJobsForHyperParameterTuningJob"], summaries, asked)

    def _create_transform_job(self, request: Record) -> Record:
        models.find(self.site, self.records, request["ModelName"])
        return self._start(TransformJob, self.records.transform_jobs, transform.new_record(self.site, request))

    def _start(self, kind: Callable[..., Job], table: dict[str, Record], record: Record) -> Record:
        job = kind(self.site, self.records, self._clients, record)
        with self.records.lock:
            if job.name in table:
                raise resource_in_use(
                    "Job name must be unique within an AWS account and region, and a job with this name already "
                    f"exists ({job.arn})"
                )
            table[job.name] = record
            self._jobs.append(job)
        job.update()
        job.start()
        return {f"{job.prefix}Arn": job.arn}

    def _describe_job(self, kind: str, table: dict[str, Record], request: Record) -> Record:
        with self.records.lock:
            return deepcopy(self._job_record(kind, table, request))

    def _job_record(self, kind: str, table: dict[str, Record], request: Record) -> Record:
        name = request[f"{kind}JobName"]
        with self.records.lock:
            if name not in table:
                if kind == "Training":
                    raise validation("Requested resource not found.")
                raise resource_not_found(f"Could not find requested job with name: {name}")
            return table[name]

    def _stop_job(self, kind: str, table: dict[str, Record], request: Record) -> Record:
        record = self._job_record(kind, table, request)
        job = next(job for job in self._jobs if job.record is record)
        if job.status in ENDED:
            raise validation(f"The request was rejected because the {kind.lower()} job is in status {job.status}.")
        job.stop()
        return {}

    def _list(self, kind: listing.Listing, table: dict[str, Record], request: Record) -> Record:
        with self.records.lock:
            tuned = table is self.records.tuning_jobs
            return listing.answer(kind, [tuning.listed(r) if tuned else r for r in table.values()], request)

    def _known(self, arn: str) -> str:
        tables = [
            *self._job_tables().values(),
            self.records.models,
            self.records.endpoint_configs,
            self.records.endpoints,
            self.records.model_package_groups,
        ]
        known = any(arn in record.values() for table in tables for record in table.values())
        if not known:
            raise validation(f"Could not find resource {arn}.")
        return arn

    def _add_tags(self, request: Record) -> Record:
        with self.records.lock:
            tags = self.records.tags.setdefault(self._known(request["ResourceArn"]), {})
            tags.update({tag["Key"]: tag["Value"] for tag in request["Tags"]})
            return {"Tags": _tag_list(tags)}

    def _list_tags(self, request: Record) -> Record:
        with self.records.lock:
            return {"Tags": _tag_list(self.records.tags.get(self._known(request["ResourceArn"]), {}))}

    def _delete_tags(self, request: Record) -> Record:
        with self.records.lock:
            tags = self.records.tags.get(self._known(request["ResourceArn"]), {})
            for key in request["TagKeys"]:
                tags.pop(key, None)
        return {}


def _tag_list(tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
