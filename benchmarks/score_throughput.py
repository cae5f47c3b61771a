"""Scoring a folder of generated images: KID and Frechet distance, against torch-fidelity called directly.

Both sides read the same JPEG and PNG files of 224 px (crops of phantom photographs with noise, all
distinct), use the same EfficientNet-Lite0 weights in float32 and the same KID subsets. Both keep what
they computed: cold, nothing is known yet; warm, each has its own cache of the same images. hzsynth also
computes the real-vs-real floors and the chances, for which the other side has nothing.
"""

import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Pair, parse_fast, report, seconds
from PIL import Image

from hzsynth.core.devices import CPU_FP32
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT
from hzsynth.core.seeding import derive_seed
from hzsynth.data.config import LABELS
from hzsynth.data.loading import open_images
from hzsynth.data.sources.phantom import render_phantom
from hzsynth.nets.backbones import create_backbone
from hzsynth.score.config import ScoreConfig
from hzsynth.score.extractors import create_extractor
from hzsynth.score.features import extract_features
from hzsynth.score.metrics.kid import default_subset_size
from hzsynth.score.scoring import score_images

_SIDE = 224
_RENDERED = 48
_CONFIG = ScoreConfig(metrics=("kid", "frechet"))
_REGISTERED = "efficientnet-lite0-plain"


def register_plain_network() -> None:
    """The same weights as a torch-fidelity user would register them."""
    # Here, since torchvision is importable only after hzsynth.core.
    from torch_fidelity.feature_extractor_base import FeatureExtractorBase
    from torch_fidelity.registry import register_feature_extractor

    class PlainLite(FeatureExtractorBase):
        def __init__(self, name: str, features_list: list[str], **_: object) -> None:
            super().__init__(name, features_list)
            self.network = create_backbone(
                "efficientnet-lite0", num_classes=1000, pretrained="imagenet"
            )
            self.network.reset_classifier(0)  # type: ignore[operator]

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
            return (self.network(images.float() / 127.5 - 1),)

        @staticmethod
        def get_provided_features_list() -> tuple[str]:
            return ("1280",)

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "1280"

    register_feature_extractor(_REGISTERED, PlainLite)


def write_folder(folder: Path, count: int, seed: int) -> ImageSet:
    """Distinct photographs: shifted crops of some dozens of phantoms, with noise."""
    rng = np.random.default_rng(seed)
    larger = _SIDE + 32
    pictures = [
        render_phantom(LABELS[n % len(LABELS)], "western", derive_seed(seed, n), 0, larger)[0]
        for n in range(_RENDERED)
    ]
    images = folder / "zoster"
    images.mkdir(parents=True)
    for number in range(count):
        top, left = rng.integers(0, larger - _SIDE + 1, 2)
        cut = pictures[number % _RENDERED][top : top + _SIDE, left : left + _SIDE]
        noisy = np.clip(cut + rng.normal(0, 6, cut.shape), 0, 255).astype(np.uint8)
        name = f"{number:05d}.{'jpg' if number % 2 else 'png'}"
        Image.fromarray(noisy).save(images / name, quality=92)
    return open_images(folder)


def directly(real: ImageSet, fake: ImageSet, cache: Path) -> dict[str, float]:
    from torch_fidelity import calculate_metrics

    values: dict[str, float] = calculate_metrics(
        input1=str(real.root / "zoster"),
        input2=str(fake.root / "zoster"),
        cuda=False,
        kid=True,
        fid=True,
        feature_extractor=_REGISTERED,
        kid_subsets=_CONFIG.subsets,
        kid_subset_size=default_subset_size(len(real), len(fake)),
        rng_seed=derive_seed(_CONFIG.seed, "kid") % 2**32,
        cache_root=str(cache),
        cache_input1_name="real",
        cache_input2_name="fake",
        verbose=False,
    )
    return values


def features_directly(images: ImageSet) -> None:
    from torch_fidelity.utils import create_feature_extractor, extract_featuresdict_from_input_id

    extractor = create_feature_extractor(_REGISTERED, ["1280"], cuda=False, verbose=False)
    folder = str(images.root / "zoster")
    extract_featuresdict_from_input_id(1, extractor, input1=folder, cuda=False, verbose=False)


def own_features(images: ImageSet) -> None:
    extract_features(images, create_extractor(compute=CPU_FP32), size=_SIDE, progress=SILENT)


def relative(ours: float, theirs: float) -> float:
    return abs(ours - theirs) / abs(theirs)


def measure(real: ImageSet, fake: ImageSet, folder: Path, repeats: int) -> tuple[list[Pair], str]:
    """Pairs, cold first, and the values' relative differences in words."""
    pairs: list[Pair] = []
    kept: dict[str, Any] = {}

    def score(cache: Path) -> None:
        kept["ours"] = score_images(real, fake, _CONFIG, compute=CPU_FP32, cache=cache)

    def score_directly(cache: Path) -> None:
        kept["theirs"] = directly(real, fake, cache)

    for repeat in range(repeats):
        cached = partial(score, folder / f"cache-{repeat}")
        theirs = partial(score_directly, folder / f"their-cache-{repeat}")
        pairs += [Pair(case, seconds(cached), seconds(theirs)) for case in ("cold", "warm")]
        if len(fake) <= 500:  # of thousands it would take as long again and tell nothing new
            alone = partial(own_features, fake), partial(features_directly, fake)
            pairs.append(Pair("features only", *map(seconds, alone)))
    ours, values = kept["ours"], kept["theirs"]
    differences = {
        "kid": relative(ours["kid"].value, values["kernel_inception_distance_mean"]),
        "frechet": relative(ours["frechet"].value, values["frechet_inception_distance"]),
    }
    return pairs, ", ".join(f"{name} differs by {d:.1e}" for name, d in differences.items())


def main() -> None:
    fast = parse_fast(__doc__ or "")
    count = int(os.environ.get("SCORE_IMAGES", 300 if fast else 5000))
    register_plain_network()
    with tempfile.TemporaryDirectory(prefix="hzsynth-score-") as name:
        folder = Path(name)
        real, fake = (
            write_folder(folder / which, count // 2, seed)
            for seed, which in enumerate(("real", "fake"))
        )
        own_features(real.replace_records(real.records[:64]))  # warms torch up
        pairs, words = measure(real, fake, folder, repeats=3 if count <= 1000 else 1)
    print(f"{count} images, {torch.get_num_threads()} threads, relative: {words}", file=sys.stderr)
    for pair in pairs:
        print(f"{pair.case}: {pair.ours:.1f} s against {pair.theirs:.1f} s", file=sys.stderr)
    for case, goal in (("warm", 0.5), ("features only", 1.5), ("cold", 1.0)):
        chosen = [pair for pair in pairs if pair.case == case]
        if chosen:
            name = f"score-{case.replace(' ', '-')}"
            report(name, f"KID and Frechet of {count} images, {case}", goal, chosen)


if __name__ == "__main__":
    main()
