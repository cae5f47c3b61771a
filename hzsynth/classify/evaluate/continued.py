"""What going on with a new set did: a classifier measured on the sets whose classes it knows."""

from typing import Any

from hzsynth.classify.answers import answers_of
from hzsynth.classify.models import Classifier
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.image_set import ImageSet
from hzsynth.statistics.metric_intervals import metrics_with_intervals


def measure_known(
    classifier: Classifier, images: ImageSet, compute: Compute = CPU_FP32, seed: int = 0
) -> dict[str, dict[str, Any]] | None:
    """The figures on a set's real test photographs (a `train.continual.Measure`).

    Args:
        classifier: whose classes count.
        images: a set with splits.
        compute: device and precision.
        seed: of the bootstrap.

    Returns:
        Metric -> value with interval; None where the classifier does not know all classes of the
        test photographs, or where they lack the target class or are all of it.
    """
    test = images.replace_records(r for r in images.select("test") if r.is_real)
    known = set(test.labels) <= set(classifier.labels)
    if not known or len(test.labels) < 2 or classifier.label not in test.labels:
        return None
    metrics = metrics_with_intervals(answers_of(classifier, test, compute), seed=seed)
    return {name: vars(value) for name, value in metrics.items()}
