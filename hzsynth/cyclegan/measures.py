"""Whether a lesion is still there after its skin was changed, and how near the skin is to the target.

All functions take pictures as they are: uint8 pixels, boolean masks. Lesions are compared by structure
(SSIM of the normalised lightness, Wang et al. 2004), by the features of a backbone (as LPIPS, Zhang
et al. 2018, without its calibration), by their contrast to the skin around them and by the area that
the redness prior finds; skin by its colour in a ring around the lesion.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image
from scipy.stats import wasserstein_distance
from skimage.color import rgb2lab
from skimage.metrics import structural_similarity
from torch.nn import functional

from hzsynth.cyclegan.target import Floats, Mask, Picture, Pixels, healthy_skin
from hzsynth.data.lesion import lesion_mask
from hzsynth.data.skin import skin_mask
from hzsynth.nets.backbones import lite_features

# Shares of the longer side: the gap between lesion and ring, and the ring's outer edge.
_GAP, _RING = 0.04, 0.16
_FEWEST = 16
_WINDOW = 7
# Six deviations of the lightness are laid over [0, 1], the mean in the middle: about a mean of zero
# SSIM's comparison of brightness would react to the least change.
_RANGE = 6.0
_LEAST_DEVIATION = 1.0
_CROP_SIDE = 96


def grown(mask: Mask, pixels: int) -> Mask:
    """Grows a mask by a disc of `pixels`."""
    size = 2 * max(1, pixels) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc) > 0)


def skin_ring(picture: Picture) -> Mask:
    """The skin around the lesion, with a gap; all healthy skin where there is no such ring."""
    longer = max(picture.lesion.shape)
    if picture.lesion.any():
        inner, outer = (grown(picture.lesion, round(s * longer)) for s in (_GAP, _RING))
        ring = outer & ~inner & skin_mask(picture.pixels)
        if ring.sum() >= _FEWEST:
            return np.asarray(ring)
    return healthy_skin(picture.pixels, picture.lesion)


@dataclass(frozen=True)
class SkinColour:
    """The typical colour of a picture's skin.

    Attributes:
        angle: individual typology angle, degrees.
        red: median a*.
        yellow: median b*.
    """

    angle: float
    red: float
    yellow: float


def skin_colour(picture: Picture) -> SkinColour:
    """Medians over the ring around the lesion (see `skin_ring`)."""
    lab = rgb2lab(picture.pixels)[skin_ring(picture)]
    lightness, red, yellow = np.median(lab, axis=0)
    angle = float(np.degrees(np.arctan2(lightness - 50, yellow)))
    return SkinColour(angle, float(red), float(yellow))


def colour_distances(
    found: Sequence[SkinColour], wanted: Sequence[SkinColour]
) -> tuple[float, float, float]:
    """First Wasserstein distances of the angle (degrees), a* and b* between two sets."""
    columns = [
        [[getattr(colour, name) for colour in side] for side in (found, wanted)]
        for name in ("angle", "red", "yellow")
    ]
    distances = [float(wasserstein_distance(*pair)) for pair in columns]
    return distances[0], distances[1], distances[2]


def _normalised_lightness(pixels: Pixels, region: Mask) -> Floats:
    lightness = rgb2lab(pixels)[..., 0]
    deviation = max(float(lightness[region].std()), _LEAST_DEVIATION)
    return np.asarray((lightness - lightness[region].mean()) / (_RANGE * deviation) + 0.5)


def lesion_similarity(before: Pixels, after: Pixels, lesion: Mask) -> float:
    """SSIM of the lightness inside the lesion, each side normalised by its own mean and deviation.

    Args:
        before: H x W x 3, at least 7 pixels each way.
        after: the same shape.
        lesion: H x W, some of it True.

    Returns:
        At most 1; 1 for an equal structure, whatever the tone.
    """
    first, second = (_normalised_lightness(pixels, lesion) for pixels in (before, after))
    _, values = structural_similarity(first, second, win_size=_WINDOW, data_range=1.0, full=True)
    return float(values[lesion].mean())


def _crop(pixels: Pixels, box: tuple[int, int, int, int]) -> torch.Tensor:
    picture = Image.fromarray(pixels).crop(box)
    resized = np.asarray(picture.resize((_CROP_SIDE, _CROP_SIDE), Image.Resampling.BICUBIC))
    return torch.from_numpy(resized.transpose(2, 0, 1).copy())


def lesion_box(lesion: Mask, margin: float = 0.15) -> tuple[int, int, int, int]:
    """A square around the lesion: left, upper, right and lower edge, within the picture.

    Args:
        lesion: H x W, some of it True.
        margin: added on every side, as a share of the lesion's longer side.

    Returns:
        The box; its side is a third of the picture at least, and it is no square where the
        picture is too short.
    """
    rows, columns = (np.flatnonzero(lesion.any(axis=axis)) for axis in (1, 0))
    height, width = lesion.shape
    longer = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = max(round(longer * (1 + 2 * margin)), min(height, width) // 3)
    edges = []
    for places, length in ((columns, width), (rows, height)):
        start = round((places[0] + places[-1] + 1 - side) / 2)
        start = max(0, min(start, length - side))
        edges.append((start, min(length, start + side)))
    return edges[0][0], edges[1][0], edges[0][1], edges[1][1]


@torch.no_grad()
def feature_distance(before: Pixels, after: Pixels, lesion: Mask) -> float:
    """How far the lesion's features move: as LPIPS, on EfficientNet-Lite0 and uncalibrated.

    Args:
        before: H x W x 3.
        after: the same shape.
        lesion: H x W, some of it True.

    Returns:
        From 0 (equal) to 4: squared distance of the unit feature vectors inside the lesion, averaged
        over its area and over strides 4, 8, 16 and 32 of a crop around it at 96 px.
    """
    box = lesion_box(lesion)
    crops = torch.stack([_crop(pixels, box) for pixels in (before, after)]).float() / 127.5 - 1
    inside = torch.from_numpy(
        np.ascontiguousarray(lesion[box[1] : box[3], box[0] : box[2]])
    ).float()[None, None]
    distances = []
    for features in lite_features()(crops):
        unit = functional.normalize(features, dim=1)
        difference = (unit[0] - unit[1]).square().sum(dim=0)
        weight = functional.interpolate(inside, difference.shape, mode="area")[0, 0]
        distances.append((difference * weight).sum() / weight.sum().clamp_min(1e-6))
    return float(torch.stack(distances).mean())


def red_contrast(picture: Picture) -> float:
    """Median a* of the lesion minus that of the skin around it."""
    red = rgb2lab(picture.pixels)[..., 1]
    return float(np.median(red[picture.lesion]) - np.median(red[skin_ring(picture)]))


def found_area(picture: Picture) -> int:
    """Pixels that the redness prior marks within the lesion and its near surroundings."""
    near = grown(picture.lesion, round(_GAP * max(picture.lesion.shape)))
    return int((lesion_mask(picture.pixels) & near).sum())


def explained_by_colours(before: Pixels, after: Pixels) -> float | None:
    """How much of a change is one of colours alone, the same wherever a colour stands.

    Args:
        before: H x W x 3.
        after: the same shape.

    Returns:
        The share of the squared change of all pixels that the best affine map of R, G and B explains, from
        0 to 1; None without a change.
    """
    colours = before.reshape(-1, 3).astype(np.float64)
    change = after.reshape(-1, 3) - colours
    total = float((change**2).sum())
    if total == 0:
        return None
    terms = np.column_stack([colours, np.ones(len(colours))])
    weights, *_ = np.linalg.lstsq(terms, change, rcond=None)
    return 1 - float(((change - terms @ weights) ** 2).sum()) / total
