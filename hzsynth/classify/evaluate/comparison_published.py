"""The published figures of Back et al. (IEEE Access 2021) on their own photographs (SD-HZ).

DOI 10.1109/ACCESS.2021.3054403. They were measured on other photographs, with another definition
of multiply-accumulates and on another processor: they are context, not a comparison.
"""

import pandas as pd

REMARK = "published, other data: not comparable"

COLUMNS = (
    "model",
    "ACC",
    "F1",
    "PR",
    "RE",
    "F1-HZ",
    "AUROC",
    "kappa",
    "latency ms",
    "params M",
    "MACs M",
)

_ROWS = (
    ("AlexNet", 0.93, 0.84, 0.87, 0.82, 0.80, 0.946, 0.794, 21.0, 57.0, 710),
    ("VGG-16", 0.93, 0.85, 0.87, 0.86, 0.79, 0.967, 0.779, 140.3, 134.3, 1550),
    ("Inception-v3", 0.92, 0.83, 0.85, 0.82, 0.78, 0.960, 0.766, 73.2, 21.8, 285),
    ("ResNet-50", 0.94, 0.87, 0.87, 0.88, 0.81, 0.979, 0.797, 93.3, 23.5, 412),
    ("ResNeXt-101", 0.93, 0.87, 0.87, 0.89, 0.82, 0.975, 0.809, 320.7, 86.8, 1651),
    ("SE-ResNeXt-101", 0.94, 0.88, 0.89, 0.87, 0.85, 0.981, 0.846, 226.8, 46.9, 805),
    ("DenseNet-121", 0.93, 0.85, 0.87, 0.84, 0.80, 0.969, 0.791, 328.6, 7.0, "285/465"),
    ("EfficientNet-B0", 0.92, 0.81, 0.82, 0.83, 0.68, 0.954, 0.658, 55.5, 4.0, 40),
    ("MNasNet", 0.92, 0.84, 0.85, 0.84, 0.76, 0.947, 0.749, 38.6, 3.1, 33),
    ("MobileNetV2", 0.90, 0.79, 0.80, 0.83, 0.61, 0.955, 0.586, 39.5, 2.2, 32),
    ("MobileNetV3-Small", 0.92, 0.84, 0.85, 0.83, 0.82, 0.927, 0.811, 20.6, 1.5, 5),
    ("Ensemble-M", 0.95, 0.89, 0.92, 0.88, 0.82, 0.979, 0.880, 666.7, 142.2, 2746),
    ("Ensemble-E", 0.97, 0.93, 0.94, 0.92, 0.78, 0.992, 0.910, 699.5, 144.6, 2781),
)


def published_rows() -> pd.DataFrame:
    """The published table with a column ``remark`` that says what it may not be used for.

    The multiply-accumulates of DenseNet-121 are published with two values.
    """
    frame = pd.DataFrame(list(_ROWS), columns=list(COLUMNS))
    return frame.assign(remark=REMARK)
