"""FID at infinitely many images: `frechet_infinity` where the distance may be called FID.

The formula, the paper and the pure function are in `frechet_infinity`.

Example:
    >>> METRIC.elsewhere
    'frechet-infinity'
"""

from hzsynth.score.metrics.frechet_infinity import FrechetInfinity


class FidInfinity(FrechetInfinity):
    """The extrapolated Frechet distance on the published features."""

    name = "fid-infinity"
    elsewhere = "frechet-infinity"


METRIC = FidInfinity()
