"""``python -m hzsynth`` is the command ``hzsynth``."""

from hzsynth.cli.main import run

run()
