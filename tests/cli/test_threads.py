"""--threads leaves processors to others."""

import os

import pytest
import torch

from hzsynth.cli.commands import limit_threads
from tests.commands import hzsynth


def test_threads_are_limited_in_torch_and_in_what_is_loaded_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = torch.get_num_threads()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "8")
    try:
        limit_threads(2)
        assert torch.get_num_threads() == 2
        assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "2"
        limit_threads(None)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_no_thread_is_refused() -> None:
    outcome = hzsynth("weights", "list", "--threads", 0)
    assert outcome.code == 2
    assert "--threads" in outcome.err
