"""Whole commands, as a user starts them."""

from collections.abc import Callable

import pytest

from tests import commands


@pytest.fixture
def hzsynth() -> Callable[..., commands.Outcome]:
    return commands.hzsynth
