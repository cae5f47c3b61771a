from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hzsynth.classify.answers import answers_of
from hzsynth.classify.evaluate.subgroups import FEWEST, subgroup_table, subgroups, values_of
from hzsynth.classify.models import load_classifier
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from tests.classify.conftest import saved_run, spotted


@pytest.fixture
def two_sources(tmp_path: Path) -> Any:
    with ImageSetWriter(tmp_path / "sources") as writer:
        for number in range(28):
            label = ("eczema", "zoster")[number % 2]
            source = "clinic" if number < 20 else "web"
            writer.add(
                spotted(number + 500, label),
                label=label,
                split="test",
                group=f"p{number}",
                origin="real",
                source=source,
                name=f"i{number}",
            )
    return writer.images


def test_every_part_is_judged_alone_and_small_parts_are_not(
    two_sources: Any, photographs: ImageSet, tmp_path: Path
) -> None:
    run = saved_run(tmp_path / "run", two_sources, learned=photographs.select("train"))
    test = two_sources.select("test")
    answers = answers_of(load_classifier(run), test)
    clinic, web = subgroups(answers, test, "source", bootstrap=100)
    assert (clinic.name, clinic.positives, clinic.others) == ("clinic", 10, 10)
    own = answers.select([i for i, r in enumerate(test) if r.source == "clinic"])
    expected = float(own.called_target[own.is_target].mean())
    assert clinic.metrics["recall_target"].value == pytest.approx(expected)
    assert web.positives < FEWEST
    assert not web.metrics
    assert "only 4 of zoster" in web.reason
    table = subgroup_table([clinic, web])
    assert list(table["source"]) == ["clinic", "web"]
    assert table["recall"][1] == "–"


def test_the_bin_of_the_skin_tone_is_that_of_the_skin(tmp_path: Path) -> None:
    with ImageSetWriter(tmp_path / "tones") as writer:
        for name, colour in (("light", (240, 205, 185)), ("dark", (95, 65, 50))):
            picture = np.full((64, 64, 3), colour, np.uint8)
            writer.add(picture, label="zoster", origin="real", name=name)
    found = dict(
        zip([r.file_name for r in writer.images], values_of(writer.images, "tone"), strict=True)
    )
    light, dark = (next(v for k, v in found.items() if name in k) for name in ("light", "dark"))
    assert light != dark
    with pytest.raises(InputError, match="`by` 'age' is no column"):
        values_of(writer.images, "age")
