"""hzsynth: do synthetic images help a classifier of a rare skin disease, which, and how many?

The rooms and the order in which they may import one another are described in docs/architecture.md.
"""

__version__ = "0.1.0"
