"""The robustness benchmark's corruptions: 15 kinds in 5 severities, and 4 kinds for tuning.

The kinds and strengths of ImageNet-C (Hendrycks and Dietterich, ICLR 2019, arXiv 1903.12261). The
packages that draw them bring a second OpenCV, which overwrites the one that the rest of hzsynth
needs; hence they are written anew here and compared with two of them in the tests. Frost differs:
the published one lays photographs of ice over the picture, this one draws the ice.
"""
