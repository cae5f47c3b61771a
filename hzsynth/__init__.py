"""hzsynth: do synthetic images help a classifier of a rare skin disease, which, and how many?

The whole path in Python; the commands do the same::

    import hzsynth as hz

    photographs = hz.split(hz.read("photographs"), "split")
    gan = hz.train_gan(photographs, "gan", label="herpes_zoster", minutes=30)
    generated = hz.generate(gan, 200, "generated")
    hz.score(photographs, generated)

Names are loaded when they are first used, so that ``import hzsynth`` itself takes no time.
The rooms and the order in which they may import one another are described in docs/architecture.md.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from hzsynth.version import __version__

if TYPE_CHECKING:
    from hzsynth.core.errors import HzsynthError, InputError, RefusedError
    from hzsynth.core.image_set import ImageSet
    from hzsynth.core.run import RunDir
    from hzsynth.stages.python.classifiers import (
        ablate,
        evaluate,
        kdect,
        train_classifier,
    )
    from hzsynth.stages.python.generators import (
        generate,
        train_cyclegan,
        train_gan,
        translate,
        transplant,
    )
    from hzsynth.stages.python.judging import audit, score
    from hzsynth.stages.python.model import Model
    from hzsynth.stages.python.sets import (
        build_dataset,
        deduplicate,
        phantom,
        preprocess,
        read,
        split,
    )
else:
    _WHERE = {
        "hzsynth.core.errors": ("HzsynthError", "InputError", "RefusedError"),
        "hzsynth.core.image_set": ("ImageSet",),
        "hzsynth.core.run": ("RunDir",),
        "hzsynth.stages.python.classifiers": (
            "ablate",
            "evaluate",
            "kdect",
            "train_classifier",
        ),
        "hzsynth.stages.python.generators": (
            "generate",
            "train_cyclegan",
            "train_gan",
            "translate",
            "transplant",
        ),
        "hzsynth.stages.python.judging": ("audit", "score"),
        "hzsynth.stages.python.model": ("Model",),
        "hzsynth.stages.python.sets": (
            "build_dataset",
            "deduplicate",
            "phantom",
            "preprocess",
            "read",
            "split",
        ),
    }
    _MODULES = {name: module for module, names in _WHERE.items() for name in names}

    def __getattr__(name):
        """Loads a name when it is first used."""
        if name not in _MODULES:
            raise AttributeError(f"module 'hzsynth' has no attribute '{name}'")
        globals()[name] = found = getattr(importlib.import_module(_MODULES[name]), name)
        return found

    def __dir__():
        return sorted({*globals(), *_MODULES})

    class _Package(ModuleType):
        def __setattr__(self, name, value):
            # An import of the room `hzsynth.score` would put it where the function `score` is.
            if not (name in _MODULES and isinstance(value, ModuleType)):
                super().__setattr__(name, value)

    sys.modules[__name__].__class__ = _Package


__all__ = [
    "HzsynthError",
    "ImageSet",
    "InputError",
    "Model",
    "RefusedError",
    "RunDir",
    "__version__",
    "ablate",
    "audit",
    "build_dataset",
    "deduplicate",
    "evaluate",
    "generate",
    "kdect",
    "phantom",
    "preprocess",
    "read",
    "score",
    "split",
    "train_classifier",
    "train_cyclegan",
    "train_gan",
    "translate",
    "transplant",
]
