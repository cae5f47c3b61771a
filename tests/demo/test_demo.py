"""The README's first command, at its smallest: its files, its sentences, and that it is reproducible."""

import json
from pathlib import Path

import pytest

from hzsynth.cli.main import run
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.demo.scale import FAST, FULL
from tests.cli.starting import starts

pytestmark = pytest.mark.slow


def _command(*arguments: object) -> None:
    with pytest.raises(SystemExit) as end:
        run([str(argument) for argument in arguments])
    assert not end.value.code


@starts("demo")
@pytest.mark.timeout(1500)
def test_the_fast_demo_walks_the_whole_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    _command("demo", "--fast", "--out", out, "--device", "cpu", "--json")
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert captured.err.index("gan train, generate") < captured.err.index("ablate")
    assert result["report"] == str(out / "report.html")
    assert result["verdict"].startswith(("Inconclusive", "Not identifiable", "Synthetic"))

    gan, cyclegan = RunDir.load(out / "05-gan", "gan"), RunDir.load(out / "07-cyclegan")
    assert gan.result["steps"] == 60
    assert cyclegan.result["steps"] == FAST.translation_steps == 60
    split = ImageSet.load(out / "03-split")
    assert {record.split for record in split} == {"train", "val", "test"}
    assert len(ImageSet.load(out / "06-generated")) == FAST.generated
    translated = ImageSet.load(out / "09-translated-generated")
    assert {record.origin for record in translated} == {"cyclegan"}
    assert (out / "13-evaluation" / "evaluation.json").is_file()
    cells = (out / "14-ablation" / "cells.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(cells) == len(list((out / "14-ablation" / "cells").iterdir()))

    page = (out / "report.html").read_text(encoding="utf-8")
    for words in (
        "Real, generated, translated",
        "no patient is in two splits",
        "60 steps in",
        "CycleGAN, 60 steps",
        "Drawn by a program, not by patients",
        result["verdict"].split(":")[0],
    ):
        assert words in page

    with pytest.raises(SystemExit) as end:
        run(["demo", "--fast", "--out", str(out)])
    assert end.value.code == 2
    assert "already finished" in capsys.readouterr().err


def test_budgets_are_steps_so_that_every_machine_makes_the_same() -> None:
    assert FULL.gan_kimg * 1000 / 16 == 270
    assert FULL.translation_steps == 390
    assert FAST.gan_kimg * 1000 / 16 == 60
