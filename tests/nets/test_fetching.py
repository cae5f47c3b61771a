"""Fetching from a server of our own: what is stated, what is not, and what is a lie."""

import hashlib
import io
import pickle
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from hzsynth.core.errors import InputError
from hzsynth.nets import fetching
from hzsynth.nets.backbones import create_backbone
from hzsynth.nets.fetching import fetch_weights, fetched_weights, find_fetched, source_of

MODEL = "test_resnet"


class Answer(io.BytesIO):
    def __init__(self, data: Any, headers: Any) -> None:
        super().__init__(data)
        self.headers = headers


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HZSYNTH_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def weights() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return create_backbone(MODEL, num_classes=1000).state_dict()


def served(
    data: Any, monkeypatch: pytest.MonkeyPatch, stated: Any = "", headers: Any = None
) -> Any:
    suffix = ".safetensors" if stated == "" else f"-{stated}.safetensors"
    url = f"https://example.org/model{suffix}"
    monkeypatch.setattr(fetching, "source_of", lambda model: (url, stated, "apache-2.0"))
    return lambda asked: Answer(data, headers or {})


def test_weights_are_verified_kept_and_used(
    weights: Any, monkeypatch: pytest.MonkeyPatch, folder: Any
) -> None:
    data = save({k: v.contiguous() for k, v in weights.items()})
    digest = hashlib.sha256(data).hexdigest()
    entry = fetch_weights(MODEL, open_url=served(data, monkeypatch, stated=digest[:8]))
    assert (entry.sha256, entry.licence) == (digest, "apache-2.0")
    assert find_fetched(MODEL) == folder / f"{MODEL}.safetensors"
    # From now on `imagenet` means this file, with the head that the task needs.
    network = create_backbone(MODEL, num_classes=3, pretrained="imagenet")
    state = network.state_dict()
    body = [name for name in weights if state[name].shape == weights[name].shape]
    assert len(body) >= len(weights) - 2
    assert all(torch.equal(state[name], weights[name]) for name in body)

    def never(url: Any) -> None:
        raise AssertionError("it is here already")

    assert fetch_weights(MODEL, open_url=never) == entry


def test_the_hash_may_stand_in_the_answer(weights: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = save({k: v.contiguous() for k, v in weights.items()})
    headers = {"X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"'}
    assert fetch_weights(MODEL, open_url=served(data, monkeypatch, headers=headers)).model == MODEL


@pytest.mark.parametrize(
    ("stated", "headers", "sentence"),
    [
        ("00000000", {}, "expected 00000000"),
        ("", {"X-Linked-Etag": '"' + "0" * 64 + '"'}, "expected 0000"),
        ("", {}, "states no hash"),
        ("", {"X-Linked-Etag": '"abc"'}, "states no hash"),
    ],
)
def test_what_cannot_be_verified_is_refused_and_leaves_nothing(
    weights: Any,
    monkeypatch: pytest.MonkeyPatch,
    folder: Any,
    stated: str,
    headers: dict[Any, Any] | dict[str, Any] | dict[str, str],
    sentence: str,
) -> None:
    data = save({k: v.contiguous() for k, v in weights.items()})
    with pytest.raises(InputError, match=sentence):
        fetch_weights(MODEL, open_url=served(data, monkeypatch, stated, headers))
    assert not [*folder.rglob("*")]
    assert fetched_weights() == {}


def test_a_pickle_that_would_run_code_is_refused(
    monkeypatch: pytest.MonkeyPatch, folder: Any
) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return print, ("run",)

    data = pickle.dumps(Evil())
    digest = hashlib.sha256(data).hexdigest()
    url = f"https://example.org/model-{digest[:8]}.pth"
    monkeypatch.setattr(fetching, "source_of", lambda model: (url, digest[:8], ""))
    with pytest.raises(InputError):
        fetch_weights(MODEL, open_url=lambda asked: Answer(data, {}))
    assert not [*folder.rglob("*")]


def test_no_connection_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    served(b"", monkeypatch, stated="00000000")

    def refused(url: Any) -> None:
        raise urllib.error.URLError("no route to host")

    with pytest.raises(InputError, match="cannot fetch .*no route to host"):
        fetch_weights(MODEL, open_url=refused)


def test_a_file_that_was_changed_since_is_not_used(
    weights: Any, monkeypatch: pytest.MonkeyPatch, folder: Any
) -> None:
    data = save({k: v.contiguous() for k, v in weights.items()})
    digest = hashlib.sha256(data).hexdigest()
    fetch_weights(MODEL, open_url=served(data, monkeypatch, stated=digest[:8]))
    path = folder / f"{MODEL}.safetensors"
    path.write_bytes(data[:-1] + b"x")
    with pytest.raises(InputError, match="not the file that was fetched"):
        find_fetched(MODEL)
    path.unlink()
    with pytest.raises(InputError, match="fetched and is gone"):
        find_fetched(MODEL)


def test_every_model_of_the_users_setting_has_a_source() -> None:
    for model in ("resnet50", "seresnext101_32x4d", "inception_v3", "densenet121"):
        url, stated, _ = source_of(model)
        assert url.startswith("https://")
        assert stated or "huggingface" in url
    with pytest.raises(InputError, match="not known to timm"):
        source_of("resnet-five-thousand")
