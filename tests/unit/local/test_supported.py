"""Nothing is accepted and ignored: every parameter of the service's model does something, is stated, or is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from dropspot_local.sagemaker.errors import ServiceError
from dropspot_local.sagemaker.supported import CARRIED, HONOURED, ONLY, check_supported
from dropspot_local.sagemaker.validation import input_shape

DUMMY = "a value"


def leaves(shape: Shape, path: str = "", seen: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every path of the shape, with a request that states this one alone."""
    if isinstance(shape, ListShape):
        yield from ((found, [inner]) for found, inner in leaves(shape.member, path, seen))
    elif isinstance(shape, StructureShape) and shape.name not in seen:
        for name, member in shape.members.items():
            below = f"{path}.{name}" if path else name
            yield from ((found, {name: inner}) for found, inner in leaves(member, below, (*seen, shape.name)))
    elif isinstance(shape, MapShape):
        yield path, {DUMMY: DUMMY}
    elif not isinstance(shape, StructureShape):
        yield path, DUMMY


@pytest.mark.parametrize("operation", sorted(HONOURED))
def test_every_parameter_that_is_not_listed_is_refused_by_its_name(operation: str) -> None:
    known = HONOURED[operation] | CARRIED[operation]
    shape = input_shape(operation)
    assert shape is not None
    accepted = set()
    for path, request in leaves(shape):
        listed = {path[: len(prefix)] for prefix in known if path == prefix or path.startswith(f"{prefix}.")}
        if listed and path not in ONLY:
            check_supported(operation, request)
            accepted |= listed
            continue
        with pytest.raises(ServiceError) as error:
            check_supported(operation, request)
        assert f"{operation}'s {path}" in error.value.message
        accepted |= listed
    assert accepted == known, "a name in the tables that is no parameter"


def test_what_is_carried_without_effect_is_no_more_than_the_document_says() -> None:
    words = ("Instance", "Volume", "Kms", "Vpc", "NetworkIsolation", "Encryption")
    others = {
        "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries",
        "RetryStrategy.MaximumRetryAttempts",  # of the service's own failures, which this machine hasn't
        "SkipModelValidation",
    }
    for operation, paths in CARRIED.items():
        for path in paths:
            short = path.removeprefix("TrainingJobDefinition.")
            assert short in others or any(word in path for word in words), f"{operation}: {path}"
