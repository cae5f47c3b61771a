"""The hzsynth command: its groups, and what errors and interrupts mean to the caller."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

# Set before any library looks: nothing contacts a network by itself.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import typer

import hzsynth
from hzsynth.cli.rooms import Room, Root
from hzsynth.core.errors import HzsynthError
from hzsynth.core.interrupt import INTERRUPTED, deferred_interrupts

ROOMS = (
    Room("demo", "hzsynth.cli.demo:demo", "The whole path on phantom photographs, to report.html."),
    Room("data", "hzsynth.cli.data:app", "Photographs: import, inspect, deduplicate, split."),
    Room("gan", "hzsynth.cli.gan:app", "StyleGAN2 and a light generator for tens of photographs."),
    Room("cyclegan", "hzsynth.cli.cyclegan:app", "Lesions onto the skin of another population."),
    Room("score", "hzsynth.cli.score:score", "Scores a generated set against photographs."),
    Room("audit", "hzsynth.cli.audit:audit", "Looks for copies and membership; exit 3 on failure."),
    Room("augment", "hzsynth.cli.augment:app", "Classical augmentations, to be looked at."),
    Room(
        "build-dataset",
        "hzsynth.cli.build_dataset:build",
        "A training set at a ratio of synthetic to real images.",
    ),
    Room(
        "classify",
        "hzsynth.cli.classify:app",
        "Classifiers: fine-tuning, KDE-CT, evaluation on real photographs, export.",
    ),
    Room("ablate", "hzsynth.cli.ablate:app", "The ablation over ratios, with honest statistics."),
    Room("release", "hzsynth.cli.release:release", "Bundles accepted images; exit 3 when refused."),
    Room("weights", "hzsynth.cli.weights:app", "Pretrained weights: where they are, and if right."),
)


class _Hzsynth(Root):
    rooms = ROOMS


app = typer.Typer(
    name="hzsynth",
    cls=_Hzsynth,
    help="Do synthetic images help a classifier of a rare skin disease, which, and how many?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        print(hzsynth.__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Do synthetic images help a classifier of a rare skin disease, which, and how many?"""


def _explain(error: BaseException) -> tuple[str, int]:
    """The sentence for the user and the exit code of an error that ended a command."""
    if isinstance(error, HzsynthError):
        return f"hzsynth: {error}", error.exit_code
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return "hzsynth: interrupted; repeat the same command to resume", INTERRUPTED
    if hasattr(error, "format_message"):  # a wrong option or argument, found by the parser
        return f"hzsynth: {error.format_message()}", 2
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "hzsynth: out of memory; use a smaller --batch, resolution or data set", 2
    if isinstance(error, OSError):
        place = f" '{error.filename}'" if error.filename else ""
        return f"hzsynth: {error.strerror or error}{place}", 2
    message = f"hzsynth: internal error, {type(error).__name__}: {error}; this is a bug in hzsynth"
    return f"{message} (the same command with --debug shows where)", 1


def run(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and ends the process with its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with deferred_interrupts():
            code = app(list(arguments), standalone_mode=False)
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # type: ignore[attr-defined]
            sys.exit(2)
        if "--debug" in arguments:
            traceback.print_exc()
        message, exit_code = _explain(error)
        print(message, file=sys.stderr)
        sys.exit(exit_code)
    if code == INTERRUPTED:  # the parser turns an interrupt into this code without a word
        print(_explain(KeyboardInterrupt())[0], file=sys.stderr)
    sys.exit(code if isinstance(code, int) else 0)
