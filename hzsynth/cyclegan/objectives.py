"""What the generators of a translation learn: the published cycle, or PatchNCE with one direction.

Either is the adversarial loss, what holds a translation to its image, and the losses that keep lesions
and the tone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from hzsynth.core.devices import Compute
from hzsynth.cyclegan.colour_start import tone_loss
from hzsynth.cyclegan.config import Aim, CycleGanConfig
from hzsynth.cyclegan.contrastive import draw_places, patch_loss
from hzsynth.cyclegan.domains import Batch
from hzsynth.cyclegan.hiding import with_jpeg, with_noise
from hzsynth.cyclegan.losses import adversarial_loss, cycle_loss, identity_loss
from hzsynth.cyclegan.networks import ResnetGenerator
from hzsynth.cyclegan.preservation import gate_loss, preservation_loss, semantic_loss

Classify = Callable[[torch.Tensor], torch.Tensor]
"""A frozen classifier: images N x 3 x H x W in [-1, 1] -> logits N x C, differentiable."""

Losses = dict[str, torch.Tensor]
FORWARD, BACKWARD = "forward", "backward"
TARGET, SOURCE = "target", "source"


@dataclass(frozen=True)
class Step:
    """What one step learns from.

    Attributes:
        source: images with lesions.
        target: images of the target skin.
        hidden: masks of what the discriminators do not see, or None.
        draws: of the step.
    """

    source: Batch
    target: Batch
    hidden: torch.Tensor | None
    draws: torch.Generator


@dataclass(frozen=True)
class Outcome:
    """What an objective made of a step.

    Attributes:
        total: what the generators descend, a scalar.
        losses: scalars by name.
        fakes: translations by the domain whose discriminator they are for.
    """

    total: torch.Tensor
    losses: Losses
    fakes: dict[str, torch.Tensor]


Judge = Callable[[str, torch.Tensor, Step], torch.Tensor]
"""A domain's name and images -> its discriminator's realness of what it sees of them."""


class Objective:
    """The base: what keeps lesions and the tone.

    Args:
        config: settings.
        compute: device and precision.
        networks: by name, with the generators of `directions`.
        judge: asks a discriminator.
        classify: a frozen classifier; needed by ``preserve = "semantic"`` only.

    Attributes:
        directions: names of the generators.
        domains: names of the discriminators.
        heads: name of what further network learns with the generators, or empty.
    """

    directions: tuple[str, ...] = (FORWARD,)
    domains: tuple[str, ...] = (TARGET,)
    heads = ""

    def __init__(
        self,
        config: CycleGanConfig,
        compute: Compute,
        networks: dict[str, nn.Module],
        judge: Judge,
        classify: Classify | None,
    ) -> None:
        self._config, self._compute, self._networks = config, compute, networks
        self._judge, self._classify = judge, classify

    def __call__(self, step: Step) -> Outcome:
        """The losses of a step."""
        raise NotImplementedError

    def _generator(self, name: str) -> ResnetGenerator:
        return cast(ResnetGenerator, self._networks[name])

    def _exposed(self, images: torch.Tensor, step: Step) -> torch.Tensor:
        """A translation as the way back sees it: details in which a lesion may hide are disturbed."""
        if self._config.against_hiding == "noise":
            return with_noise(images, step.draws)
        if self._config.against_hiding == "jpeg":
            return with_jpeg(images, step.draws)
        return images

    def _kept(
        self,
        step: Step,
        translated: torch.Tensor,
        gate: torch.Tensor | None,
        other_gate: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, Losses]:
        """The losses that keep lesions and the tone, weighted and by name."""
        config, images, masks = self._config, step.source.images, step.source.masks
        total, values = torch.zeros((), device=self._compute.device), {}
        if step.source.shifts is not None and config.tone_weight > 0:
            values["tone"] = tone_loss(images, translated, masks, step.source.shifts)
            total = total + config.tone_weight * values["tone"]
        if config.keeps("contrast"):
            values["preservation"] = preservation_loss(images, translated, masks)
            total = total + config.preserve_weight * values["preservation"]
        if gate is not None:
            values["gate"] = gate_loss(gate, torch.cat([masks, step.target.masks]))
            if other_gate is not None:
                other_masks = torch.cat([step.target.masks, masks])
                values["gate"] = values["gate"] + gate_loss(other_gate, other_masks)
            total = total + config.gate_weight * values["gate"]
        if config.keeps("semantic"):
            values["semantic"] = self._semantic(images, translated)
            total = total + config.semantic_weight * values["semantic"]
        return total, values

    def _semantic(self, images: torch.Tensor, translated: torch.Tensor) -> torch.Tensor:
        assert self._classify is not None  # `train_cyclegan` has refused to go without
        with torch.no_grad():
            before = self._classify(images)
        return semantic_loss(before, self._classify(translated.float()))


class CycleConsistency(Objective):
    """The published losses (Zhu et al. 2017), both ways."""

    directions = (FORWARD, BACKWARD)
    domains = (TARGET, SOURCE)

    def __call__(self, step: Step) -> Outcome:
        """The losses of a step."""
        config, source, target = self._config, step.source.images, step.target.images
        count = len(source)
        there, back = self._generator(FORWARD), self._generator(BACKWARD)
        with self._compute.autocast():
            # One pass for the translation and the identity: instance norm keeps images apart.
            forward, gate = there.with_gate(torch.cat([source, target]))
            backward, other_gate = back.with_gate(torch.cat([target, source]))
            to_target, same_target = forward[:count], forward[count:]
            to_source, same_source = backward[:count], backward[count:]
            judged = self._judge(TARGET, to_target, step), self._judge(SOURCE, to_source, step)
            returned = back(self._exposed(to_target, step)), there(self._exposed(to_source, step))
        values = {
            "adversarial": torch.stack([adversarial_loss(j) for j in judged]).sum(),
            "cycle": cycle_loss(source, returned[0]) + cycle_loss(target, returned[1]),
            "identity": identity_loss(target, same_target) + identity_loss(source, same_source),
        }
        total = values["adversarial"] + config.cycle_weight * values["cycle"]
        total = total + config.identity_weight * values["identity"]
        kept, more = self._kept(step, to_target, gate, other_gate)
        kept = self._kept_on_the_way_back(step, to_source, kept, more)
        return Outcome(total + kept, values | more, {TARGET: to_target, SOURCE: to_source})

    def _kept_on_the_way_back(
        self, step: Step, to_source: torch.Tensor, kept: torch.Tensor, values: Losses
    ) -> torch.Tensor:
        """Adds what holds the other direction to `values` by name; returns all of it, weighted."""
        config, healthy = self._config, step.target
        if config.keeps("semantic"):
            # Healthy skin must stay healthy on its way to the source domain.
            semantic = self._semantic(healthy.images, to_source)
            values["semantic"] = values["semantic"] + semantic
            kept = kept + config.semantic_weight * semantic
        if healthy.shifts is not None and config.tone_weight > 0:
            tone = tone_loss(healthy.images, to_source, healthy.masks, healthy.shifts)
            values["tone"] = values["tone"] + tone
            kept = kept + config.tone_weight * tone
        return kept


class PatchContrast(Objective):
    """The losses of CUT (Park et al. 2020): adversarial, PatchNCE, and that of the identity."""

    heads = "heads"

    def __call__(self, step: Step) -> Outcome:
        """The losses of a step."""
        config, count = self._config, len(step.source.images)
        there, heads = self._generator(FORWARD), self._networks[self.heads]
        inputs = torch.cat([step.source.images, step.target.images])
        with self._compute.autocast():
            outputs, gate = there.with_gate(inputs)
            translated, same = outputs[:count], outputs[count:]
            judged = self._judge(TARGET, translated, step)
            with torch.no_grad():
                before = there.features(inputs)
            places = draw_places(before, config.nce_locations, step.draws)
            after = there.features(self._exposed(outputs, step))
            keys, queries = heads(before, places), heads(after, places)
        contrast = torch.stack(
            [patch_loss(query, key) for query, key in zip(queries, keys, strict=True)]
        ).mean()
        values = {
            "adversarial": adversarial_loss(judged),
            "nce": contrast,
            "identity": identity_loss(step.target.images, same).detach(),
        }
        total = values["adversarial"] + config.nce_weight * contrast
        kept, more = self._kept(step, translated, gate)
        return Outcome(total + kept, values | more, {TARGET: translated})


OBJECTIVES: dict[Aim, type[Objective]] = {"cyclegan": CycleConsistency, "cut": PatchContrast}
"""Every objective that is trained, by the name that the configuration gives it."""
