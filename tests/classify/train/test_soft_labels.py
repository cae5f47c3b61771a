"""Images mixed across classes are learned with the shares of their classes."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from hzsynth.augment.build import build_dataset
from hzsynth.augment.config import BuildConfig
from hzsynth.augment.mixing import SOFT_LABEL
from hzsynth.classify.train.batches import Batches
from hzsynth.classify.train.kdect import train_kdect
from hzsynth.classify.train.loading import load_training_data
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from tests.classify.conftest import kdect_config


@pytest.fixture
def mixed(photographs: ImageSet, tmp_path: Path) -> ImageSet:
    config = BuildConfig(
        label="zoster",
        ratio=0,
        multiplier=4,
        mix="mixup",
        mix_classes="any",
        strategies=("flip",),
        write_augmented=True,
    )
    return build_dataset(photographs, [], config, tmp_path / "mixed")


def test_a_batch_carries_the_shares(mixed: ImageSet) -> None:
    data = load_training_data(mixed, 24, "zoster")
    assert data.validation.soft is None
    batches = Batches(data.train, 5, seed=0, balanced=False, flip=False)
    seen = 0
    for step in range(4):
        batch = batches[step]
        for place, shares in zip(batch.indices.tolist(), batch.targets, strict=True):
            record = data.records[place]
            assert shares.sum() == pytest.approx(1, abs=1e-3)
            if record.extra.get(SOFT_LABEL):
                weight = float(record.extra["mix"].split()[1])
                assert shares[data.labels.index(record.label)] == pytest.approx(weight, abs=1e-3)
                seen += 1
            else:
                assert shares.argmax() == data.labels.index(record.label)
                assert shares.max() == 1
    assert seen > 0


def test_distillation_learns_from_soft_labels(
    mixed: ImageSet, weights: Path, tmp_path: Path
) -> None:
    config = kdect_config(weights)
    with RunDir.start(tmp_path / "run", "kdect", config, {}, force=False) as run:
        result = train_kdect(mixed, config, run)
    assert math.isfinite(result.validation["loss"])
    # The same pictures as if they showed one class each: another loss, another student.
    hard = mixed.replace_records(
        replace(r, extra={k: v for k, v in r.extra.items() if k != SOFT_LABEL}) for r in mixed
    )
    with RunDir.start(tmp_path / "hard", "kdect", config, {}, force=False) as run:
        assert train_kdect(hard, config, run).validation["loss"] != result.validation["loss"]


@pytest.mark.parametrize("text", ['{"zoster": 0.7}', '{"zoster": 1.2, "eczema": -0.2}', "[1]", "x"])
def test_a_wrong_soft_label_is_refused(mixed: ImageSet, text: str) -> None:
    place = next(i for i, r in enumerate(mixed) if r.extra.get(SOFT_LABEL))
    records = list(mixed.records)
    records[place] = replace(records[place], extra={**records[place].extra, SOFT_LABEL: text})
    with pytest.raises(InputError, match="add up to 1"):
        load_training_data(mixed.replace_records(records), 24, "zoster")
