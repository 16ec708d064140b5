import pytest

from dropspot.errors import InvalidInputError
from dropspot.hyperparameters import defaults, over_recipe, parse, recipe, table

# Columns: name, a value at the edge of the documented range, one beyond it.
EDGES = [
    ("num_classes", "1", "0"),
    ("num_classes", "10000", "10001"),
    ("epochs", "+10", "1_0"),
    ("epochs", " 10 ", "\u0661\u0660"),  # Arabic digits
    ("learning_rate", "1e-3", "0.000_1"),
    ("learning_rate", "0.1", "0.\uff11"),  # a fullwidth digit
    ("lr_scheduler_step", "10, 20", "1\uff10"),
    ("epochs", "1", "0"),
    ("mini_batch_size", "1", "-1"),
    ("image_shape", "300", "299"),
    ("learning_rate", "1", "0"),
    ("lr_scheduler_step", "10,20", "10,,20"),
    ("lr_scheduler_factor", "0.5", "1"),
    ("optimizer", "adadelta", "lion"),
    ("momentum", "1.0", "0"),
    ("weight_decay", "0.5", "0"),
    ("overlap_threshold", "1", "1.1"),
    ("nms_threshold", "1", "nan"),
    ("freeze_layer_pattern", "^(conv1_|conv2_).*", "("),
    ("early_stopping", "True", "perhaps"),
    ("early_stopping_tolerance", "0", "-0.1"),
    ("use_pretrained_model", "1", "2"),
    ("base_network", "vgg-16", "tiny"),
    ("kv_store", "dist_async", "local"),
]


@pytest.mark.parametrize(("name", "inside", "outside"), EDGES)
def test_ranges_end_where_the_documentation_says(name: str, inside: str, outside: str) -> None:
    assert name in parse({name: inside}, extensions=False)
    with pytest.raises(InvalidInputError, match=name):
        parse({name: outside}, extensions=False)


def test_every_default_is_accepted_by_its_own_row() -> None:
    for extensions in (False, True):
        rows = table(extensions=extensions)
        for name, value in defaults(extensions=extensions).items():
            assert rows[name].parse(str(value)) == value


@pytest.mark.parametrize("samples", [1, 5, 100, 3000, 100_000])
@pytest.mark.parametrize(
    ("algorithm", "network"),
    [
        ("built-in", "auto"),
        ("built-in", "vgg-16"),
        ("detector", "auto"),
        ("detector", "tiny"),
        ("detector", "resnet-50"),
    ],
)
def test_a_recipe_is_always_accepted(algorithm: str, network: str, samples: int) -> None:
    values = parse(recipe(algorithm, samples, network), extensions=algorithm == "detector")
    assert int(values["mini_batch_size"]) <= samples or samples < 1
    assert network in {"auto", values["base_network"]}


def test_fewer_pictures_get_more_epochs() -> None:
    epochs = [int(recipe("detector", samples)["epochs"]) for samples in (50, 500, 5000)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] > epochs[-1]


def test_vgg_16_is_refused_pictures_that_its_maps_do_not_fit() -> None:
    vgg = {"base_network": "vgg-16"}
    assert parse(vgg | {"image_shape": "268"}, extensions=True)["image_shape"] == 268
    with pytest.raises(InvalidInputError) as caught:
        parse(vgg | {"image_shape": "267"}, extensions=True)
    assert str(caught.value) == "hyperparameter image_shape is 267: vgg-16 needs at least 268"
    assert parse({"base_network": "resnet-50", "image_shape": "128"}, extensions=True)


def test_the_recipe_freezes_no_layers_that_are_only_drawn() -> None:
    assert over_recipe({"use_pretrained_model": "1"}, "detector", 100)["freeze_layer_pattern"]
    assert "freeze_layer_pattern" not in over_recipe({"use_pretrained_model": " 0"}, "detector", 100)
    asked = over_recipe({"use_pretrained_model": "0", "freeze_layer_pattern": "^stem"}, "detector", 100)
    assert asked["freeze_layer_pattern"] == "^stem"
