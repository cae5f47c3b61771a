"""A classifier's classes grow: its head gets a row for each new one, and sets are numbered anew."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from hzsynth.classify.models import Classifier, create_network, head_of
from hzsynth.classify.train.loading import LabelledImages, TrainingData


def relabelled(data: TrainingData, labels: Sequence[str]) -> TrainingData:
    """The same images with the places of their classes among more classes."""
    places = torch.tensor([labels.index(label) for label in data.labels])

    def moved(images: LabelledImages) -> LabelledImages:
        soft = None
        if images.soft is not None:
            soft = torch.zeros(len(images), len(labels))
            soft[:, places] = images.soft
        return replace(images, targets=places[images.targets], soft=soft)

    return replace(
        data,
        labels=tuple(labels),
        target=labels.index(data.labels[data.target]),
        train=moved(data.train),
        validation=moved(data.validation),
    )


def joined(parts: Mapping[str, TrainingData]) -> TrainingData:
    """The new set with the validation photographs and the records of both.

    Args:
        parts: the new set as ``new``, and the old one if there is any; of the same classes.
    """
    validation = LabelledImages(
        torch.cat([part.validation.pixels for part in parts.values()]),
        torch.cat([part.validation.targets for part in parts.values()]),
    )
    records = tuple(record for part in parts.values() for record in part.records)
    sources = tuple(images for part in parts.values() for images in part.sources)
    return replace(parts["new"], validation=validation, records=records, sources=sources)


def grown(classifier: Classifier, labels: Sequence[str]) -> nn.Module:
    """The network with a row of the head for every class; new ones start from zero."""
    network = create_network(
        classifier.model, classes=len(labels), pretrained="none", seed=0, purpose="continued"
    )
    state = classifier.network.state_dict()
    own = {id(p) for p in head_of(classifier.network).parameters()}
    names = {n for n, p in classifier.network.named_parameters() if id(p) in own}
    network.load_state_dict({k: v for k, v in state.items() if k not in names}, strict=False)
    rows = torch.tensor([labels.index(label) for label in classifier.labels])
    before, now = head_of(classifier.network), head_of(network)
    with torch.no_grad():
        now.weight[rows] = before.weight
        now.bias[rows] = before.bias
    return network
