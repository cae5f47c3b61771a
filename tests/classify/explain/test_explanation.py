import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hzsynth.classify.explain import explanation
from hzsynth.classify.explain.explanation import (
    Shown,
    correlation,
    explain,
    photographs_from,
    photographs_of,
    randomised,
    share_inside,
)
from hzsynth.classify.explain.explanation_page import summary, write_explanation
from hzsynth.classify.explain.heat_maps import grad_cam, score_cam
from hzsynth.classify.models import load_classifier, normalise
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from tests.classify.conftest import saved_run, spotted

GradCAM = pytest.importorskip("pytorch_grad_cam").GradCAM
ClassifierOutputTarget = pytest.importorskip(
    "pytorch_grad_cam.utils.model_targets"
).ClassifierOutputTarget


@pytest.fixture
def classifier(photographs: ImageSet, tmp_path: Path) -> Any:
    loaded = load_classifier(saved_run(tmp_path / "run", photographs))
    loaded.size = 128  # feature maps of 4 x 4
    return loaded


@pytest.fixture
def masked(tmp_path: Path) -> Any:
    """Zoster with its spot as mask, eczema without one."""
    with ImageSetWriter(tmp_path / "masked") as writer:
        for seed in range(4):
            picture = spotted(seed, "zoster")
            mask = picture[..., 1] < 110
            writer.add(picture, label="zoster", origin="real", name=f"z{seed}", mask=mask)
            writer.add(spotted(seed + 50, "eczema"), label="eczema", origin="real", name=f"e{seed}")
    return writer.images


class WithMaps(torch.nn.Module):
    """What the grad-cam package asks: a network whose last feature maps are a module's output."""

    def __init__(self, classifier: Any) -> None:
        super().__init__()
        self.network, self.maps = classifier.network, torch.nn.Identity()
        self.scale = classifier.mean, classifier.std

    def forward(self, unit: Any) -> Any:
        maps = self.maps(self.network.forward_features(normalise(unit, *self.scale)))
        return self.network.forward_head(maps)


def package_grad_cam(classifier: Any, pixels: Any, place: Any) -> Any:
    model = WithMaps(classifier).eval()
    unit = torch.from_numpy(pixels[None]).float() / 255.0
    with GradCAM(model, [model.maps]) as cam:
        return cam(unit, [ClassifierOutputTarget(place)])[0].astype(np.float64)


def test_grad_cam_is_that_of_the_package(classifier: Any, masked: Any) -> None:
    compared = 0
    for one in photographs_of(masked, classifier.size, 8):
        theirs = package_grad_cam(classifier, one.pixels, 1)
        if theirs.max() > 0.5:
            compared += 1
            # The package takes the lowest value off and resizes linearly.
            assert correlation(theirs, grad_cam(classifier, one.pixels, 1)) > 0.9
    assert compared > 3


def test_an_even_heat_is_even_where_the_package_takes_it_off(classifier: Any) -> None:
    """Every pixel of a white picture speaks for the class alike: that is no empty map."""

    class Even(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward_features(self, inputs: Any) -> Any:
            return inputs.mean(1, keepdim=True).relu() * self.weight

        def forward_head(self, maps: Any) -> Any:
            pooled = maps.mean((2, 3))
            return torch.cat([pooled * 0, pooled], 1)

    classifier.network = Even()
    pixels = np.full((3, 32, 32), 255, np.uint8)
    assert package_grad_cam(classifier, pixels, 1).max() < 0.5
    assert grad_cam(classifier, pixels, 1).min() == 1
    assert grad_cam(classifier, pixels, 0).max() == 0


def test_a_network_that_sees_one_corner_is_explained_by_that_corner(
    classifier: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: the class's logit is the brightness of the top left quarter."""

    class Corner(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward_features(self, inputs: Any) -> Any:
            maps = inputs.mean(1, keepdim=True).relu() * self.weight
            keep = torch.zeros_like(maps)
            half = maps.shape[-1] // 2
            keep[..., :half, :half] = 1
            return torch.cat([maps * keep, maps * (1 - keep)], 1)

        def forward_head(self, maps: Any) -> Any:
            pooled = maps.mean((2, 3))
            return torch.stack([pooled[:, 1] * 0, pooled[:, 0]], 1)

        def forward(self, inputs: Any) -> Any:
            return self.forward_head(self.forward_features(inputs))

    classifier.network = Corner()
    pixels = np.full((3, 32, 32), 255, np.uint8)
    corner = np.zeros((32, 32), bool)
    corner[:16, :16] = True
    # Enlargement lets a little heat cross the border.
    assert share_inside(grad_cam(classifier, pixels, 1), corner) > 0.9
    assert share_inside(score_cam(classifier, pixels, 1), corner) > 0.5


def test_share_inside_and_correlation_have_closed_forms() -> None:
    lesion = np.zeros((4, 4), bool)
    lesion[:2] = True
    assert share_inside(np.ones((4, 4)), lesion) == 0.5
    assert share_inside(lesion.astype(float), lesion) == 1
    assert share_inside(np.zeros((4, 4)), lesion) is None
    assert share_inside(np.ones((4, 4)), None) is None
    ramp = np.arange(16.0).reshape(4, 4)
    assert correlation(ramp, ramp**3) == pytest.approx(1)
    assert correlation(ramp, -ramp) == pytest.approx(-1)
    assert correlation(ramp, np.ones((4, 4))) is None


def test_random_weights_are_others_and_the_classifier_keeps_its_own(classifier: Any) -> None:
    before = {name: value.clone() for name, value in classifier.network.state_dict().items()}
    other = randomised(classifier, 0).network.state_dict()
    assert any((other[name] != value).any() for name, value in before.items())
    after = classifier.network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_set_is_explained_with_masks_and_written(
    classifier: Any, masked: Any, tmp_path: Path
) -> None:
    shown = photographs_of(masked, classifier.size, 6)
    assert [one.truth for one in shown].count("zoster") == 3
    found, heats = explain(classifier, shown, ("grad-cam", "score-cam"))
    assert len(found) == 12
    assert all((e.lesion_share is not None) == (e.truth == "zoster") for e in found)
    page = write_explanation("run", shown, found, heats, tmp_path / "out")
    assert "inside the lesion" in page.read_text("utf-8")
    assert len(json.loads((page.parent / "explanation.json").read_text("utf-8"))) == 12
    for method in ("grad-cam", "score-cam"):
        with Image.open(page.parent / f"{method}.png") as picture:
            assert picture.width > 1000


def test_maps_like_those_of_random_weights_are_called_uninformative(
    classifier: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ramp = np.linspace(0, 1, 32 * 32).reshape(32, 32)
    monkeypatch.setitem(explanation.METHODS, "grad-cam", lambda *_: ramp)
    shown = [Shown("a", np.zeros((3, 32, 32), np.uint8), "", None)]
    found, _ = explain(classifier, shown)
    sentence, tone, _ = summary(found)
    assert "say little" in sentence
    assert tone == "bad"


def test_what_cannot_be_explained_is_refused(classifier: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one photograph"):
        explain(classifier, [])
    shown = [Shown("a", np.zeros((3, 32, 32), np.uint8), "", None)]
    with pytest.raises(InputError, match="`label` 'acne' is not known"):
        explain(classifier, shown, label="acne")
    with pytest.raises(InputError, match="`method` is grad-cam or score-cam"):
        explain(classifier, shown, ("lime",))
    with pytest.raises(InputError, match="cannot read"):
        photographs_from([tmp_path / "none.jpg"], 32)
