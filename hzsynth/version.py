"""The version, where the rooms can read it without what `import hzsynth` offers."""

__version__ = "0.1.0"
