"""hzsynth weights: what is here, whether it is right, and what is fetched."""

from types import SimpleNamespace

import pytest

from hzsynth.nets import fetching
from tests.cli.starting import starts
from tests.commands import hzsynth


@starts("weights list", "weights verify")
def test_list_and_verify() -> None:
    listed = hzsynth("weights", "list", "--json").result
    here = {
        name for name, entry in listed.items() if isinstance(entry, dict) and entry["here"] != "no"
    }
    assert "efficientnet-lite0" in here
    verified = hzsynth("weights", "verify", "--json").result
    assert set(verified) == here
    assert all(sentence.endswith(": right") for sentence in verified.values())


@starts("weights fetch")
def test_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    def fetch(model: str, *, force: bool, progress: object) -> SimpleNamespace:
        asked.append((model, force))
        return SimpleNamespace(file=f"{model}.safetensors", licence="apache-2.0")

    monkeypatch.setattr(fetching, "fetch_weights", fetch)
    made = hzsynth("weights", "fetch", "resnet18", "--force", "--json").result
    assert asked == [("resnet18", True)]
    assert made["resnet18"].endswith("resnet18.safetensors (apache-2.0)")
