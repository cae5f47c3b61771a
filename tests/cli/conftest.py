"""One tiny set, one tiny generator and one tiny classifier, made by commands and shared by their tests."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.commands import Outcome, hzsynth

LABEL = "herpes_zoster"
_PHANTOM = """
size = 48
logo_share = 0.0
[patients]
eczema = 6
herpes_zoster = 6
"""


class Made(NamedTuple):
    """What a command wrote, and what it printed."""

    path: Path
    result: dict[str, Any]


def _made(path: Path, *arguments: object) -> Made:
    outcome: Outcome = hzsynth(*arguments, "--out", path, "--json", "--device", "cpu")
    return Made(path, outcome.result)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands")


@pytest.fixture(scope="session")
def photographs(root: Path) -> Made:
    (root / "phantom.toml").write_text(_PHANTOM)
    return _made(root / "set", "data", "import", "phantom", "--config", root / "phantom.toml")


@pytest.fixture(scope="session")
def split(root: Path, photographs: Made) -> Made:
    parts = ("--ratios", "50/25/25", "--workers", 1)
    return _made(root / "split", "data", "split", photographs.path, *parts)


@pytest.fixture(scope="session")
def gan(root: Path, split: Made) -> Made:
    networks = ("--generator", "stylegan2", "--discriminator", "stylegan2", "--mapping-layers", 1)
    size = ("--resolution", 16, "--channel-multiplier", 0.1, "--batch", 4)
    length = ("--kimg", 0.008, "--no-watch", "--snapshot-samples", 4)
    named = ("--label", LABEL, *networks, *size, *length)
    return _made(root / "gan", "gan", "train", split.path, *named)


@pytest.fixture(scope="session")
def generated(root: Path, gan: Made) -> Made:
    return _made(root / "generated", "gan", "generate", gan.path, "--count", 12)


@pytest.fixture(scope="session")
def classifier(root: Path, split: Made) -> Made:
    return _trained(root / "plain", split)


@pytest.fixture(scope="session")
def other_classifier(root: Path, split: Made) -> Made:
    return _trained(root / "other", split, "--seed", 1)


def _trained(path: Path, split: Made, *more: object) -> Made:
    small = ("--pretrained", "none", "--size", 32, "--steps", 2, "--finetune", "full")
    return _made(path, "classify", "train", split.path, "--label", LABEL, *small, *more)


@pytest.fixture(scope="session")
def photograph(split: Made) -> Path:
    return next(path for path in sorted(split.path.rglob("*.png")) if "masks" not in path.parts)
