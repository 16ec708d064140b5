import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from image_pipeline import Pipeline  # found by the line above


@pytest.fixture
def pipeline() -> Pipeline:
    """Give a pipeline whose model is in service."""
    pipeline = Pipeline()
    pipeline.serve()
    return pipeline
