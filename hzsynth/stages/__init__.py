"""Where rooms meet: what needs two of them, and what `import hzsynth` offers."""
