"""Where a classifier looked: Grad-CAM and Score-CAM from the network, occlusion from anything that answers.

Grad-CAM after Selvaraju et al. (ICCV 2017) and Score-CAM after Wang et al. (CVPRW 2020, by the grad-cam
package), on the last feature maps; occlusion after Zeiler and Fergus (ECCV 2014). All say what moved
this answer, not where the disease is.
"""

import contextlib
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from hzsynth.core.errors import InputError

if TYPE_CHECKING:
    import torch

    from hzsynth.classify.models import Classifier

Heat = NDArray[np.float64]
Pixels = NDArray[np.uint8]
HeatMethod = Literal["grad-cam", "score-cam", "occlusion"]
HeatMap = Callable[["Classifier", Pixels, int], Heat]
"""(classifier, uint8 3 x S x S, number of a class) -> S x S in [0, 1]."""

_PATCHES = 6
_STEPS_A_PATCH = 2
_SMALLEST_EFFECT = 1e-4
_COLOURS = "inferno"
_STRONGEST = 0.72


def grad_cam(classifier: "Classifier", pixels: Pixels, place: int) -> Heat:
    """Relu of the feature maps, weighted by the mean gradient of a class's logit.

    Args:
        classifier: its network has feature maps N x K x h x w (a convolutional one).
        pixels: uint8 3 x S x S.
        place: number of the class.

    Returns:
        S x S in [0, 1], the largest value 1; all 0 where nothing speaks for the class.

    Raises:
        InputError: the network has no feature maps.
    """
    import torch

    network, maps = classifier.network, _last_maps(classifier, pixels).requires_grad_(True)
    with torch.enable_grad():
        logit = network.forward_head(maps)[0, place]  # type: ignore[operator]
        (gradient,) = torch.autograd.grad(logit, maps)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    heat = (weights * maps).sum(dim=1)[0].relu().detach().numpy().astype(np.float64)
    return _scaled(heat, pixels.shape[1])


def score_cam(classifier: "Classifier", pixels: Pixels, place: int) -> Heat:
    """The feature maps, weighted by the class's answer to the picture that each lets through.

    The network is asked once for every feature map. Arguments, result and errors are those of
    `grad_cam`.

    Raises:
        InputError: the grad-cam package is not installed, or the network has no feature maps.
    """
    import torch
    from torch import nn

    try:
        from pytorch_grad_cam import ScoreCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError:
        raise InputError(
            "the grad-cam package is not installed, and Score-CAM needs it: "
            "pip install 'hzsynth[cam]'"
        ) from None
    from hzsynth.classify.models import normalise

    class WithMaps(nn.Module):
        """The network, whose last feature maps pass through a module of their own."""

        def __init__(self) -> None:
            super().__init__()
            self.network, self.maps = classifier.network, nn.Identity()

        def forward(self, unit: torch.Tensor) -> torch.Tensor:
            inputs = normalise(unit, classifier.mean, classifier.std)
            maps = self.maps(self.network.forward_features(inputs))  # type: ignore[operator]
            logits: torch.Tensor = self.network.forward_head(maps)  # type: ignore[operator]
            return logits

    _last_maps(classifier, pixels)
    model = WithMaps().eval()
    unit = torch.from_numpy(pixels[None]).float() / 255.0
    # The package prints a bar of its own for every photograph.
    with ScoreCAM(model, [model.maps]) as cam, contextlib.redirect_stderr(io.StringIO()):
        heat = cam(unit, [ClassifierOutputTarget(place)])[0].astype(np.float64)
    # It stretches an empty map's rounding errors to 1, too.
    return _scaled(heat if heat.max() > 0.5 else np.zeros_like(heat), pixels.shape[1])


def _last_maps(classifier: "Classifier", pixels: Pixels) -> "torch.Tensor":
    """The last feature maps, 1 x K x h x w, without gradient; the network is on the CPU then.

    Raises:
        InputError: the network has none.
    """
    import torch

    from hzsynth.classify.models import normalise

    network = classifier.network.cpu().eval()
    unit = torch.from_numpy(pixels[None]).float() / 255.0
    with torch.no_grad():
        maps: torch.Tensor = network.forward_features(  # type: ignore[operator]
            normalise(unit, classifier.mean, classifier.std)
        )
    if maps.ndim != 4:
        raise InputError(f"model '{classifier.model}' has no feature maps: use occlusion")
    return maps.detach()


def occlusion(ask: Callable[[Pixels], NDArray[np.float32]], pixels: Pixels, place: int) -> Heat:
    """How much a class's probability falls when a square of the photograph is covered.

    Args:
        ask: uint8 N x 3 x S x S -> N x C probabilities.
        pixels: uint8 3 x S x S.
        place: number of the class.

    Returns:
        S x S in [0, 1], the largest value 1; all 0 where covering takes nothing away.
    """
    side = pixels.shape[1]
    patch = max(2, side // _PATCHES)
    step = max(1, patch // _STEPS_A_PATCH)
    corners = sorted({*range(0, side - patch, step), side - patch})
    # Covered in the photograph's own mean colour: grey or black would be a sight of its own.
    colour = pixels.reshape(3, -1).mean(axis=1).round().astype(np.uint8)[:, None, None]
    places = [(y, x) for y in corners for x in corners]
    covered = np.repeat(pixels[None], len(places), axis=0)
    for number, (y, x) in enumerate(places):
        covered[number, :, y : y + patch, x : x + patch] = colour
    drops = ask(pixels[None])[0, place] - ask(covered)[:, place]
    total, count = np.zeros((side, side)), np.zeros((side, side))
    for (y, x), drop in zip(places, drops, strict=True):
        total[y : y + patch, x : x + patch] += max(float(drop), 0.0)
        count[y : y + patch, x : x + patch] += 1
    # Without smoothing the squares' own edges would be seen for structures of the skin.
    heat = cv2.GaussianBlur(total / count, (0, 0), patch / 4)
    return _scaled(np.asarray(heat) if heat.max() > _SMALLEST_EFFECT else np.zeros_like(heat), side)


def _scaled(heat: Heat, side: int) -> Heat:
    peak = float(heat.max())
    if peak <= 0:
        return np.zeros((side, side))
    resized = cv2.resize(heat / peak, (side, side), interpolation=cv2.INTER_CUBIC)
    scaled: Heat = np.clip(np.asarray(resized, np.float64), 0, 1)
    return scaled


def lay_over(pixels: Pixels, heat: Heat) -> Pixels:
    """The heat map over the grey photograph; the hotter, the less of the photograph is seen.

    Args:
        pixels: H x H x 3 uint8.
        heat: S x S in [0, 1].

    Returns:
        H x H x 3 uint8.
    """
    side = pixels.shape[0]
    large = np.clip(cv2.resize(heat, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)
    grey = (pixels.astype(np.float64) @ (0.2126, 0.7152, 0.0722))[..., None]
    colours = colormaps[_COLOURS](large)[..., :3] * 255
    strength = _STRONGEST * large[..., None]
    return np.asarray((grey * (1 - strength) + colours * strength).round(), np.uint8)
