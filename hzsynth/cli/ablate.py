"""hzsynth ablate: ratios x seeds x generators, and what follows from them."""
