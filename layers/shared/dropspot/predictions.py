"""The rows of a model's prediction, as JSON brings them: Python reads more numbers from it than there are."""

import math
from collections.abc import Iterable


def are_finite(row: Iterable[float]) -> bool:
    """Tell whether all of them are numbers to reckon with: no NaN, no infinity, no integer beyond every float."""
    try:
        return all(math.isfinite(number) for number in row)
    except OverflowError:
        return False
