"""Hyperparameters are typed and complete, or refused by name."""

import pytest

from detector.settings import Settings
from dropspot import hyperparameters
from dropspot.errors import InvalidInputError

GIVEN = {"num_classes": "2", "num_training_samples": "100"}


def test_what_is_not_given_has_the_built_in_algorithms_default() -> None:
    settings = Settings.from_strings(GIVEN)
    assert (settings.base_network, settings.epochs, settings.mini_batch_size) == ("vgg-16", 30, 32)
    assert (settings.optimizer, settings.learning_rate, settings.nms_threshold) == ("sgd", 0.001, 0.45)


def test_auto_is_the_recipe_and_what_is_given_takes_precedence() -> None:
    settings = Settings.from_strings(GIVEN | {"base_network": "auto", "epochs": "3"})
    assert (settings.base_network, settings.optimizer, settings.epochs) == ("efficientnet-lite0", "adam", 3)


def test_auto_without_pretrained_weights_freezes_nothing() -> None:
    assert Settings.from_strings(GIVEN | {"base_network": "auto"}).freeze_layer_pattern
    drawn = GIVEN | {"base_network": "auto", "use_pretrained_model": "0"}
    assert Settings.from_strings(drawn).freeze_layer_pattern == ""


def test_a_tuning_jobs_own_entries_are_passed_over() -> None:
    Settings.from_strings(GIVEN | {"_tuning_objective_metric": "validation:mAP"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"momentum": "0.8"}, []),
        ({"optimizer": "adam", "momentum": "0.8"}, ["momentum has no effect: optimizer is adam"]),
        ({"base_network": "tiny", "optimizer": "adam", "weight_decay": "0.1"}, []),
        (
            {"optimizer": "adam", "weight_decay": "0.1"},
            ["weight_decay has no effect: optimizer is adam and base_network is vgg-16"],
        ),
        ({"early_stopping_patience": "3"}, ["early_stopping_patience has no effect: early_stopping is False"]),
        ({"early_stopping_patience": "3", "early_stopping": "True"}, []),
        ({"lr_scheduler_factor": "0.5"}, ["lr_scheduler_factor has no effect: lr_scheduler_step names no epoch"]),
        ({"lr_scheduler_factor": "0.5", "lr_scheduler_step": "3"}, []),
        (
            {"schedule": "cosine", "lr_scheduler_step": "3"},
            ["lr_scheduler_step has no effect: schedule is cosine"],
        ),
        (
            {"optimizer": "adadelta", "learning_rate": "0.1"},
            ["learning_rate has no effect: adadelta has no learning rate"],
        ),
    ],
    ids=str,
)
def test_what_has_no_effect_is_named_with_its_reason(given: dict[str, str], said: list[str]) -> None:
    settings = Settings.from_strings(GIVEN | given)
    assert settings.without_effect(given) == [f"hyperparameter {sentence}" for sentence in said]


@pytest.mark.parametrize("network", ["auto", "efficientnet-lite0", "tiny", "vgg-16", "resnet-50"])
def test_the_recipe_gives_nothing_in_vain(network: str) -> None:
    recipe = hyperparameters.recipe("detector", 100, network)
    assert Settings.from_strings(GIVEN | recipe).without_effect(recipe) == []


# name -> values just beyond each end of its range, and one of another type
OUT_OF_RANGE = {
    "num_classes": ("0", "-1", "two"),
    "num_training_samples": ("0", "1.5", ""),
    "base_network": ("resnet-9000", "VGG-16", ""),
    "use_pretrained_model": ("2", "-1", "yes"),
    "epochs": ("0", "100001", "ten"),
    "mini_batch_size": ("0", "-1", "1e3"),
    "image_shape": ("127", "2049", "300x300"),
    "label_width": ("6", "-350", "wide"),
    "learning_rate": ("0", "1.0001", "nan", "inf", "fast"),
    "lr_scheduler_step": ("0", "10;20", "10,,20", "e10"),
    "lr_scheduler_factor": ("0", "1", "nan"),
    "optimizer": ("lion", "SGD", ""),
    "momentum": ("-0.1", "1.5", "none"),
    "weight_decay": ("1", "-0.0005"),
    "overlap_threshold": ("0", "1.01", "half"),
    "nms_threshold": ("0", "1.01", "-0.45"),
    "freeze_layer_pattern": ("(", "[a-", "*"),
    "early_stopping": ("maybe", "2", ""),
    "early_stopping_min_epochs": ("0", "-10", "few"),
    "early_stopping_patience": ("0", "0.5", "long"),
    "early_stopping_tolerance": ("-0.01", "1.01", "nan"),
    "kv_store": ("local", "dist", ""),
    "schedule": ("linear", "Cosine", ""),
    "anchors": ("kmeans", "Fitted", ""),
    "warmup_steps": ("-1", "0.5", "some"),
    "clip_gradient": ("-1", "nan", "off"),
    "weight_averaging": ("1", "-0.1", "on"),
    "nms_topk": ("0", "10001", "all"),
    "seed": ("-1", "2147483648", "random"),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in OUT_OF_RANGE.items() for value in values]
)
def test_a_value_out_of_range_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"\bhyperparameter {name} is "):
        Settings.from_strings(GIVEN | {name: value})


def test_a_search_may_begin_at_no_momentum_and_no_decay() -> None:
    settings = Settings.from_strings(GIVEN | {"momentum": "0", "weight_decay": "0.0"})
    assert (settings.momentum, settings.weight_decay) == (0, 0)


def test_no_hyperparameter_is_missing_here() -> None:
    assert OUT_OF_RANGE.keys() == hyperparameters.table(extensions=True).keys()


def test_an_unknown_hyperparameter_is_refused_by_name() -> None:
    with pytest.raises(InvalidInputError, match=r"\blearning_rat\b"):
        Settings.from_strings(GIVEN | {"learning_rat": "0.1"})


@pytest.mark.parametrize("name", ["num_classes", "num_training_samples"])
def test_what_is_required_is_asked_for_by_name(name: str) -> None:
    with pytest.raises(InvalidInputError, match=name):
        Settings.from_strings({key: value for key, value in GIVEN.items() if key != name})


def test_the_steps_of_the_schedule_are_epochs() -> None:
    assert Settings.from_strings(GIVEN | {"lr_scheduler_step": "10, 20"}).step_epochs() == (10, 20)
    assert Settings.from_strings(GIVEN).step_epochs() == ()


@pytest.mark.parametrize("network", [{}, {"base_network": "auto"}])
def test_a_batch_larger_than_all_pictures_together_is_refused_where_it_was_asked_for(network: dict[str, str]) -> None:
    few = {"num_classes": "2", "num_training_samples": "3"} | network
    assert Settings.from_strings(few).mini_batch_size  # the default is larger and left alone
    assert Settings.from_strings(few | {"mini_batch_size": "3"}).mini_batch_size == 3
    with pytest.raises(InvalidInputError, match=r"mini_batch_size is 4: by num_training_samples .* only 3 pictures"):
        Settings.from_strings(few | {"mini_batch_size": "4"})
