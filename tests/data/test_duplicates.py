"""Copies in disguise are found, strangers are left alone."""

import io
import itertools
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.phash import hash_bits, nearest_hash
from hzsynth.core.photos import decode_image
from hzsynth.data import copy_search, hash_pairs
from hzsynth.data.appearance import appearance, read_appearance, structure_hash, thumbnail
from hzsynth.data.components import connected
from hzsynth.data.config import LABELS
from hzsynth.data.copy_search import find_copies
from hzsynth.data.duplicates import SHEET, deduplicate, report_duplicates
from hzsynth.data.keypoint_votes import voted_pairs
from hzsynth.data.merge_sheet import merge_sheet
from hzsynth.data.registration import TURNS, mirrored, place
from hzsynth.data.same_photograph import agreement, same_photograph
from hzsynth.data.sources.phantom import render_phantom


def _encoded(pixels: Any, quality: Any = 40) -> Any:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=quality)
    return decode_image(buffer.getvalue(), "copy")


def _disguise(pixels: Any, rng: Any) -> Any:
    view = np.rot90(pixels, rng.integers(4))
    view = view[:, ::-1] if rng.random() < 0.5 else view
    view = np.clip((view - 128.0) * rng.uniform(0.8, 1.2) + 128 + rng.uniform(-20, 20), 0, 255)
    picture = Image.fromarray(np.ascontiguousarray(view.astype(np.uint8)))
    width, height = rng.integers(len(pixels) * 0.73, len(pixels) * 1.46, 2)
    return _encoded(picture.resize((int(width), int(height))))


def _cut(pixels: Any, rng: Any) -> Any:
    side = round(0.8 * len(pixels))
    top, left = rng.integers(0, len(pixels) - side + 1, 2)
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def _marked(pixels: Any, corner: Any, share: Any = 0.1) -> Any:
    """A white block with dark script over a share of the area, in one of the four corners."""
    marked = pixels.copy()
    side = round(len(pixels) * share**0.5)
    rows = slice(0, side) if corner < 2 else slice(-side, None)
    columns = slice(0, side) if corner % 2 else slice(-side, None)
    marked[rows, columns] = 255
    marked[rows, columns][side // 3 : side // 2, 4:-4:3] = 20
    return marked


@pytest.fixture
def set_of(tmp_path: Path) -> Any:
    """Writes pictures as a set."""

    def write(pictures: Any) -> Any:
        with ImageSetWriter(tmp_path / "pictures") as writer:
            for pixels in pictures:
                writer.add(np.ascontiguousarray(pixels), label="any", origin="real")
        return writer.images

    return write


def test_components_agree_with_networkx(rng: np.random.Generator) -> None:
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


def _distance(first: Any, second: Any) -> Any:
    return nearest_hash([first], [second])[0][0]


@pytest.mark.parametrize("count", [3, 40])
def test_pairs_agree_with_comparing_one_by_one(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    # Blocks smaller than the table, so that pairs lie within, beside and across them.
    monkeypatch.setattr(hash_pairs, "_ROWS", 7)
    monkeypatch.setattr(hash_pairs, "_COLUMNS", 16)
    base = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    noise = rng.integers(0, 256, (2, count, 32), dtype=np.uint8)
    table = np.concatenate([base, base ^ (noise[0] & noise[1]), base[:1]])
    hashes = [row.tobytes().hex() for row in table]
    expected = {
        (i, j): _distance(hashes[i], hashes[j])
        for i, j in itertools.combinations(range(len(hashes)), 2)
        if _distance(hashes[i], hashes[j]) <= 0.43
    }
    packed = np.array([np.packbits(hash_bits(digest)) for digest in hashes])
    found: dict[Any, Any] = {}
    for pairs, distances in hash_pairs.near_pairs(packed, threshold=0.43):
        found.update(zip(map(tuple, pairs.tolist()), distances.tolist(), strict=True))
    assert found == pytest.approx(expected)
    assert len(found) > count


def test_nothing_to_compare(set_of: Any) -> None:
    assert list(hash_pairs.near_pairs(np.empty((0, 32), np.uint8), 0.3)) == []
    assert len(voted_pairs([])) == 0
    plain = np.full((40, 40, 3), (200, 160, 140), np.uint8)
    assert structure_hash(thumbnail(plain)) is None
    # Pictures without any structure are not known to be one photograph.
    found = find_copies(set_of([plain, plain - 20, plain - 40]))
    assert (found.clusters.tolist(), found.crops_searched) == ([0, 1, 2], True)


def test_the_structure_hash_knows_its_mirror_images() -> None:
    pixels, _ = render_phantom("eczema", "western", 3, 0, 128)
    upright = structure_hash(thumbnail(pixels)).tobytes().hex()
    for quarter in range(4):
        for view in (np.rot90(pixels, quarter), np.rot90(pixels, quarter)[:, ::-1]):
            turned = structure_hash(thumbnail(np.ascontiguousarray(view))).tobytes().hex()
            assert _distance(upright, turned) <= 0.05
    marked = structure_hash(thumbnail(_marked(pixels, 2))).tobytes().hex()
    assert _distance(upright, marked) <= 0.25


def test_disguised_copies_are_found_and_strangers_are_not(rng: np.random.Generator) -> None:
    pictures = [
        render_phantom(label, "western", p, 0, 128)[0] for label in LABELS for p in range(4)
    ]
    thumbnails = [thumbnail(p) for p in pictures]
    copies = [thumbnail(_disguise(p, rng)) for p in pictures]
    marked = [thumbnail(_marked(p, i % 4)) for i, p in enumerate(pictures)]
    for others in (copies, marked):
        found = [same_photograph(t, c) for t, c in zip(thumbnails, others, strict=True)]
        assert np.mean(found) >= 0.95
    assert not any(same_photograph(a, b) for a, b in itertools.pairwise(thumbnails))


def test_a_mirrored_points_descriptor_is_a_permutation() -> None:
    pixels, _ = render_phantom("herpes_zoster", "western", 2, 0, 128)
    plain, flipped = appearance(pixels), appearance(np.ascontiguousarray(pixels[:, ::-1]))
    own = mirrored(plain.descriptors).astype(float)
    off = np.linalg.norm(own[:, None] - flipped.descriptors[None], axis=2).min(axis=1)
    unmirrored = np.linalg.norm(
        plain.descriptors.astype(float)[:, None] - flipped.descriptors[None], axis=2
    ).min(axis=1)
    assert np.median(off) < 40 < 120 < np.median(unmirrored)


def test_a_crop_is_placed_where_it_was_cut() -> None:
    pixels, _ = render_phantom("herpes_zoster", "western", 2, 0, 200)
    whole = appearance(pixels)
    part = np.ascontiguousarray(pixels[30:190, 10:150])
    # From shares of the whole to shares of the part: 160 of 200 high, 140 of 200 wide.
    cut = np.array([[200 / 140, 0, -10 / 140], [0, 200 / 160, -30 / 160], [0, 0, 1]])
    for turn, matrix in enumerate(TURNS):
        view = np.rot90(part, turn % 4)
        view = view[::-1] if turn >= 4 else view
        found = place(whole, appearance(np.ascontiguousarray(view)))
        inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
        assert found.support >= 10
        np.testing.assert_allclose(found.matrix, (inverse @ cut)[:2], atol=0.02)
        close = agreement(whole.thumbnail, thumbnail(np.ascontiguousarray(view)), found.matrix)
        assert close.is_copy
        assert close.overlap >= 0.5


def test_crops_and_marked_copies_are_found_among_other_views(
    set_of: Any, rng: np.random.Generator
) -> None:
    labels = [label for label in LABELS if label != "normal"]
    pictures = [render_phantom(label, "western", p, 0, 192)[0] for label in labels for p in (1, 2)]
    views = [render_phantom(label, "western", p, 1, 192)[0] for label in labels for p in (1, 2)]
    copies = [_encoded(_cut(p, rng), 70) for p in pictures]
    copies = [np.rot90(c, i) if i % 2 else c[:, ::-1] for i, c in enumerate(copies)]
    images = set_of([*pictures, *copies, *views])
    found = find_copies(images)
    count = len(pictures)
    numbers = found.clusters
    hits = numbers[:count] == numbers[count : 2 * count]
    assert hits.mean() >= 0.85
    assert len(set(numbers.tolist())) == 3 * count - hits.sum()
    assert found.crops == hits.sum() - found.near
    without = find_copies(images, crops=False)
    assert not without.crops_searched
    assert without.crops == 0
    assert len(set(without.clusters.tolist())) > 2 * count


def test_strangers_with_one_logo_stay_apart(set_of: Any) -> None:
    groups = [render_phantom("herpes_zoster", "western", p, 0, 128)[0] for p in (4, 5)]
    patches = [render_phantom("normal", "western", p, 0, 128)[0] for p in range(4)]
    logos = [_marked(p, 2) for p in (*groups, *patches)]
    stamped = [render_phantom("normal", "western", p, 0, 128, logo=True)[0] for p in range(10, 14)]
    # The same skin from two places.
    views = [render_phantom("eczema", "western", 6, view, 128)[0] for view in range(3)]
    pictures = [*logos, *stamped, *views]
    assert len(set(find_copies(set_of(pictures)).clusters.tolist())) == len(pictures)


def test_equal_files_are_joined_unseen(set_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [render_phantom("eczema", "western", p, 0, 64)[0] for p in range(2)]
    images = set_of([pictures[0], pictures[1], pictures[0], pictures[0][:, ::-1], pictures[1]])
    seen = []
    read = read_appearance

    def spy(root: Path, record: ImageRecord) -> Any:
        seen.append(record.file_name)
        return read(root, record)

    monkeypatch.setattr(copy_search, "read_appearance", spy)
    found = find_copies(images)
    assert found.clusters.tolist() == [0, 1, 0, 0, 1]
    assert (found.exact, found.near, found.crops) == (2, 1, 0)
    assert seen == [images.records[i].file_name for i in (0, 1, 3)]
    report = report_duplicates(images, found)
    assert report.files - report.distinct == report.exact + report.near + report.crops
    assert (report.exact, report.crops_searched) == (2, True)


def test_frames_of_one_scene_cost_a_look_each(
    set_of: Any, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    frame, _ = render_phantom("eczema", "western", 1, 0, 64)
    frames = [np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255) for _ in range(30)]
    images = set_of([f.astype(np.uint8) for f in frames])
    looks = []

    def spy(first: Any, second: Any) -> Any:
        looks.append(1)
        return same_photograph(first, second)

    monkeypatch.setattr(copy_search, "same_photograph", spy)
    monkeypatch.setattr(copy_search, "NEAR_DUPLICATE", 0.0)
    assert set(find_copies(images, crops=False).clusters.tolist()) == {0}
    assert len(looks) == len(frames) - 1


def test_of_two_scenes_a_few_frames_stand_for_all(
    set_of: Any, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    scenes = [render_phantom("eczema", "western", p, 0, 64)[0] for p in (1, 2)]
    frames = [np.clip(s + rng.normal(0, 3, s.shape), 0, 255) for s in scenes for _ in range(20)]
    images = set_of([f.astype(np.uint8) for f in frames])
    strange = []

    def spy(first: Any, second: Any) -> Any:
        same = same_photograph(first, second)
        strange.append(not same)
        return same

    monkeypatch.setattr(copy_search, "same_photograph", spy)
    monkeypatch.setattr(copy_search, "_STRUCTURE", 1.0)
    found = find_copies(images, crops=False)
    assert found.clusters.tolist() == [0] * 20 + [1] * 20
    assert sum(strange) <= 3


def test_a_crop_of_a_scene_with_many_frames_is_found(
    set_of: Any, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    frame, _ = render_phantom("herpes_zoster", "western", 2, 0, 128)
    frames = [np.clip(frame + rng.normal(0, 0.5, frame.shape), 0, 255) for _ in range(16)]
    images = set_of([*(f.astype(np.uint8) for f in frames), frame[5:105, 20:120]])
    voters = []

    def spy(looks: Any) -> Any:
        voters.append(len(looks))
        return voted_pairs(looks)

    monkeypatch.setattr(copy_search, "voted_pairs", spy)
    assert set(find_copies(images).clusters.tolist()) == {0}
    # What all of many frames show would count as a logo: three of them vote, and the crop.
    # In the second round one stands for the scene.
    assert voters == [4, 1]


def test_a_sheet_shows_what_was_merged(phantoms: ImageSet) -> None:
    found = find_copies(phantoms)
    clusters = found.clusters
    sheet = merge_sheet(phantoms, clusters)
    report = report_duplicates(phantoms, found)
    framed = (sheet == (0, 150, 80)).all(axis=2)
    # One frame of 4 pixels around 120 by 120 for every photograph.
    assert framed.sum() == len(report.clusters) * (128**2 - 120**2)
    assert merge_sheet(phantoms, clusters, limit=1).size < sheet.size
    pairs = merge_sheet(phantoms, np.arange(len(phantoms)) // 2)
    rows = -(-min(len(phantoms) // 2, 80) // 4)
    assert pairs.shape[0] - 4 == rows * (merge_sheet(phantoms, clusters, limit=1).shape[0] - 4)
    alone = merge_sheet(phantoms, np.arange(len(phantoms)))
    assert not (alone == (0, 150, 80)).all(axis=2).any()


def test_the_phantoms_copies_are_found(phantoms: ImageSet) -> None:
    report = report_duplicates(phantoms, find_copies(phantoms))
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
def tangled(tmp_path: Path) -> Any:
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


def test_the_best_copy_stays_and_patients_are_joined(tangled: Any, tmp_path: Path) -> None:
    kept, report = deduplicate(tangled, tmp_path / "out", conflicts="majority")
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
    assert (tmp_path / "out" / SHEET).is_file()


def test_copies_with_different_labels_are_refused_or_dropped(tangled: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 photographs have copies with different labels"):
        deduplicate(tangled, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    kept, report = deduplicate(tangled, tmp_path / "out", conflicts="drop")
    conflicting = set(report.label_conflicts[0])
    assert len(conflicting) == 3
    assert [r.label for r in kept] == [r.label for r in tangled if r.file_name not in conflicting]


def test_a_set_without_copies_stays(tmp_path: Path, phantoms: ImageSet) -> None:
    originals = phantoms.replace_records(r for r in phantoms if not r.extra["copy_of"])
    kept, report = deduplicate(originals, tmp_path / "out")
    assert [r.sha256 for r in kept] == [r.sha256 for r in originals]
    assert len(report.clusters) + len(report.label_conflicts) + len(report.split_leaks) == 0
