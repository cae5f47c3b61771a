"""Every metric of the catalogue holds the contract: one file, one entry, a formula, an example."""

import doctest
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from hzsynth.core.errors import InputError
from hzsynth.score import metrics
from hzsynth.score.catalogue import METRICS, MetricName, load_metric
from hzsynth.score.config import ScoreConfig
from hzsynth.score.metric import Metric


def file_of(name: str) -> str:
    return name.replace("-", "_")


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_a_file_with_its_own_name_and_an_example_that_holds(name: MetricName) -> None:
    metric = load_metric(name)
    assert isinstance(metric, Metric)
    assert metric.name == name
    assert metric.elsewhere in ("", *METRICS)
    module = import_module(f"{metrics.__name__}.{file_of(name)}")
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)


def test_every_file_is_in_the_catalogue() -> None:
    folder = Path(str(metrics.__file__)).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == {file_of(name) for name in METRICS}


def test_a_configuration_knows_the_names_without_torch() -> None:
    with pytest.raises(InputError, match="memorisation"):
        ScoreConfig.from_sources(None, {"metrics": ["sharpness"]})
    code = "import sys, hzsynth.score.config; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
