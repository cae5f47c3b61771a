"""Copies in disguise are found, strangers are left alone."""

import io

import networkx
import numpy as np
import pytest
from PIL import Image

from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.phash import hash_distance, perceptual_hash
from hzsynth.data.duplicates import (
    candidate_pairs,
    connected,
    deduplicate,
    duplicate_clusters,
    report_duplicates,
    same_photograph,
    thumbnail,
)
from hzsynth.data.photos import decode_image
from hzsynth.data.sources.phantom import LABELS, render_phantom


def _disguise(pixels, rng):
    view = np.rot90(pixels, rng.integers(4))
    view = view[:, ::-1] if rng.random() < 0.5 else view
    view = np.clip((view - 128.0) * rng.uniform(0.8, 1.2) + 128 + rng.uniform(-20, 20), 0, 255)
    picture = Image.fromarray(np.ascontiguousarray(view.astype(np.uint8)))
    width, height = rng.integers(70, 140, 2)
    buffer = io.BytesIO()
    picture.resize((width, height)).save(buffer, "JPEG", quality=40)
    return decode_image(buffer.getvalue(), "copy")


def test_components_agree_with_networkx(rng):
    for count in (1, 5, 40):
        pairs = [tuple(p) for p in rng.integers(0, count, (count // 2, 2)).tolist()]
        graph = networkx.Graph(pairs)
        graph.add_nodes_from(range(count))
        numbers = connected(count, pairs)
        expected = {frozenset(c) for c in networkx.connected_components(graph)}
        found = {frozenset(np.flatnonzero(numbers == n).tolist()) for n in set(numbers.tolist())}
        assert found == expected
        firsts = [int(np.flatnonzero(numbers == n)[0]) for n in range(len(found))]
        assert firsts == sorted(firsts)


def test_candidates_agree_with_comparing_one_by_one(rng):
    base = rng.integers(0, 256, (3, 32), dtype=np.uint8)
    hashes = [b.tobytes().hex() for b in base]
    hashes += [
        np.bitwise_xor(b, rng.integers(0, 2, 32, dtype=np.uint8)).tobytes().hex() for b in base
    ]
    hashes += ["", hashes[0]]
    pairs, distances = candidate_pairs(hashes, threshold=0.45)
    expected = {
        (i, j): hash_distance(hashes[i], hashes[j])
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if hash_distance(hashes[i], hashes[j]) <= 0.45
    }
    found = dict(zip(map(tuple, pairs.tolist()), distances.tolist(), strict=True))
    assert found == pytest.approx(expected)


def test_nothing_to_compare():
    assert len(candidate_pairs([])[0]) == len(candidate_pairs(["", "ff" * 32, ""])[0]) == 0


def test_disguised_copies_are_found_and_strangers_are_not(rng):
    pictures = [render_phantom(label, "western", p, 0, 96)[0] for label in LABELS for p in range(6)]
    copies = [_disguise(p, rng) for p in pictures]
    hashes = [perceptual_hash(p) for p in pictures]
    thumbnails = [thumbnail(p) for p in pictures]
    found = [
        hash_distance(h, perceptual_hash(c)) <= 0.31 and same_photograph(t, thumbnail(c))
        for h, t, c in zip(hashes, thumbnails, copies, strict=True)
    ]
    assert np.mean(found) >= 0.95
    pairs, _ = candidate_pairs(hashes)
    assert not any(same_photograph(thumbnails[i], thumbnails[j]) for i, j in pairs)


def test_the_phantoms_copies_are_found(phantoms):
    report = report_duplicates(phantoms, duplicate_clusters(phantoms))
    names = {r.file_name.rsplit("/", 1)[1].removesuffix(".png"): r for r in phantoms}
    wanted = {
        frozenset((r.file_name, names[r.extra["copy_of"]].file_name))
        for r in phantoms
        if r.extra["copy_of"]
    }
    # Two copies of one photograph make one cluster of three.
    assert all(any(pair <= set(cluster) for cluster in report.clusters) for pair in wanted)
    assert set().union(*report.clusters) == set().union(*wanted)
    assert report.files == len(phantoms)
    assert report.distinct == len(phantoms) - 5


@pytest.fixture
def tangled(tmp_path):
    """One photograph under two labels, two splits and two patients, in three sizes."""
    big, _ = render_phantom("herpes_zoster", "western", 1, 0, 96)
    other, _ = render_phantom("eczema", "western", 2, 0, 96)
    half = np.asarray(Image.fromarray(big).resize((64, 64), Image.Resampling.LANCZOS))
    with ImageSetWriter(tmp_path / "tangled") as writer:
        for pixels, label, split, group in (
            (half, "herpes_zoster", "train", "p1"),
            (big[:, ::-1], "herpes_zoster", "test", ""),
            (np.rot90(half), "eczema", "train", "p2"),
            (other, "eczema", "train", "p2"),
        ):
            writer.add(
                np.ascontiguousarray(pixels),
                label=label,
                split=split,
                group=group,
                origin="real",
            )
    return writer.images


def test_the_best_copy_stays_and_patients_are_joined(tangled, tmp_path):
    kept, report = deduplicate(tangled, tmp_path / "out")
    assert (report.files, report.distinct) == (4, 2)
    assert sorted(report.label_conflicts[0].values()) == [
        "eczema",
        "herpes_zoster",
        "herpes_zoster",
    ]
    assert sorted(report.split_leaks[0].values()) == ["test", "train", "train"]
    zoster, eczema = sorted(kept, key=lambda r: r.label, reverse=True)
    assert (zoster.label, zoster.width) == ("herpes_zoster", 96)
    assert zoster.group == eczema.group == "p1"
    assert len(tangled) == 4


def test_a_set_without_copies_stays(tmp_path, phantoms):
    originals = phantoms.replace_records(r for r in phantoms if not r.extra["copy_of"])
    kept, report = deduplicate(originals, tmp_path / "out")
    assert [r.sha256 for r in kept] == [r.sha256 for r in originals]
    assert report.clusters == report.label_conflicts == report.split_leaks == ()
