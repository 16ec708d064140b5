"""The tuning job that takes the training's place where the plan asks for a search."""

from dropspot.ports import Request
from dropspot.runs import Run
from dropspot.tuning_plan import Tuning

# A tuning job has no checkpoints: its trainings would all find each other's. An interrupted one begins anew.
_SAME = (
    "RoleArn",
    "AlgorithmSpecification",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "EnableManagedSpotTraining",
)


def tuning_job_request(run: Run, training: Request, tuning: Tuning) -> Request:
    """Return CreateHyperParameterTuningJob's arguments for the training that CreateTrainingJob's would start."""
    fixed = {name: value for name, value in training["HyperParameters"].items() if name not in tuning.ranges}
    return {
        "HyperParameterTuningJobName": run.tuning_job,
        "HyperParameterTuningJobConfig": tuning.config,
        "TrainingJobDefinition": {"StaticHyperParameters": fixed, **{name: training[name] for name in _SAME}},
        "Tags": training["Tags"],
    }
