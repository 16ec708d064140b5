"""Hyperparameters are typed and complete, or refused by name."""

import pytest

from detector.settings import Settings
from dropspot.errors import InvalidInputError

GIVEN = {"num_classes": "2", "num_training_samples": "100"}


def test_what_is_not_given_has_the_built_in_algorithms_default() -> None:
    settings = Settings.from_strings(GIVEN)
    assert (settings.base_network, settings.epochs, settings.mini_batch_size) == ("vgg-16", 30, 32)
    assert (settings.optimizer, settings.learning_rate, settings.nms_threshold) == ("sgd", 0.001, 0.45)


def test_auto_is_the_recipe_and_what_is_given_takes_precedence() -> None:
    settings = Settings.from_strings(GIVEN | {"base_network": "auto", "epochs": "3"})
    assert (settings.base_network, settings.optimizer, settings.epochs) == ("efficientnet-lite0", "adam", 3)


def test_a_tuning_jobs_own_entries_are_passed_over() -> None:
    Settings.from_strings(GIVEN | {"_tuning_objective_metric": "validation:mAP"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", "0"),
        ("epochs", "ten"),
        ("learning_rate", "2"),
        ("learning_rate", "nan"),
        ("mini_batch_size", "-1"),
        ("optimizer", "lion"),
        ("base_network", "resnet-9000"),
        ("image_shape", "64"),
        ("nms_threshold", "0"),
        ("momentum", "1.5"),
        ("weight_averaging", "1"),
        ("freeze_layer_pattern", "("),
        ("learning_rat", "0.1"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"\b{name}\b"):
        Settings.from_strings(GIVEN | {name: value})


@pytest.mark.parametrize("name", ["num_classes", "num_training_samples"])
def test_what_is_required_is_asked_for_by_name(name: str) -> None:
    with pytest.raises(InvalidInputError, match=name):
        Settings.from_strings({key: value for key, value in GIVEN.items() if key != name})


def test_the_steps_of_the_schedule_are_epochs() -> None:
    assert Settings.from_strings(GIVEN | {"lr_scheduler_step": "10, 20"}).step_epochs() == (10, 20)
    assert Settings.from_strings(GIVEN).step_epochs() == ()
