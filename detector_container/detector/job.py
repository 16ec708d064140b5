"""One training job from its channels to its artifacts. Importing this imports MXNet: set OMP_NUM_THREADS before."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from detector.anchor_fitting import fitted_levels
from detector.anchors import anchor_boxes
from detector.batches import Batches, training_fit, validation_fit
from detector.channel import Sample, load_channel
from detector.channels.input_configuration import ChannelFormat, sharded_sides
from detector.checkpoints import identity, read_checkpoint, write_checkpoint
from detector.export import export_model
from detector.freezing import frozen_parameters
from detector.hosts.data import TrainingData, loaded_data
from detector.hosts.peers import Peers
from detector.initial_weights import as_ndarrays
from detector.model_card import TrainingFacts, write_model_card
from detector.paths import ContainerPaths
from detector.replica import training_devices
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
    peers: Peers,
) -> None:
    """Load the channels, train until done or until `stop` says so, and, as the first host, write the model.

    `given` are the hyperparameters as they were sent, `formats` those of the channels (see channel_formats). Raises
    InvalidInputError for data that can't be trained on, StoppedError when told to stop while loading them.
    """
    start = starting_point(settings, paths.channel("pretrained"), paths.channel("model"))
    _refuse_different_starts(start.origin, peers)
    network = start.network
    frozen_parameters(network.symbol, settings.freeze_layer_pattern)  # what it refuses is refused before any data
    LOG.info("the training starts from %s", start.origin)
    threads = available_cores()
    begun = time.monotonic()
    fits = {"train": training_fit(settings.image_shape), "validation": validation_fit(settings.image_shape)}

    def load(side: str) -> list[Sample]:
        return load_channel(
            paths.channel(side),
            settings.num_classes,
            fits[side],
            threads,
            label_width=settings.label_width,
            channel_format=formats[side],
            stop=stop,
        )

    data = loaded_data(load, sharded_sides(paths.input_data_config), peers)
    LOG.info(
        "loaded %d training and %d validation pictures in %.1f s",
        len(data.samples),
        len(data.validation),
        time.monotonic() - begun,
    )
    if len(data.labels) != settings.num_training_samples:
        LOG.warning(
            "num_training_samples is %d, channel train has %d pictures", settings.num_training_samples, len(data.labels)
        )
    if settings.anchors == "fitted" and not start.knows_anchors:
        network = replace(network, levels=fitted_levels(network.levels, data.labels))
    # The default is left alone: a batch is filled up from the front.
    if "mini_batch_size" in given and settings.mini_batch_size > len(data.samples):
        raise InvalidInputError(
            f"hyperparameter mini_batch_size is {settings.mini_batch_size}: "
            f"the channel holds only {len(data.samples)} pictures"
        )

    anchors = anchor_boxes(network.levels)
    devices = training_devices()
    if len(devices) > 1 or peers.count > 1:
        LOG.info("training on %d hosts, this one with %s", peers.count, ", ".join(map(str, devices)))
    if peers.count > 1 and given.get("kv_store") == "dist_async":
        LOG.warning("hyperparameter kv_store is dist_async: the hosts keep in step all the same, as with dist_sync")
    made_with = identity(settings, start.digest, data.digest, data.labels, data.validation_labels, anchors, peers.count)
    training = Training(
        network=network,
        settings=settings,
        graph=TrainingGraph(network, settings, start.weights, devices, peers),
        batches=Batches(
            samples=data.samples,
            anchors=anchors,
            side=settings.image_shape,
            mean=network.mean,
            deviation=network.deviation,
            size=settings.mini_batch_size,
            seed=settings.seed,
            share=data.share(settings.mini_batch_size, peers),
        ),
        validation=data.validation,
        threads=threads,
        stop=stop,
        save=partial(write_checkpoint, paths.checkpoints, made_with),
        peers=peers,
    )
    checkpoint = read_checkpoint(paths.checkpoints, made_with) if peers.place == 0 else None
    if checkpoint is not None:
        training.resume(checkpoint)
    training.begin_together()
    training.run()
    if peers.place == 0:
        _write_model(paths, training, given, start.origin, data)
    training.graph.close()  # waits for the first host's model


def _refuse_different_starts(origin: str, peers: Peers) -> None:
    """Raise InvalidInputError where not every host has the channels that weights come from."""
    origins = sorted(set(peers.gather(origin)))
    if len(origins) > 1:
        raise InvalidInputError(
            f"the hosts would start from different weights ({'; '.join(origins)}): the channels pretrained and model"
            " must have the S3DataDistributionType FullyReplicated"
        )


def _write_model(
    paths: ContainerPaths, training: Training, given: dict[str, str], origin: str, data: TrainingData
) -> None:
    network, settings = training.network, training.settings
    LOG.info("%s", training.kept)
    weights = as_ndarrays(training.best)
    export_model(paths.model, network, weights, settings, given, training.best_epoch, training.kept_map)
    facts = TrainingFacts(
        origin,
        data.labels,
        data.validation_labels,
        training.best_epoch,
        training.kept_map,
        training.progress.epochs,
    )
    write_model_card(paths.model, network, settings, facts)
