"""Keeping the lesion while the skin around it changes.

Where only the source domain has lesions, a discriminator sees a lesion in nothing but
fakes, so erasing it is the optimal translation (Cohen et al. 2018). Remedies with lesion
masks: the discriminators do not see the lesion (`hide_lesions`), the translation must keep its
structure and its contrast to the skin around it (`preservation_loss`), and a gate keeps local
changes away from it (`gate_loss`). Without masks: a frozen classifier must go on saying what it
said (`semantic_loss`). Absolute colours inside the mask are free: holding them would paste
the old lesion with a halo of the old skin.
"""

import torch
from torch.nn import functional

_EDGE = 0.008856
_WHITE = (0.95047, 1.0, 1.08883)
_FROM_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)


def rgb_to_lab(images: torch.Tensor) -> torch.Tensor:
    """CIELAB (D65) of sRGB images, differentiable.

    Args:
        images: N x 3 x H x W in [-1, 1].

    Returns:
        float N x 3 x H x W: L* in [0, 100], a* and b* about [-128, 127].
    """
    rgb = (images.float() * 0.5 + 0.5).clamp(0, 1)
    linear = torch.where(
        rgb > 0.04045, ((rgb.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4, rgb / 12.92
    )
    matrix = torch.tensor(_FROM_RGB, device=rgb.device)
    white = torch.tensor(_WHITE, device=rgb.device).view(1, 3, 1, 1)
    xyz = torch.einsum("ij,njhw->nihw", matrix, linear) / white
    # The clamp keeps the gradient of the unused branch finite.
    root = torch.where(xyz > _EDGE, xyz.clamp_min(_EDGE) ** (1 / 3), 7.787 * xyz + 16.0 / 116.0)
    x, y, z = root.unbind(dim=1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=1)


def dilate(masks: torch.Tensor, pixels: int) -> torch.Tensor:
    """Grows masks (float N x 1 x H x W in [0, 1]) by `pixels` on every side."""
    if pixels < 1:
        return masks
    # Rows, then columns: the maximum of a square at a fraction of its cost.
    side = 2 * pixels + 1
    tall = functional.max_pool2d(masks, (side, 1), stride=1, padding=(pixels, 0))
    return functional.max_pool2d(tall, (1, side), stride=1, padding=(0, pixels))


def soften(masks: torch.Tensor, pixels: int) -> torch.Tensor:
    """Means over squares that reach `pixels` on every side; the border's values go on outside."""
    side = 2 * pixels + 1
    padded = functional.pad(masks, (pixels,) * 4, mode="replicate")
    tall = functional.avg_pool2d(padded, (side, 1), stride=1)
    return functional.avg_pool2d(tall, (1, side), stride=1)


def _margin(masks: torch.Tensor) -> int:
    """Width of soft edges and rings: a twentieth of the image."""
    return max(1, round(min(masks.shape[-2:]) / 20))


def hide_lesions(images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Blends the masked regions into the mean colour of the rest of the same image.

    Args:
        images: N x 3 x H x W.
        masks: float N x 1 x H x W in [0, 1]; ones inside the lesion.

    Returns:
        Images without lesions; the gradient inside the (grown) mask is that of the filling.
    """
    margin = _margin(masks)
    grown = dilate(masks, margin)
    soft = torch.maximum(soften(grown, margin), masks)
    outside = 1 - grown
    weight = outside.sum(dim=(2, 3), keepdim=True)
    # A lesion that fills the image leaves no skin to take the colour from: use all of it.
    outside = torch.where(weight > 0, outside, torch.ones_like(outside))
    mean = (images * outside).sum(dim=(2, 3), keepdim=True) / outside.sum(dim=(2, 3), keepdim=True)
    return images * (1 - soft) + mean * soft


def _gradients(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return values[..., :, 1:] - values[..., :, :-1], values[..., 1:, :] - values[..., :-1, :]


def _masked_mean(values: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Mean over the masked pixels of each image and channel: N x C; zero without any."""
    return (values * masks).sum(dim=(2, 3)) / masks.sum(dim=(2, 3)).clamp_min(1.0)


def ring_of(masks: torch.Tensor) -> torch.Tensor:
    """The skin just outside the lesion: float N x 1 x H x W in [0, 1]."""
    margin = _margin(masks)
    return dilate(masks, 3 * margin) - dilate(masks, margin)


def lesion_contrast(lab: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Mean Lab of the lesion minus that of the skin around it: N x 3, zero without either."""
    ring = ring_of(masks)
    there = ((masks.sum(dim=(2, 3)) > 0) & (ring.sum(dim=(2, 3)) > 0)).float()
    return there * (_masked_mean(lab, masks) - _masked_mean(lab, ring))


def preservation_loss(
    images: torch.Tensor, translated: torch.Tensor, masks: torch.Tensor
) -> torch.Tensor:
    """Change of the lesion's structure and of its contrast to the skin around it.

    Args:
        images: N x 3 x H x W in [-1, 1].
        translated: the same after translation.
        masks: float N x 1 x H x W in [0, 1].

    Returns:
        A scalar: mean absolute change of Lab gradients inside the mask plus that of the
        lesion-minus-ring contrast, both in units of 20 Lab steps (so that 1 is much).
    """
    before, after = rgb_to_lab(images) / 20, rgb_to_lab(translated) / 20
    structure = torch.zeros((), device=images.device)
    pairs = zip(_gradients(before), _gradients(after), strict=True)
    inner = (masks[..., :, 1:] * masks[..., :, :-1], masks[..., 1:, :] * masks[..., :-1, :])
    for (old, new), inside in zip(pairs, inner, strict=True):
        structure = structure + _masked_mean((new - old).abs(), inside).mean()
    change = lesion_contrast(after, masks) - lesion_contrast(before, masks)
    return structure + change.abs().mean()


def gate_loss(gate: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of a gate with where there is no lesion.

    Args:
        gate: N x 1 x H x W, logits: large where a change may apply.
        masks: float N x 1 x H x W in [0, 1]; ones inside the lesion.

    Returns:
        A scalar.
    """
    spared = dilate(masks, max(1, _margin(masks) // 2))
    return functional.binary_cross_entropy_with_logits(gate.float(), 1 - spared)


def semantic_loss(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Disagreement of a frozen classifier with itself (Hoffman et al. 2018, equation 5, softened).

    Args:
        before: logits of the images, N x C; no gradient flows into them.
        after: logits of their translations, N x C.

    Returns:
        A scalar: the Kullback-Leibler divergence from what it said before; 0 for no change.
    """
    said = before.detach().float().log_softmax(dim=1)
    now = after.float().log_softmax(dim=1)
    return functional.kl_div(now, said, reduction="batchmean", log_target=True)
