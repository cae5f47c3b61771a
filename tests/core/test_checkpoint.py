import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from hzsynth.core.checkpoint import load_checkpoint, save_checkpoint
from hzsynth.core.errors import InputError
from hzsynth.core.weights import find_weights, load_state_dict


def test_a_nested_state_comes_back_as_it_was(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    state = {
        "tensor": shared.t(),
        "same storage": shared[0],
        "rng": torch.get_rng_state(),
        3: {"tuple": (1, 2.5, "text", None, True), "list": [math.inf, -0.0, 0.1 + 0.2]},
        "half": torch.tensor([1.5], dtype=torch.bfloat16),
        "empty": {},
    }
    save_checkpoint(tmp_path / "c.safetensors", "test", state)
    loaded = load_checkpoint(tmp_path / "c.safetensors", "test")
    assert torch.equal(loaded["tensor"], shared.t())
    assert torch.equal(loaded["same storage"], shared[0])
    assert torch.equal(loaded["rng"], torch.get_rng_state())
    assert loaded[3] == state[3]
    assert isinstance(loaded[3]["tuple"], tuple)
    assert loaded["half"].dtype == torch.bfloat16
    assert loaded["empty"] == {}


def test_an_optimiser_goes_on_exactly_where_it_stopped(tmp_path: Path) -> None:
    def step(weight: Any, optimiser: Any) -> None:
        optimiser.zero_grad()
        (weight**4).sum().backward()
        optimiser.step()

    first = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    adam = torch.optim.Adam([first], lr=0.1)
    step(first, adam)
    save_checkpoint(tmp_path / "c", "test", {"w": first.data, "o": adam.state_dict()})
    step(first, adam)

    stored = load_checkpoint(tmp_path / "c", "test")
    second = torch.nn.Parameter(stored["w"])
    resumed = torch.optim.Adam([second], lr=0.5)
    resumed.load_state_dict(stored["o"])
    step(second, resumed)
    assert torch.equal(first, second)


def test_the_layout_comes_back_and_a_fused_optimiser_goes_on_exactly(tmp_path: Path) -> None:
    def step(weight: Any, optimiser: Any) -> None:
        optimiser.zero_grad()
        (weight**4 * torch.arange(weight.numel()).reshape(weight.shape)).sum().backward()
        optimiser.step()

    start = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    start = start.contiguous(memory_format=torch.channels_last)
    first = torch.nn.Parameter(start.clone())
    adam = torch.optim.Adam([first], lr=0.1, fused=True)
    step(first, adam)
    save_checkpoint(tmp_path / "c", "test", {"w": first.data, "o": adam.state_dict()})
    step(first, adam)

    stored = load_checkpoint(tmp_path / "c", "test")
    assert stored["w"].stride() == first.stride()
    second = torch.nn.Parameter(stored["w"])
    resumed = torch.optim.Adam([second], lr=0.1, fused=True)
    resumed.load_state_dict(stored["o"])
    step(second, resumed)
    assert torch.equal(first, second)


def test_what_is_no_checkpoint_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint"):
        load_checkpoint(tmp_path / "none", "test")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_checkpoint(tmp_path / "text", "test")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(InputError, match="did not write"):
        load_checkpoint(tmp_path / "foreign", "test")
    save_checkpoint(tmp_path / "other", "gan", {})
    with pytest.raises(InputError, match="'gan', expected 'classify'"):
        load_checkpoint(tmp_path / "other", "classify")
    data = (tmp_path / "other").read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_checkpoint(tmp_path / "cut", "gan")


class _Evil:
    def __reduce__(self) -> Any:
        return (print, ("this must never run",))


def test_a_foreign_pickle_is_refused_and_never_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"w": _Evil()}))
    torch.save({"w": _Evil()}, tmp_path / "evil.pt")
    for name in ("evil.pth", "evil.pt"):
        with pytest.raises(InputError):
            load_state_dict(tmp_path / name)
    assert "never run" not in capsys.readouterr().out


def test_weights_with_another_hash_are_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1)}, tmp_path / "wrong.pth")
    with pytest.raises(InputError, match="not the expected file"):
        find_weights("efficientnet-lite0", tmp_path / "wrong.pth")
    with pytest.raises(InputError, match="FID and KID on Inception"):
        find_weights("inception-v3-fid", tmp_path / "absent.pth")
