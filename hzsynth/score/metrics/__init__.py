"""One metric a file; `hzsynth.score.catalogue` lists them.

A file opens with its formula, its paper and whose numbers it matches, offers the formula as a pure
function with an example, and ends with the metric itself, `METRIC`.
"""

from hzsynth.core.torchvision_operators import declare_missing_operators

# Before a metric imports torch-fidelity, which imports torchvision.
declare_missing_operators()
