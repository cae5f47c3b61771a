import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from hzsynth.core.devices import choose_compute
from hzsynth.core.errors import InputError
from hzsynth.core.files import atomic_write_text, replacing
from hzsynth.core.seeding import derive_seed, numpy_generator, torch_generator


def test_purposes_have_streams_of_their_own_that_never_change() -> None:
    assert derive_seed(0, "a", 1) == derive_seed(0, "a", 1)
    seeds = {derive_seed(r, *p) for r in (0, 1) for p in [("a",), ("a", 1), ("a", "1"), ("b",)]}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)
    # Pinned: a published run must be repeatable with every later version.
    assert derive_seed(0, "gan", 5) == 5663198826868489824
    assert torch.equal(
        torch.randn(3, generator=torch_generator(1, "x")),
        torch.randn(3, generator=torch_generator(1, "x")),
    )
    assert numpy_generator(1, "x").integers(1 << 30) == numpy_generator(1, "x").integers(1 << 30)
    assert np.random.default_rng(derive_seed(1, "x")).random() == numpy_generator(1, "x").random()


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        ("tpu", "auto", "`device` is"),
        ("mps", "auto", "`device` is"),
        ("cuda:99", "auto", "is not there"),
        ("cpu", "fp16", "needs a GPU"),
        ("cpu", "int8", "`precision` is"),
    ],
)
def test_devices_that_do_not_exist_are_refused(device: str, precision: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_compute(device, precision)


def test_bf16_on_a_cpu_is_autocast() -> None:
    with choose_compute("cpu", "bf16").autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == torch.bfloat16
    with choose_compute("cpu", "fp32").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_a_failed_write_keeps_the_old_content_and_no_debris(tmp_path: Path) -> None:
    target = tmp_path / "f.txt"
    atomic_write_text(target, "old")
    with pytest.raises(InputError, match="No space left"), replacing(target) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["f.txt"]


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write to"):
        atomic_write_text(tmp_path / "file" / "below", "x")
