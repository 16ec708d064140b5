"""The model registry: model package groups, and the versions of a model that they hold, with their approval.

Only versioned packages are here, those that belong to a group. Nothing is scanned or validated, so a package is
Completed as soon as it is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy

from dropspot_local.sagemaker import events, listing
from dropspot_local.sagemaker.errors import ServiceError, validation
from dropspot_local.sagemaker.state import Record, Records, Site

_UPDATED = {
    "ModelApprovalStatus": "ModelApprovalStatus",
    "ApprovalDescription": "ApprovalDescription",
    "CustomerMetadataProperties": "CustomerMetadataProperties",
    "CustomerMetadataPropertiesToRemove": "CustomerMetadataProperties",
    "ModelLifeCycle": "ModelLifeCycle",
    "InferenceSpecification": "InferenceSpecification",
}
"""UpdateModelPackage's members, as the event's UpdatedModelPackageFields names them."""


class Registry:
    """The operations on model package groups and model packages."""

    def __init__(self, site: Site, records: Records) -> None:
        self._site, self._records = site, records
        self._last_version: dict[str, int] = {}  # by group; the number of a deleted version is not given again
        self._by_token: dict[tuple[str, str], str] = {}  # ARNs by group and ClientToken
        self.operations: dict[str, Callable[[Record], Record]] = {
            "CreateModelPackageGroup": self.create_group,
            "DescribeModelPackageGroup": lambda request: deepcopy(self._group(request["ModelPackageGroupName"])),
            "DeleteModelPackageGroup": self.delete_group,
            "ListModelPackageGroups": self._list_groups,
            "CreateModelPackage": self.create_package,
            "DescribeModelPackage": lambda request: deepcopy(self._package(request["ModelPackageName"])),
            "UpdateModelPackage": self.update_package,
            "DeleteModelPackage": self.delete_package,
            "ListModelPackages": self._list_packages,
        }

    def create_group(self, request: Record) -> Record:
        """CreateModelPackageGroup."""
        name = request["ModelPackageGroupName"]
        arn = self._site.arn("model-package-group", name)
        with self._records.lock:
            if name in self._records.model_package_groups:
                raise validation(f"Model Package Group already exists: {arn}")
            self._records.model_package_groups[name] = {
                **{field: value for field, value in request.items() if field != "Tags"},
                "ModelPackageGroupArn": arn,
                "CreationTime": time.time(),
                "CreatedBy": {},
                "ModelPackageGroupStatus": "Completed",
            }
        return {"ModelPackageGroupArn": arn}

    def delete_group(self, request: Record) -> Record:
        """DeleteModelPackageGroup: refused while the group holds packages."""
        with self._records.lock:
            group = self._group(request["ModelPackageGroupName"])
            name = group["ModelPackageGroupName"]
            if self._versions(name):
                raise ServiceError(
                    "ConflictException",
                    f"Model Package Group {group['ModelPackageGroupArn']} cannot be deleted: it still contains Model "
                    "Packages.",
                )
            del self._records.model_package_groups[name]
            self._records.tags.pop(group["ModelPackageGroupArn"], None)
        return {}

    def create_package(self, request: Record) -> Record:
        """CreateModelPackage: the group's next version; a repeated ClientToken gets the version that it made before."""
        if "ModelPackageGroupName" not in request:
            raise validation("The embedded cloud doesn't support model packages outside of a group.")
        if request.get("Tags"):
            raise validation("Tags are not supported on a versioned model package: tag its Model Package Group.")
        if "InferenceSpecification" not in request:
            raise validation("InferenceSpecification must be given.")
        now = time.time()
        with self._records.lock:
            name = self._group(request["ModelPackageGroupName"])["ModelPackageGroupName"]
            token = request.get("ClientToken")
            if token and (made := self._by_token.get((name, token))):
                return {"ModelPackageArn": made}
            version = self._last_version.get(name, 0) + 1
            self._last_version[name] = version
            arn = self._site.arn("model-package", f"{name}/{version}")
            package = {
                "ModelApprovalStatus": "PendingManualApproval",
                "CertifyForMarketplace": False,
                **{field: value for field, value in request.items() if field != "ClientToken"},
                "ModelPackageGroupName": name,
                "ModelPackageName": f"{name}/{version}",
                "ModelPackageVersion": version,
                "ModelPackageArn": arn,
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
                "CreationTime": now,
                "LastModifiedTime": now,
            }
            self._records.model_packages[arn] = package
            if token:
                self._by_token[name, token] = arn
            detail = events.model_package_detail(package)
        events.emit("model-package", arn, detail)
        return {"ModelPackageArn": arn}

    def update_package(self, request: Record) -> Record:
        """UpdateModelPackage: its approval, stage, metadata or container. Every update sends an event."""
        with self._records.lock:
            package = self._package(request["ModelPackageArn"])
            custom = {**package.get("CustomerMetadataProperties", {}), **request.get("CustomerMetadataProperties", {})}
            for key in request.get("CustomerMetadataPropertiesToRemove", []):
                custom.pop(key, None)
            changes = {name: request[name] for name in _UPDATED if name in request and not name.endswith("ToRemove")}
            package.update(changes, LastModifiedTime=time.time())
            if custom or "CustomerMetadataProperties" in package:
                package["CustomerMetadataProperties"] = custom
            updated = list(dict.fromkeys(_UPDATED[name] for name in request if name in _UPDATED))
            detail = events.model_package_detail(package) | {"UpdatedModelPackageFields": updated}
        events.emit("model-package", package["ModelPackageArn"], detail)
        return {"ModelPackageArn": package["ModelPackageArn"]}

    def delete_package(self, request: Record) -> Record:
        """DeleteModelPackage: its version number is not given again."""
        with self._records.lock:
            del self._records.model_packages[self._package(request["ModelPackageName"])["ModelPackageArn"]]
        return {}

    def _list_groups(self, request: Record) -> Record:
        with self._records.lock:
            groups = list(self._records.model_package_groups.values())
            return listing.answer(listing.LISTINGS["ListModelPackageGroups"], groups, request)

    def _list_packages(self, request: Record) -> Record:
        request = dict(request)
        if request.pop("ModelPackageType", "Versioned") == "Unversioned":
            raise validation("The embedded cloud doesn't support model packages outside of a group.")
        approval = request.pop("ModelApprovalStatus", None)
        with self._records.lock:
            packages = list(self._records.model_packages.values())
            if "ModelPackageGroupName" in request:
                packages = self._versions(self._group(request.pop("ModelPackageGroupName"))["ModelPackageGroupName"])
            packages = [package for package in packages if approval in (None, package["ModelApprovalStatus"])]
            return listing.answer(listing.LISTINGS["ListModelPackages"], packages, request)

    def _versions(self, group: str) -> list[Record]:
        return [p for p in self._records.model_packages.values() if p["ModelPackageGroupName"] == group]

    def _group(self, name_or_arn: str) -> Record:
        with self._records.lock:
            for name, group in self._records.model_package_groups.items():
                if name_or_arn in (name, group["ModelPackageGroupArn"]):
                    return group
        arn = self._site.arn("model-package-group", name_or_arn.rpartition("/")[2])
        raise validation(f"ModelPackageGroup {arn} does not exist.")

    def _package(self, name_or_arn: str) -> Record:
        arn = name_or_arn if name_or_arn.startswith("arn:") else self._site.arn("model-package", name_or_arn)
        with self._records.lock:
            if arn not in self._records.model_packages:
                raise validation(f"ModelPackage {arn} does not exist.")
            return self._records.model_packages[arn]
