"""What an audit leaves: the page to look at, the figures as JSON, and the list of images to drop."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hzsynth.audit.discriminator_attack import DiscriminatorAttack
from hzsynth.audit.distances import Distances
from hzsynth.audit.membership import Membership
from hzsynth.audit.result import AuditResult, SpaceAudit, Verdict
from hzsynth.core.files import atomic_write_text
from hzsynth.core.image_set import ImageSet
from hzsynth.data.loading import load_pixels
from hzsynth.report.contact_sheet import contact_sheet
from hzsynth.report.page import HtmlPage, Tone
from hzsynth.report.style import (
    BLUE,
    MUTED,
    ORANGE,
    add_legend,
    label_axes,
    new_figure,
    use_fonts,
)

PAGE, FIGURES, DROP = "report.html", "audit.json", "drop.txt"
_SIDE, _COLUMNS = 96, 12
_TONES: Mapping[Verdict, Tone] = {"passes": "good", "unsure": "unsure", "fails": "bad"}
_COPYING_CAPTION = (
    "near: share of images below the threshold, with the exact probability that new photographs give "
    "as many; C_T: below -3 the images are nearer than new photographs; authentic: farther from a "
    "training photograph than that is from its neighbour; leaning: on whose photographs the images lean, that "
    "is, how much poorer an image is explained without this patient's; .5 where training and held-out "
    "patients are leaned on alike, with the probability by exchanging them."
)
_MEMBERSHIP_CAPTION = (
    "How well the images tell who was in the training set: AUC (.5 is chance) with its 95 % interval, true "
    "positives at 1 % false ones; control: the same between two parts of the held-out photographs, of which "
    "nobody was in training, with the spread that chance gives. The discriminator's row is "
    "the attack of somebody who holds the network."
)


def write_audit(
    result: AuditResult, fake: ImageSet, train: ImageSet, held_out: ImageSet, out: Path
) -> Path:
    """Writes ``report.html``, ``audit.json`` and ``drop.txt``.

    Args:
        result: of `audit_images`.
        fake: the generated images.
        train: the photographs that the generator learned from.
        held_out: photographs that it did not see.
        out: a folder.

    Returns:
        The page's path.

    Raises:
        InputError: it cannot be written.
    """
    page = HtmlPage(
        "Audit of generated images",
        f"{len(fake)} generated, {len(train)} training, {len(held_out)} held-out photographs",
    )
    page.verdict(result.sentence(), _TONES[result.verdict])
    page.section("The closest pairs").figure(
        closest_sheet(result, fake, train, held_out),
        caption="Generated images (above), the training photograph nearest to each (middle) and "
        "the nearest photograph that the generator did not see (below), the closest first. The "
        "number is the distance over that of the nearest 5 % of held-out photographs: below 1 is "
        "nearer than new photographs come by chance.",
        alt="Rows of generated images with their nearest photographs.",
    )
    page.section("Are they copies?").table(
        pd.DataFrame([*map(_copying_row, result.spaces)]), caption=_COPYING_CAPTION
    )
    page.section("Can it be told who was in training?").table(
        pd.DataFrame(
            [
                *({"compared by": a.space, **_attack_cells(a.membership)} for a in result.spaces),
                *_discriminator_row(result.discriminator),
            ]
        ),
        caption=_MEMBERSHIP_CAPTION,
    )
    if result.discriminator is not None:
        page.section("The discriminator").text(result.discriminator.sentence())
    if result.doubts:
        page.section("What this audit could not see").text(f"{'; '.join(result.doubts)}.")
    figures = page.section("Distances")
    for distances, audit in zip(result.distances, result.spaces, strict=True):
        figures.figure(
            distance_plot(distances, audit),
            caption=f"{audit.space}: a set of copies lies left of the held-out photographs.",
            alt="Two curves of distances to the nearest training photograph.",
        )
    page.section("Images to drop").text(
        f"{len(result.dropped)} of {len(fake)} images are perceptual copies, or lean on one training patient "
        "more than photographs lean on another patient, in the pixels or in both feature spaces; "
        f"`{DROP}` lists them for `hzsynth build-dataset --drop`."
    )
    atomic_write_text(out / FIGURES, json.dumps(result.to_json(), indent=2, ensure_ascii=False))
    atomic_write_text(out / DROP, "".join(f"{digest}\n" for digest in result.dropped))
    page.write(out / PAGE)
    return out / PAGE


def _copying_row(audit: SpaceAudit) -> dict[str, str]:
    near = audit.nearness
    return {
        "compared by": audit.space,
        "gate": "fails" if audit.failures else "passes",
        "near": f"{near.share:.0%} (p {near.p_near:.2g})",
        "C_T": f"{near.c_t:.1f}",
        "authentic": f"{near.authentic:.0%}",
        "leaning": f"{audit.leaning.share:.2f} (p {audit.leaning.p:.2g})",
    }


def _discriminator_row(attack: DiscriminatorAttack | None) -> list[dict[str, str]]:
    if attack is None:
        return []
    verdict = "fails" if attack.failures else "passes"
    gate = verdict if attack.gates else f"informs: {verdict}"
    return [{"compared by": f"discriminator ({gate})", **_attack_cells(attack.membership)}]


def _attack_cells(attack: Membership) -> dict[str, str]:
    return {
        "member AUC": f"{attack.auc:.2f} ({attack.low:.2f} to {attack.high:.2f})",
        "TPR at 1 %": f"{attack.tpr:.2f}",
        "control": f"{attack.control:.2f} ± {attack.control_spread:.2f}",
    }


def closest_sheet(
    result: AuditResult, fake: ImageSet, train: ImageSet, held_out: ImageSet
) -> NDArray[np.uint8]:
    """Rows of generated image, nearest training and nearest held-out photograph: H x W x 3 uint8."""
    pictures, captions = [], []
    for start in range(0, len(result.pairs), _COLUMNS):
        pairs = result.pairs[start : start + _COLUMNS]
        blank = torch.full((_COLUMNS - len(pairs), 3, _SIDE, _SIDE), 255, dtype=torch.uint8)
        for images, rows in (
            (fake, [pair.fake for pair in pairs]),
            (train, [pair.train for pair in pairs]),
            (held_out, [pair.held_out for pair in pairs]),
        ):
            chosen = images.replace_records([images.records[row] for row in rows])
            pictures += [load_pixels(chosen, _SIDE), blank]
        captions += [f"{pair.closeness:.2f}" for pair in pairs] + [""] * len(blank)
        captions += ["train"] * len(pairs) + [""] * len(blank)
        captions += ["held-out"] * len(pairs) + [""] * len(blank)
    return contact_sheet(torch.cat(pictures), _COLUMNS, captions)


def distance_plot(distances: Distances, audit: SpaceAudit) -> Figure:
    """Cumulative distances to the nearest training photograph."""
    figure, axes = new_figure()
    for values, name, color in (
        (distances.to_train.min(dim=1).values, "generated", ORANGE),
        (distances.held_out, "held-out", BLUE),
    ):
        ordered = np.sort(values.numpy())
        share = np.arange(1, len(ordered) + 1) / len(ordered)
        axes.step(ordered, share, where="post", color=color, linewidth=1.9, label=name)
    for number, threshold in enumerate(audit.nearness.thresholds.values()):
        label = "" if number else "near"
        axes.axvline(threshold, color=MUTED, linestyle="--", linewidth=1.2, label=label)
    axes.set(ylim=(-0.01, 1.02))
    title = f"{audit.space}\nC_T {audit.nearness.c_t:.1f}, near {audit.nearness.share:.0%}"
    label_axes(axes, title, "distance to the nearest training photograph", "share of the images")
    add_legend(axes)
    return use_fonts(figure)
