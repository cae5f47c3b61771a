"""Asks a classifier about the photographs of a set."""

import numpy as np

from hzsynth.classify.models import Classifier
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.image_set import ImageSet
from hzsynth.data.loading import load_pixels
from hzsynth.statistics.answers import Answers

_AT_ONCE = 256


def answers_of(
    classifier: Classifier, photographs: ImageSet, compute: Compute = CPU_FP32
) -> Answers:
    """What a classifier says of every photograph, beside the truth.

    Args:
        classifier: a trained classifier.
        photographs: N of classes that it knows; a few hundred are decoded at once.
        compute: device and precision.

    Returns:
        The answers, in the order of the photographs.

    Raises:
        InputError: a file cannot be read.
    """
    labels, records = classifier.labels, photographs.records
    parts = [np.empty((0, len(labels)), np.float32)]
    for start in range(0, len(records), _AT_ONCE):
        chunk = photographs.replace_records(records[start : start + _AT_ONCE])
        parts.append(classifier.probabilities(load_pixels(chunk, classifier.size), compute))
    return Answers(
        images=tuple(record.sha256 for record in records),
        patients=tuple(record.patient for record in records),
        truth=np.array([labels.index(record.label) for record in records], np.int64),
        probabilities=np.concatenate(parts).astype(np.float64),
        labels=labels,
        label=classifier.label,
    )
