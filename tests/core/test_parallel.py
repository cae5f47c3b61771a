import os
import time

import pytest

from hzsynth.core.errors import InputError
from hzsynth.core.parallel import WORTHWHILE, available_workers, parallel_map


def _square(number: int) -> tuple[int, int]:
    if number < 8:
        time.sleep(0.02)  # the first are the slowest: the order must not depend on it
    return number * number, os.getpid()


def _refuse(number: int) -> int:
    if number == 300:
        raise InputError("the 300th is broken")
    return number


def test_results_keep_their_order_and_several_processes_work() -> None:
    results = list(parallel_map(_square, range(WORTHWHILE + 40), workers=2))
    assert [value for value, _ in results] == [n * n for n in range(WORTHWHILE + 40)]
    processes = {process for _, process in results}
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_few_items_and_one_worker_stay_in_this_process() -> None:
    few = list(parallel_map(_square, range(20), workers=4))
    alone = list(parallel_map(_square, range(WORTHWHILE + 1), workers=1))
    assert {process for _, process in [*few, *alone]} == {os.getpid()}


def test_an_error_of_a_worker_reaches_the_user_as_it_is() -> None:
    with pytest.raises(InputError, match="the 300th is broken"):
        list(parallel_map(_refuse, range(WORTHWHILE * 2), workers=2))


def test_no_items_give_no_results() -> None:
    assert list(parallel_map(_square, [], workers=0)) == []
    assert available_workers() >= 1
