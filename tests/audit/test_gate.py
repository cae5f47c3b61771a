"""Copying and membership: closed forms, and generators whose faults are planted."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hzsynth.audit.config import AuditConfig
from hzsynth.audit.feature_spaces import pixel_space
from hzsynth.audit.gate import audit_images
from hzsynth.audit.page import write_audit
from hzsynth.audit.result import AuditResult
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.data.sources.phantom import render_phantom

PIXELS = pixel_space()


def _set(path: Path, pictures: list[np.ndarray], origin: str = "phantom") -> ImageSet:
    with ImageSetWriter(path) as writer:
        for number, picture in enumerate(pictures):
            group = f"{path.name}-{number}" if origin == "phantom" else ""
            writer.add(picture, label="herpes_zoster", origin=origin, group=group)
    return writer.images


def _phantoms(start: int, count: int) -> list[np.ndarray]:
    return [
        render_phantom("herpes_zoster", "western", number, 0, 48)[0]
        for number in range(start, start + count)
    ]


def _disguised(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A flip or turn, encoded as JPEG."""
    turned = np.rot90(picture, int(rng.integers(4)))
    if rng.random() < 0.5:
        turned = turned[:, ::-1]
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(turned)).save(buffer, "JPEG", quality=60)
    with Image.open(io.BytesIO(buffer.getvalue())) as read:
        return np.asarray(read)


@pytest.fixture(scope="module", params=[0, 1])
def planted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ImageSet, ImageSet, dict[str, ImageSet]]:
    """Photographs, others of other patients, and four generators."""
    root, seed = tmp_path_factory.mktemp("planted"), request.param
    rng, start = np.random.default_rng(seed), 1000 * seed
    photographs, unseen = _phantoms(start, 30), _phantoms(start + 200, 30)
    fresh = _phantoms(start + 400, 60)
    copies = [_disguised(photographs[i % 30], rng) for i in range(60)]
    generators = {
        "copies": _set(root / "copies", copies, "stylegan2"),
        "few": _set(root / "few", [*copies[:3], *fresh[:57]], "stylegan2"),
        "half": _set(root / "half", [*copies[:30], *fresh[:30]], "stylegan2"),
        "fresh": _set(root / "fresh", fresh, "stylegan2"),
    }
    return _set(root / "train", photographs), _set(root / "held-out", unseen), generators


def _audit(planted: Any, name: str) -> AuditResult:
    train, held_out, generators = planted
    return audit_images(
        generators[name], train, held_out, AuditConfig(), compute=CPU_FP32, spaces=[PIXELS]
    )


def test_copies_fail_half_copies_fail_and_fresh_images_pass(
    planted: tuple[ImageSet, ImageSet, dict[str, ImageSet]],
) -> None:
    copies, half, fresh = (_audit(planted, name) for name in ("copies", "half", "fresh"))
    assert (copies.passed, half.passed, fresh.passed) == (False, False, True)
    assert len(copies.dropped) == 60
    # A generator that copies half of the time is not mended by leaving out what was noticed.
    generators = planted[2]
    guilty = {record.sha256 for record in generators["half"].records[:30]}
    assert guilty <= set(half.dropped)
    assert half.passes_without_dropped is False
    assert "mends nothing" in half.sentence()


@pytest.mark.slow
def test_half_copies_never_pass_without_their_list(
    planted: tuple[ImageSet, ImageSet, dict[str, ImageSet]],
) -> None:
    train, held_out, generators = planted
    copies, fresh = (generators[name].records for name in ("copies", "fresh"))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        chosen = [pool[row] for pool in (copies, fresh) for row in rng.permutation(60)[:20]]
        # Both lie side by side: a set of both is one of their common folder.
        parent = train.root.parent
        records = [
            replace(r, file_name=f"{'copies' if n < 20 else 'fresh'}/{r.file_name}")
            for n, r in enumerate(chosen)
        ]
        result = audit_images(
            ImageSet(parent, records),
            train,
            held_out,
            AuditConfig(seed=seed),
            compute=CPU_FP32,
            spaces=[PIXELS],
        )
        assert not result.passed
        assert not result.passes_without_dropped
        assert "mends nothing" in result.sentence()


def test_a_few_copies_are_left_out_and_the_rest_passes(
    planted: tuple[ImageSet, ImageSet, dict[str, ImageSet]],
) -> None:
    few = _audit(planted, "few")
    assert not few.passed
    guilty = {record.sha256 for record in planted[2]["few"].records[:3]}
    assert guilty <= set(few.dropped)
    assert len(few.dropped) <= 9
    assert few.passes_without_dropped
    assert "it passes" in few.sentence()


def test_held_out_photographs_do_not_choose_what_is_dropped(
    planted: tuple[ImageSet, ImageSet, dict[str, ImageSet]],
) -> None:
    """The list goes into a training set, so it may not know them."""
    train, held_out, generators = planted
    fake = generators["few"].replace_records(generators["few"].records[:20])
    dropped = [
        audit_images(fake, train, unseen, AuditConfig(), compute=CPU_FP32, spaces=[PIXELS]).dropped
        for unseen in (held_out[:10], held_out[10:])
    ]
    assert dropped[0] == dropped[1] != ()


def test_a_gate_that_could_not_have_seen_copies_is_not_green(
    planted: tuple[ImageSet, ImageSet, dict[str, ImageSet]],
) -> None:
    train, held_out, generators = planted
    fresh = generators["fresh"]
    fake = fresh.replace_records(fresh.records[:10])
    few = held_out.replace_records(held_out.records[:9])
    config = AuditConfig(least_found=0.05)
    result = audit_images(fake, train, few, config, compute=CPU_FP32, spaces=[PIXELS])
    assert result.passed
    assert result.verdict == "unsure"
    assert "and it should find 5%" in result.sentence()
    assert _audit(planted, "fresh").found_from <= 0.3


def test_pairs_name_the_photograph_that_was_copied(
    planted: tuple[ImageSet, ImageSet, dict[str, ImageSet]],
) -> None:
    result = _audit(planted, "copies")
    assert all(pair.train == pair.fake % 30 for pair in result.pairs)
    assert [p.closeness for p in result.pairs] == sorted(p.closeness for p in result.pairs)


def test_what_is_written_is_what_was_found(
    planted: tuple[ImageSet, ImageSet, dict[str, ImageSet]], tmp_path: Path
) -> None:
    train, held_out, generators = planted
    result = _audit(planted, "half")
    page = write_audit(result, generators["half"], train, held_out, tmp_path / "audit")
    text = page.read_text(encoding="utf-8")
    assert "The gate fails" in text
    assert "What this audit could not see" not in text
    stored = json.loads((tmp_path / "audit" / "audit.json").read_text(encoding="utf-8"))
    assert stored["passed"] is False
    assert stored["found_from"] is None
    assert (tmp_path / "audit" / "drop.txt").read_text().split() == list(result.dropped)


def test_sets_that_cannot_be_audited_are_refused(
    planted: tuple[ImageSet, ImageSet, dict[str, ImageSet]],
) -> None:
    train, held_out, generators = planted
    fresh, config = generators["fresh"], AuditConfig()
    few = held_out.replace_records(held_out.records[:1])
    for fake, seen, unseen, match in (
        (fresh, train, few, "`held_out` holds 1"),
        (fresh, fresh, held_out, "photographs only"),
        (fresh, train, train, "in `train` and in `held_out`"),
    ):
        with pytest.raises(InputError, match=match):
            audit_images(fake, seen, unseen, config, compute=CPU_FP32, spaces=[PIXELS])
