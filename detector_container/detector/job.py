"""One training job from its channels to its artifacts. Importing this imports MXNet: set OMP_NUM_THREADS before."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from detector.anchor_fitting import fitted_levels
from detector.anchors import anchor_boxes
from detector.batches import CACHED_SIDE, Batches
from detector.channel import load_channel
from detector.channels.input_configuration import SIDES, ChannelFormat
from detector.checkpoints import identity, read_checkpoint, write_checkpoint
from detector.export import export_model
from detector.initial_weights import as_ndarrays
from detector.model_card import TrainingFacts, write_model_card
from detector.paths import ContainerPaths
from detector.settings import Settings
from detector.starting_point import starting_point
from detector.threads import available_cores
from detector.training import Training
from detector.training_graph import TrainingGraph
from dropspot.errors import InvalidInputError

LOG = logging.getLogger(__name__)


def run_job(
    paths: ContainerPaths,
    settings: Settings,
    given: dict[str, str],
    formats: Mapping[str, ChannelFormat | None],
    stop: Callable[[], bool],
) -> None:
    """Load the channels, train until done or until `stop` says so, and write the model.

    `given` are the hyperparameters as they were sent, `formats` those of the channels (see channel_formats). Raises
    InvalidInputError for data that can't be trained on, StoppedError when told to stop while waiting for them.
    """
    start = starting_point(settings, paths.channel("pretrained"), paths.channel("model"))
    network = start.network
    LOG.info("the training starts from %s", start.origin)
    threads = available_cores()
    begun = time.monotonic()
    samples, validation = (
        load_channel(
            paths.channel(name),
            settings.num_classes,
            round(settings.image_shape * CACHED_SIDE),
            threads,
            label_width=settings.label_width,
            channel_format=formats[name],
            stop=stop,
        )
        for name in SIDES
    )
    LOG.info(
        "loaded %d training and %d validation pictures in %.1f s",
        len(samples),
        len(validation),
        time.monotonic() - begun,
    )
    if len(samples) != settings.num_training_samples:
        LOG.warning(
            "num_training_samples is %d, channel train has %d pictures", settings.num_training_samples, len(samples)
        )
    if settings.anchors == "fitted" and not start.knows_anchors:
        network = replace(network, levels=fitted_levels(network.levels, [sample.labels for sample in samples]))
    # The default is left alone: a batch is filled up from the front.
    if "mini_batch_size" in given and settings.mini_batch_size > len(samples):
        raise InvalidInputError(
            f"hyperparameter mini_batch_size is {settings.mini_batch_size}: "
            f"the channel holds only {len(samples)} pictures"
        )

    anchors = anchor_boxes(network.levels)
    made_with = identity(settings, samples, anchors)
    training = Training(
        network=network,
        settings=settings,
        graph=TrainingGraph(network, settings, start.weights),
        batches=Batches(
            samples=samples,
            anchors=anchors,
            side=settings.image_shape,
            mean=network.mean,
            deviation=network.deviation,
            size=settings.mini_batch_size,
            seed=settings.seed,
        ),
        validation=validation,
        threads=threads,
        stop=stop,
        save=partial(write_checkpoint, paths.checkpoints, made_with),
    )
    checkpoint = read_checkpoint(paths.checkpoints, made_with)
    if checkpoint is not None:
        training.resume(checkpoint)
    training.run()
    LOG.info("the model has the weights of epoch %d, validation mAP %.4f", training.best_epoch, training.kept_map)
    weights = as_ndarrays(training.best)
    export_model(paths.model, network, weights, settings, given, training.best_epoch, training.kept_map)
    facts = TrainingFacts(
        start.origin,
        [sample.labels for sample in samples],
        [sample.labels for sample in validation],
        training.best_epoch,
        training.kept_map,
    )
    write_model_card(paths.model, network, settings, facts)
