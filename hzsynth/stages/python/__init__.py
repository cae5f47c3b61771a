"""What `import hzsynth` offers: the path in Python, for scripts and notebooks."""
