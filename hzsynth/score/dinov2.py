"""DINOv2 features (Oquab et al. 2023), from a weights file that the user brings.

Stein et al. (2023) found that people's judgement agrees better with distances on these
features than on Inception's. timm builds the vision transformer and resizes its position
embedding from the 518 px of its training to 224 px.
"""

from pathlib import Path

import torch
from torch import nn

from hzsynth.core.errors import InputError
from hzsynth.core.weights import load_state_dict
from hzsynth.nets.backbones import resized_to_224

_SIZES = {384: "small", 768: "base"}
_PATCH = "patch_embed.proj.weight"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DinoEmbedding(nn.Module):
    """Frozen class-token features: uint8 N x 3 x H x W -> float32 N x D.

    Args:
        weights: a safetensors file or a file of tensors, named as timm or as the DINOv2
            release names them; small (D = 384) or base (D = 768), told by the tensors' shapes.

    Attributes:
        size: ``small`` or ``base``.
        dim: D.
        preprocessing: identifies how images are brought to the network's input.

    Raises:
        InputError: the file is missing, unreadable, or holds another network.
    """

    preprocessing = "bicubic-antialias-224, ImageNet mean and std"

    def __init__(self, weights: Path) -> None:
        # Here, after `nets` has made torchvision importable (see its `__init__`).
        import timm
        from timm.models.vision_transformer import checkpoint_filter_fn

        super().__init__()
        state = load_state_dict(weights)
        patches = state.get(_PATCH)
        shape = () if patches is None else tuple(patches.shape)
        if len(shape) != 4 or shape[0] not in _SIZES or shape[2:] != (14, 14):
            raise InputError(
                f"'{weights}' holds no DINOv2 small or base network: '{_PATCH}' should have the shape "
                f"384 or 768 x 3 x 14 x 14, and is {'missing' if patches is None else shape}"
            )
        self.size = _SIZES[shape[0]]
        self.body: nn.Module = timm.create_model(
            f"vit_{self.size}_patch14_dinov2", pretrained=False, num_classes=0, img_size=224
        )
        try:
            named = checkpoint_filter_fn(state, self.body)  # type: ignore[arg-type]
            self.body.load_state_dict(named)
        except (RuntimeError, KeyError, ValueError) as error:
            raise InputError(
                f"'{weights}' does not fit DINOv2 {self.size} (variants with register tokens or "
                "a head are other networks)"
            ) from error
        self.dim = int(self.body.num_features)  # type: ignore[arg-type]
        self.mean: torch.Tensor
        self.std: torch.Tensor
        for name, values in (("mean", _MEAN), ("std", _STD)):
            scaled = 255 * torch.tensor(values).view(1, 3, 1, 1)
            self.register_buffer(name, scaled, persistent=False)
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeds uint8 images of any size."""
        embedded: torch.Tensor = self.body((resized_to_224(images) - self.mean) / self.std)
        return embedded.float()
