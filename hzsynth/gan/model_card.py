"""The model card beside every generator: what it learned from, how good it is, what it is not for."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from hzsynth.core.run import RunDir
from hzsynth.gan.backends import backend_named
from hzsynth.version import __version__

FILE = "MODEL_CARD.md"
INTENDED_USE = (
    "Research use only: images for training and testing of classifiers. They show no patient and are "
    "no basis for a diagnosis."
)


def model_card(
    run: RunDir, result: Mapping[str, Any], exported: Mapping[str, Any] | None = None
) -> str:
    """Writes the card of a run.

    Args:
        run: a GAN run.
        result: what it came to.
        exported: facts of an export, to describe its file.

    Returns:
        Markdown.
    """
    config = run.config
    learned = [image for image in run.training_images() if image.role == "learned"]
    groups = {image.group for image in learned if image.group}
    alone = sum(not image.group for image in learned)
    patients = f"{len(groups)} patients" if groups else "unknown patients"
    if groups and alone:
        patients += f" and {alone} without a patient's name"
    imported = result.get("imported")
    facts = {
        "labels": result["labels"],
        "intended_use": INTENDED_USE,
        "run": run.id,
        "version": __version__,
        "created": run.created,
        "config": config,
        "networks": backend_named(config["backend"]).description(config),
        "digest": run.inputs.get("images", "unknown"),
        "photographs": result["training_images"],
        "patients": patients,
        "held_out": result.get("held_out_images", 0),
        "inherited": run.inputs.get("init"),
        "training": f"imported from {imported}" if imported else _training(result),
        "best": result.get("best"),
        "samples": config["snapshot_samples"],
        "reference": "held-out" if "kid_train" in result.get("last", {}) else "training",
        "alarms": result.get("alarms", ()),
        "exported": exported,
        "licence": "The weights follow from the training photographs: their terms hold for the weights "
        "and for what is made with them.",
    }
    source = resources.files("hzsynth.gan") / "templates" / "model_card.md.j2"
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source.read_text("utf-8")).render(**facts)


def _training(result: Mapping[str, Any]) -> str:
    shown = result["images_shown"] / 1000
    return (
        f"{result['steps']} steps, {shown:.1f} thousand images shown, {result['seconds'] / 60:.1f} "
        f"minutes; kept: step {result['best_step']}; stopped: {result['stopped']}"
    )
