"""Pretraining on another set: the body is taken, and what it saw counts as seen."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hzsynth.classify.models import create_network, head_of, load_classifier
from hzsynth.classify.train.config import KdectConfig
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.run import RunDir
from tests.augment.conftest import picture
from tests.classify.conftest import classify_config, spotted

from .test_classifier import train


def _others(path: Path, seed: int, leak: np.ndarray | None = None) -> ImageSet:
    """Three classes of other patients, possibly with one photograph of the first set."""
    with ImageSetWriter(path) as writer:
        for split, count in (("train", 5), ("val", 2), ("test", 1)):
            for label in ("zoster", "eczema", "tinea"):
                for _ in range(count):
                    seed += 1
                    writer.add(
                        picture(seed, 24),
                        label=label,
                        split=split,
                        group=f"other-{seed}",
                        origin="real",
                    )
        if leak is not None:
            writer.add(leak, label="zoster", split="train", group="stranger", origin="real")
    return writer.images


def test_the_body_is_taken_and_the_list_grows(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    others = _others(tmp_path / "others", 500)
    first = train(tmp_path / "first", others, classify_config(weights))
    network = create_network("test_efficientnet", classes=2, pretrained=tmp_path / "first", seed=0)
    body = load_classifier(first.run).network.state_dict()
    assert all(
        torch.equal(value, body[name])
        for name, value in network.state_dict().items()
        if not name.startswith("classifier")
    )
    assert head_of(network).out_features == 2
    config = classify_config(None, pretrained=str(tmp_path / "first"))
    second = train(tmp_path / "second", photographs, config)
    seen = {image.sha256 for image in RunDir.load(tmp_path / "second").training_images()}
    assert {r.sha256 for r in others.select("train")} <= seen
    assert {r.sha256 for r in photographs.select("train")} <= seen
    assert second.steps == config.steps


def test_a_body_that_saw_a_test_photograph_is_refused(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    test = photographs.select("test").records[0]
    number = int(test.group.removeprefix("patient-"))
    leak = spotted(number, test.label)[:, ::-1]
    others = _others(tmp_path / "others", 500, np.ascontiguousarray(leak))
    train(tmp_path / "first", others, classify_config(weights))
    config = classify_config(None, pretrained=str(tmp_path / "first"))
    with pytest.raises(RefusedError):
        train(tmp_path / "second", photographs, config)


def test_another_model_or_an_unfinished_run_is_refused(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    train(tmp_path / "first", photographs, classify_config(weights))
    with pytest.raises(InputError, match="do not fit"):
        create_network("test_resnet", classes=2, pretrained=tmp_path / "first", seed=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        create_network("test_efficientnet", classes=2, pretrained=tmp_path / "empty", seed=0)


def test_an_ensembles_name_stands_for_its_members() -> None:
    config = KdectConfig.from_sources(None, {"teachers": ["ensemble-m"]})
    assert config.teachers[:2] == ("seresnext101_32x4d", "resnext101_32x8d")
    assert len(config.teachers) == 4
    with pytest.raises(InputError, match="named once"):
        KdectConfig.from_sources(None, {"teachers": ["ensemble-m", "densenet121"]})
