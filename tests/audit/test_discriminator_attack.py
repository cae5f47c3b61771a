"""Membership by the discriminator: a judge that is a known function, and a run of a few steps."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hzsynth.audit import gate
from hzsynth.audit.config import AuditConfig
from hzsynth.audit.discriminator_attack import Judge, discriminator_attack
from hzsynth.audit.feature_spaces import pixel_space
from hzsynth.audit.gate import audit_images
from hzsynth.cli.main import run as hzsynth
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.gan.config import GanConfig
from hzsynth.gan.sampling import generate
from hzsynth.gan.training import train_gan
from tests.audit.greys import trained_on, write
from tests.cli.starting import starts

PIXELS = pixel_space()


def mean_judge(images: ImageSet, sign: int = 1) -> Judge:
    def score(pixels: torch.Tensor) -> torch.Tensor:
        return sign * pixels.float().mean(dim=(1, 2, 3))

    return Judge("gan-test", trained_on(images), 16, 5, score)


def attack(judge: Judge, train: ImageSet, held_out: ImageSet) -> Any:
    rng = np.random.default_rng(0)
    return discriminator_attack(judge, train, held_out, rng, most_auc=0.6, lowest_z=-3, gates=False)


def test_a_judge_that_knows_is_found_and_one_that_does_not_is_not(tmp_path: Path) -> None:
    train = write(tmp_path / "train", list(range(120, 150, 2)))
    held_out = write(tmp_path / "held-out", list(range(60, 90, 2)))
    known = attack(mean_judge(train), train, held_out).membership
    assert (known.auc, known.tpr) == (1.0, 1.0)
    assert not known.control_fails
    # A judge that prefers what it was not trained on is no membership leak of this kind.
    assert attack(mean_judge(train, -1), train, held_out).membership.auc == 0
    mixed = write(tmp_path / "mixed", list(range(121, 151, 2)))
    result = attack(mean_judge(train), train, mixed)
    assert abs(result.membership.auc - 0.5) < 0.2
    assert result.failures == ()


def test_photographs_that_the_run_did_not_see_are_no_members(tmp_path: Path) -> None:
    train = write(tmp_path / "train", list(range(120, 150, 2)))
    held_out = write(tmp_path / "held-out", list(range(60, 90, 2)))
    judge = mean_judge(train.replace_records(train.records[:9]))
    assert attack(judge, train, held_out).membership.members == 9
    with pytest.raises(InputError, match="learned from 3 photographs"):
        attack(mean_judge(train.replace_records(train.records[:3])), train, held_out)


def test_the_discriminator_informs_and_gates_only_when_asked(tmp_path: Path) -> None:
    train = write(tmp_path / "train", list(range(120, 150, 2)))
    held_out = write(tmp_path / "held-out", list(range(60, 90, 2)))
    fake = write(tmp_path / "fake", list(range(60, 160, 5)), origin="stylegan2")
    verdicts = {}
    for gates in (False, True):
        result = audit_images(
            fake,
            train,
            held_out,
            AuditConfig(gate_discriminator=gates),
            compute=CPU_FP32,
            spaces=[PIXELS],
            judge=mean_judge(train),
        )
        assert result.discriminator is not None
        assert result.to_json()["discriminator"]["membership"]["auc"] == 1.0
        verdicts[gates] = result.passed, any("discriminator" in f for f in result.failures)
    assert verdicts == {False: (True, False), True: (False, True)}


@pytest.fixture(scope="module", params=["projected", "stylegan2"])
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, Path, Path]:
    """A run of a few steps, its images and the photographs."""
    root = tmp_path_factory.mktemp("trained")
    train = write(root / "train", list(range(120, 150, 3)))
    write(root / "held-out", list(range(60, 90, 3)))
    config = GanConfig.from_sources(
        None,
        {
            "resolution": 16,
            "channel_multiplier": 0.1,
            "batch": 4,
            "kimg": 0.016,
            "snapshot_samples": 4,
            "feature_size": 32,
            "bank_views": 32,
            "discriminator": request.param,
        },
    )
    run = RunDir.start(root / "run", "gan", config, {"images": train.digest})
    train_gan(train, config, run)
    generate(run, 10, root / "fake")
    return root / "run", root / "fake", root / "train", root / "held-out"


@starts("audit")
def test_the_command_asks_the_discriminator_of_a_run(
    trained: tuple[Path, Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "default_feature_spaces", lambda compute: (PIXELS,))
    run, fake, train, held_out = map(str, trained)
    sets = [fake, "--train", train, "--holdout", held_out, "--quiet", "--device", "cpu"]
    with pytest.raises(SystemExit) as ended:
        hzsynth(["audit", *sets, "--run", run, "--out", str(tmp_path / "audit")])
    assert ended.value.code in (0, 3)
    stored = json.loads((tmp_path / "audit" / "audit.json").read_text(encoding="utf-8"))
    found = stored["discriminator"]
    assert (found["size"], found["step"], found["gates"]) == (16, 4, False)
    assert found["membership"]["members"] == 10
    assert "discriminator" in (tmp_path / "audit" / "report.html").read_text(encoding="utf-8")


def test_runs_that_cannot_be_asked_are_refused(
    trained: tuple[Path, Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, fake, train, held_out = trained
    tail = ["--quiet", "--device", "cpu", "--out", str(tmp_path / "audit")]
    stranger = write(tmp_path / "strange", [90] * 9, origin="stylegan2").root
    copy = tmp_path / "run"
    copy.mkdir()
    for name in ("run.json", "training_images.csv"):
        (copy / name).write_bytes((run / name).read_bytes())
    for arguments, sentence in (
        ([stranger, "--train", train, "--holdout", held_out, "--run", run], "was made by the run"),
        ([fake, "--train", train, "--holdout", held_out, "--run", copy], "no discriminator any"),
        ([fake, "--train", held_out, "--holdout", held_out, "--run", run], "outside --train"),
        (
            [fake, "--train", train, "--holdout", train, "--run", run],
            "has seen the same file as the held-out photograph",
        ),
        ([fake, "--train", train, "--holdout", held_out, "--gate-discriminator"], "needs --run"),
    ):
        with pytest.raises(SystemExit) as ended:
            hzsynth(["audit", *map(str, arguments), *tail])
        assert ended.value.code in (2, 3)
        assert sentence in capsys.readouterr().err
