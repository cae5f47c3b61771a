"""FID: the Frechet distance on the pooled features of the Inception-v3 of Heusel et al. (2017).

The formula and the pure function are in `frechet`; the features, torch-fidelity's port of the
TensorFlow graph, are in `score.extractors`. On any other features the distance is not called FID.

Example:
    >>> METRIC.elsewhere
    'frechet'
"""

from hzsynth.score.metrics.frechet import Frechet


class Fid(Frechet):
    """The Frechet distance where it may be called FID."""

    name = "fid"
    elsewhere = "frechet"


METRIC = Fid()
