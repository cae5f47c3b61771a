"""Do the probabilities mean what they say? Calibration error, and the temperature that mends it.

Expected calibration error (ECE) after Naeini, Cooper, Hauskrecht (AAAI 2015) with equally wide
bins, and with bins of equally many images (Nixon et al., CVPR workshops 2019); temperature scaling
after Guo, Pleiss, Sun, Weinberger (ICML 2017); the Brier score of several classes (Brier, 1950).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from hzsynth.core.errors import InputError
from hzsynth.core.seeding import numpy_generator
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.bootstrap import bootstrap_weights
from hzsynth.statistics.intervals import percentile_interval
from hzsynth.statistics.metric_intervals import Metric

BINS = 15
"""Guo et al.'s number of bins."""

TEMPERATURE_BOUNDS = (0.05, 20.0)
PRIOR_SPREAD = 1.0
"""Standard deviation of log T: two thirds of the prior lie between T = 1 / e and T = e.

Weak: to T = 2 it adds 0.24 nats, for the whole set together, so that with 30 photographs it
hardly moves an ordinary temperature. But it keeps T off its bounds where every validation photograph is classified rightly
(the likelihood alone would then send T to 0) or where the network knows nothing (T to infinity).
"""

Floats = NDArray[np.float64]
Binning = Literal["width", "mass"]


@dataclass(frozen=True)
class ReliabilityCurve:
    """What a reliability diagram shows; bins without images are left out.

    Attributes:
        confidence: mean confidence of each of B bins, in [0, 1].
        accuracy: share of right answers in each bin, in [0, 1].
        count: images in each bin.
    """

    confidence: Floats
    accuracy: Floats
    count: NDArray[np.int64]

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance of accuracy and confidence, weighted by images."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float((gaps * self.count).sum() / self.count.sum())


@dataclass(frozen=True)
class Temperature:
    """A fitted temperature with its conditions.

    Attributes:
        value: T; the logits are divided by it.
        images: validation photographs that it was fitted on.
        nll_before: mean negative log-likelihood at T = 1, nats.
        nll_after: the same at T.
        ece_before: expected calibration error at T = 1, equally wide bins.
        ece_after: the same at T, on the photographs of the fit: an optimistic figure.
        brier_before: Brier score at T = 1.
        brier_after: the same at T.
    """

    value: float
    images: int
    nll_before: float
    nll_after: float
    ece_before: float
    ece_after: float
    brier_before: float
    brier_after: float


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Probabilities of logits at a temperature: N x C, rows sum to 1."""
    scaled = np.asarray(logits, np.float64) / temperature
    probabilities: Floats = np.exp(scaled - logsumexp(scaled, axis=1, keepdims=True))
    return probabilities


def _checked(scores: ArrayLike, truth: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    values, classes = np.asarray(scores, np.float64), np.asarray(truth, np.int64)
    if values.ndim != 2 or classes.shape != values.shape[:1] or not len(values):
        raise InputError(
            f"calibration needs N x C scores and N true classes of at least one image, not "
            f"{values.shape} and {classes.shape}"
        )
    if not np.isfinite(values).all():
        raise InputError("calibration needs finite scores: the network gave one that is no number")
    if classes.min() < 0 or classes.max() >= values.shape[1]:
        raise InputError(
            f"true classes lie in 0 to {values.shape[1] - 1}, not {classes.min()} to {classes.max()}"
        )
    return values, classes


def reliability_curve(
    probabilities: ArrayLike, truth: ArrayLike, bins: int = BINS, binning: Binning = "width"
) -> ReliabilityCurve:
    """Confidence in the likeliest class against how often it is right.

    Args:
        probabilities: N x C in [0, 1].
        truth: N class numbers.
        bins: their number, at least 1.
        binning: ``width``: (b / B, (b + 1) / B] of confidence; ``mass``: equally many images.

    Returns:
        The values of the bins that hold images, from the lowest confidence up.

    Raises:
        InputError: the shapes do not fit, there is no image, or no bin.
    """
    if bins < 1:
        raise InputError(f"calibration needs at least one bin, not {bins}")
    values, classes = _checked(probabilities, truth)
    confidence = values.max(axis=1)
    right = (values.argmax(axis=1) == classes).astype(np.float64)
    if binning == "width":
        place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    else:
        rank = np.empty(len(confidence), np.int64)
        rank[np.argsort(confidence, kind="stable")] = np.arange(len(confidence))
        place = rank * bins // len(confidence)
    count = np.bincount(place, minlength=bins)
    held = count > 0
    return ReliabilityCurve(
        confidence=np.bincount(place, confidence, bins)[held] / count[held],
        accuracy=np.bincount(place, right, bins)[held] / count[held],
        count=count[held].astype(np.int64),
    )


def expected_calibration_error(
    probabilities: ArrayLike, truth: ArrayLike, bins: int = BINS, binning: Binning = "width"
) -> float:
    """ECE in [0, 1] (arguments and errors as for `reliability_curve`).

    With few images it lies above 0 for a perfectly calibrated classifier, too: with 30 of them in
    15 bins at about 0.2 (0.12 to 0.27 in simulations). It should be read beside that.
    """
    return reliability_curve(probabilities, truth, bins, binning).expected_calibration_error


@dataclass(frozen=True)
class CalibrationError:
    """The expected calibration error of a classifier on one test set.

    Attributes:
        ece: with its 95 % interval.
        if_calibrated: mean of the same figure, were the probabilities exactly right: what so few
            photographs show of themselves.
    """

    ece: Metric
    if_calibrated: float


def calibration_error(
    answers: Answers, *, seed: int = 0, bootstrap: int = 1000
) -> CalibrationError:
    """The expected calibration error (equally wide bins) with its interval, by a bootstrap of patients.

    A mean of absolute values is pushed up by chance, in a replicate once more than in the test set:
    the interval is the basic one, 2 v - q (Davison and Hinkley 1997, section 5.2), which takes that
    off, and holds the figure itself.

    Args:
        answers: of a classifier.
        seed: of the draws.
        bootstrap: replicates.

    Returns:
        The figure and what it would be by chance.
    """
    curve = reliability_curve(answers.probabilities, answers.truth)
    value = curve.expected_calibration_error
    confidence = answers.probabilities.max(axis=1)
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.eye(BINS)[bins] * (answers.right - confidence)[:, None]
    generator = numpy_generator(seed, "classify", "evaluation", "calibration")
    drawn = np.concatenate(
        [
            np.abs(weights @ gaps).sum(axis=1) / weights.sum(axis=1)
            for weights in bootstrap_weights(answers.truth, answers.patients, generator, bootstrap)
        ]
    )
    low, high = percentile_interval(drawn)
    right = generator.random((bootstrap, len(answers))) < confidence
    chance = np.abs((right - confidence) @ np.eye(BINS)[bins]).sum(axis=1) / len(answers)
    ends = max(0.0, min(value, 2 * value - high)), min(1.0, max(value, 2 * value - low))
    unit = "patients" if answers.several_photographs_a_patient else "images"
    method = f"basic, bootstrap of {unit} by class, {bootstrap} replicates"
    return CalibrationError(Metric(value, *ends, method), float(chance.mean()))


def brier_score(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """Mean squared distance from the true class: 0 (certain and right) to 2 (certain and wrong).

    Args:
        probabilities: N x C in [0, 1].
        truth: N class numbers.

    Raises:
        InputError: the shapes do not fit, or there is no image.
    """
    values, classes = _checked(probabilities, truth)
    return float(((values - np.eye(values.shape[1])[classes]) ** 2).sum(axis=1).mean())


def negative_log_likelihood(logits: ArrayLike, truth: ArrayLike, temperature: float = 1.0) -> float:
    """Mean of -log p(true class) at a temperature, nats; errors as for `fit_temperature`."""
    values, classes = _checked(logits, truth)
    scaled = values / temperature
    own = scaled[np.arange(len(classes)), classes]
    return float((logsumexp(scaled, axis=1) - own).mean())


def fit_temperature(logits: ArrayLike, truth: ArrayLike) -> Temperature:
    """Finds the temperature under which validation photographs are likeliest.

    Minimises NLL(T) + (log T)^2 / (2 N s^2) over log T within `TEMPERATURE_BOUNDS`; the second
    term is a log-normal prior around T = 1 (see `PRIOR_SPREAD`), which fades as N grows. The
    order of the classes of a photograph never changes.

    Args:
        logits: N x C of photographs that the classifier did not learn from.
        truth: N class numbers.

    Returns:
        The temperature and what it changes.

    Raises:
        InputError: the shapes do not fit, there is no image, or a logit is not finite.
    """
    values, classes = _checked(logits, truth)
    weight = 1 / (2 * len(values) * PRIOR_SPREAD**2)

    def objective(log_temperature: float) -> float:
        nll = negative_log_likelihood(values, classes, float(np.exp(log_temperature)))
        return nll + weight * log_temperature**2

    low, high = np.log(TEMPERATURE_BOUNDS)
    found = minimize_scalar(objective, bounds=(low, high), method="bounded")
    temperature = float(np.exp(found.x))
    before, after = softmax(values), softmax(values, temperature)
    return Temperature(
        value=temperature,
        images=len(values),
        nll_before=negative_log_likelihood(values, classes),
        nll_after=negative_log_likelihood(values, classes, temperature),
        ece_before=expected_calibration_error(before, classes),
        ece_after=expected_calibration_error(after, classes),
        brier_before=brier_score(before, classes),
        brier_after=brier_score(after, classes),
    )


def operating_threshold(probability: ArrayLike, positive: ArrayLike) -> float:
    """The probability of the target class from which a photograph counts as suspicious.

    Maximises Youden's J, sensitivity + specificity - 1 (Youden, 1950); it does not depend on how
    frequent the disease is in the set. Of equally good thresholds the lowest is taken, which
    misses fewest.

    Args:
        probability: N of the target class.
        positive: N, True where the photograph shows it.

    Returns:
        A threshold in [0, 1], midway between the probabilities that it separates.

    Raises:
        InputError: the target class does not occur, or nothing else does.
    """
    values, truth = np.asarray(probability, np.float64), np.asarray(positive, bool)
    if not truth.any() or truth.all():
        raise InputError("a threshold needs photographs of the target class and of others")
    levels = np.unique(values)
    candidates = np.concatenate([[levels[0]], (levels[1:] + levels[:-1]) / 2])
    chosen = values[None, :] >= candidates[:, None]
    youden = chosen[:, truth].mean(axis=1) - chosen[:, ~truth].mean(axis=1)
    return float(candidates[int(youden.argmax())])
