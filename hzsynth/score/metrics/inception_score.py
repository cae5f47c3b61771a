"""The Inception score: sure and varied answers of an ImageNet classifier.

    exp(E_x KL(p(y | x) || p(y)))

of Inception's class probabilities (Salimans et al. 2016, arXiv:1606.03498), as torch-fidelity
computes it from logits without bias. It never looks at the photographs, and none of the classes is
a skin disease: it is here because reviewers ask for it.
"""

import torch
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

from hzsynth.score.metric import Compared, Conditions, Metric
from hzsynth.score.one_set import figure_of_one_set
from hzsynth.score.results import Score

_SPLITS = 10
_SMALLEST_SPLIT = 100
_NOTE = (
    "It never looks at the photographs: it rewards images that Inception takes for clearly different "
    "ImageNet classes, none of which is a skin disease, and sees neither copies nor wrong lesions; "
    "it grows with the number of images"
)


def inception_score(class_scores: torch.Tensor, *, splits: int) -> float:
    """The Inception score, by torch-fidelity.

    Args:
        class_scores: float N x C, unbounded scores of C classes.
        splits: parts whose scores are averaged, at most N.

    Returns:
        From 1 (every image is taken for the same classes) to C.

    Examples:
        >>> import torch
        >>> sure = 100 * torch.eye(4)  # each image is surely of a class of its own
        >>> round(inception_score(sure, splits=1), 6)
        4.0
    """
    result = isc_features_to_metric(class_scores, splits=splits, shuffle=False)
    return float(result[KEY_METRIC_ISC_MEAN])


class InceptionScore(Metric):
    """Of equally many generated images and photographs, over ten splits where each holds a hundred."""

    name = "inception-score"
    needs = "class scores"
    elsewhere = "vendi"

    def figures(self, sets: Compared, conditions: Conditions) -> tuple[Score]:
        """One figure (see `Metric`)."""
        smaller = min(conditions.n_real, conditions.n_fake)
        splits = _SPLITS if smaller >= _SPLITS * _SMALLEST_SPLIT else 1
        return (
            figure_of_one_set(
                self.name,
                lambda scores: inception_score(scores, splits=splits),
                sets,
                "class scores",
                conditions,
                note=lambda value: _NOTE,
                beside_conditions=True,
            ),
        )


METRIC = InceptionScore()
