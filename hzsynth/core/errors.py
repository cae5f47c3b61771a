"""The few errors a user sees, each with the exit code of the command that meets it."""


class HzsynthError(Exception):
    """Base of every error whose message is written for the user: one clear sentence.

    Attributes:
        exit_code: process exit code of a command that ends with this error.
    """

    exit_code = 2


class InputError(HzsynthError):
    """Wrong use or bad input: names the argument or file, what is allowed and what came."""

    exit_code = 2


class RefusedError(HzsynthError):
    """Refused on principle: broken lineage, a failed gate or a failed audit."""

    exit_code = 3


class TrainingDivergedError(HzsynthError):
    """A loss or a weight is no longer a number; the run keeps its last good checkpoint."""

    exit_code = 1
