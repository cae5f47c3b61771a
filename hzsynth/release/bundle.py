"""The stage `release`: a bundle of generated images that may leave an enclave.

It holds accepted images, figures, a card and the committee's checklist. It holds no photograph,
no mask and no weights, and nothing by which a photograph or a patient could be looked up. Lineage
is left out and not salted: a digest under a secret that is thrown away says nothing, and one that
is kept is a pseudonym to be guarded; who must trace an image finds it inside, where the set, the
audit (tied to the bundle by its sha256) and the runs remain.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hzsynth.core.errors import RefusedError
from hzsynth.core.families import Families
from hzsynth.core.files import explain_os_error
from hzsynth.core.image_files import encode_png, write_below
from hzsynth.core.image_record import METADATA, ImageRecord, metadata_csv
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import refuse_existing
from hzsynth.core.partial import PartialFolder
from hzsynth.core.phash import perceptual_hash
from hzsynth.core.photos import decode_image
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.release.card import card
from hzsynth.release.check import SUMS
from hzsynth.release.checklist import checklist
from hzsynth.release.config import ReleaseConfig
from hzsynth.release.evidence import Evidence, gather_evidence, read_audit
from hzsynth.release.facts import Facts
from hzsynth.version import __version__

_GENERATED = ("light", "stylegan2", "cyclegan", "tone", "diffusion", "external")
README, METRICS = "README.md", "metrics.json"


def release_images(
    fake: ImageSet,
    audit_folder: Path,
    out: Path,
    config: ReleaseConfig,
    *,
    score_file: Path | None = None,
    runs: Sequence[RunDir] = (),
    force: bool = False,
    progress: Progress = SILENT,
) -> Facts:
    """Writes the bundle; nothing appears at `out` until it is whole.

    Args:
        fake: the generated images.
        audit_folder: what ``hzsynth audit`` wrote about them.
        out: the bundle's folder.
        config: the settings.
        score_file: what ``hzsynth score --out`` wrote about them, or None.
        runs: the generators' runs.
        force: replace a bundle that is already there; never overrides a refusal.
        progress: where progress is shown.

    Returns:
        What the card tells.

    Raises:
        InputError: audit, scores or runs are of other images, or `out` cannot be written to.
        RefusedError: the gate failed, an image is or derives from a photograph, has changed since
            the audit, or none is left.
    """
    refuse_existing(out, force)
    audit = read_audit(audit_folder)
    fake = fake if audit.label is None else fake.select(label=audit.label)
    if fake.digest != audit.figures["digests"]["fake"]:
        raise RefusedError(
            f"the audit '{audit_folder}' is of other images than '{fake.root}': repeat `hzsynth audit`"
        )
    accepted = [record for record in fake if record.sha256 not in audit.dropped]
    if not accepted:
        raise RefusedError("every image is on the audit's drop list: none is left to release")
    _check_generated(accepted, fake)
    evidence = gather_evidence(audit, fake, score_file, runs)
    # The new order follows from the content alone, so it tells nothing about the old one.
    accepted.sort(key=lambda r: hashlib.sha256(f"{config.seed}\x1f{r.sha256}".encode()).digest())
    partial = _open(out)
    try:
        rows = _write_images(partial.root, fake, accepted, progress)
        facts = _facts(config, len(fake), rows, evidence)
        texts = _texts(facts, rows)
        for name, text in texts.items():
            write_below(partial.root, name, text.encode())
        _write_sums(partial.root, [*texts, *(row.file_name for row in rows)])
        partial.publish(out)
    except OSError as error:
        raise explain_os_error("write to", out, error) from error
    finally:
        partial.close(keep=False)
    return facts


def _facts(
    config: ReleaseConfig, audited: int, rows: Sequence[ImageRecord], evidence: Evidence
) -> Facts:
    return Facts(
        config=config,
        audited=audited,
        left_out=audited - len(rows),
        classes=dict(sorted(Counter(row.label for row in rows).items())),
        sizes=tuple(sorted({(row.width, row.height) for row in rows})),
        metrics={
            "hzsynth": __version__,
            "released": len(rows),
            "audit": evidence.audit,
            "scores": list(evidence.scores),
            "generators": list(evidence.generators),
        },
    )


def _texts(facts: Facts, rows: Sequence[ImageRecord]) -> dict[str, str]:
    """The bundle's texts by file name."""
    return {
        METADATA: metadata_csv(rows),
        METRICS: json.dumps(facts.metrics, indent=2, ensure_ascii=False) + "\n",
        README: card(facts),
        "checklist.en.md": checklist(facts, "en"),
        "checklist.ko.md": checklist(facts, "ko"),
    }


def _check_generated(accepted: Sequence[ImageRecord], fake: ImageSet) -> None:
    families = Families([fake])
    for record in accepted:
        if record.origin not in _GENERATED:
            raise RefusedError(
                f"'{record.file_name}' is {record.origin}: only generated images are released"
            )
        if families.edits_a_photograph(record):
            raise RefusedError(
                f"'{record.file_name}' is a training photograph or an edited one, not a new image"
            )


def _open(out: Path) -> PartialFolder:
    try:
        return PartialFolder(out)
    except OSError as error:
        raise explain_os_error("write to", out, error) from error


def _write_images(
    root: Path, fake: ImageSet, accepted: Sequence[ImageRecord], progress: Progress
) -> list[ImageRecord]:
    """Encodes the pixels anew and gives rows that name nothing but class, size and content."""
    rows = []
    with progress.task("writing the bundle", total=len(accepted), unit="img") as task:
        for number, record in enumerate(accepted, start=1):
            data = fake.read_bytes(record)
            if hashlib.sha256(data).hexdigest() != record.sha256:
                raise RefusedError(f"'{fake.path(record)}' has changed since the audit")
            pixels = decode_image(data, str(fake.path(record)))
            plain = encode_png(pixels)
            name = f"images/{number:06d}.png"
            write_below(root, name, plain)
            rows.append(
                ImageRecord(
                    file_name=name,
                    label=record.label,
                    source="synthetic",
                    origin="external",
                    sha256=hashlib.sha256(plain).hexdigest(),
                    phash=perceptual_hash(pixels),
                    width=pixels.shape[1],
                    height=pixels.shape[0],
                )
            )
            task.advance(1)
    return rows


def _write_sums(root: Path, names: Sequence[str]) -> None:
    """Checksums of all other files, in the form of `sha256sum`; the last file to be written."""
    lines = [
        f"{hashlib.sha256((root / name).read_bytes()).hexdigest()}  {name}\n"
        for name in sorted(names)
    ]
    write_below(root, SUMS, "".join(lines).encode())
