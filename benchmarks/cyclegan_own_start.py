"""Does what a CycleGAN learns earn its place over the closed-form tone map where it starts?

Western zoster phantoms are mapped onto healthy Korean phantom skin; with ``--data DIR`` a class of real
photographs (``--label``) is mapped onto its class ``normal``. For every seed a translation is trained from its
colour start and compared on held-out patients with that start: distance in ITA, KID and texture of patches
without lesion (a feature space that sees no tone), each gain with its error between patients, and the share of
the change that an affine map of colours explains. It has earned its place when it is nearer to the target in
KID or texture beyond twice the error, in neither further away, in every seed.

    python benchmarks/cyclegan_own_start.py [--fast] [--data DIR --label L] [--steps N | --minutes M] [--seeds N]
"""

import argparse
import json
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from common import hardware, versions, write_rows
from cyclegan_preservation import LABEL, phantoms, real_photographs

from hzsynth.core.devices import choose_compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.cyclegan.baselines import TONE
from hzsynth.cyclegan.comparison import Comparison, compare
from hzsynth.cyclegan.config import ComparisonConfig, CycleGanConfig
from hzsynth.cyclegan.gate import MODEL, Row
from hzsynth.cyclegan.training import load_generator, train_cyclegan
from hzsynth.cyclegan.translation import translate_pixels


def compared(
    source: ImageSet, target: ImageSet, config: CycleGanConfig, folder: Path, largest: int
) -> tuple[Comparison, int]:
    """Trains, and compares with the start on photographs that were not learned from."""
    compute = choose_compute()
    with RunDir.start(folder, "cyclegan", config, {}) as run:
        trained = train_cyclegan(source, target, config, run, compute=compute)
    generator, _ = load_generator(run, compute)
    settings = ComparisonConfig(
        size=config.resolution, largest=largest, seed=config.seed, alternatives=False
    )
    translated = partial(translate_pixels, generator, size=config.resolution, compute=compute)
    learned = run.training_images()
    return compare(translated, learned, source, target, settings, compute=compute), trained.steps


def earned(row: Row) -> bool:
    """Whether a trained translation shows more than its start."""
    gains = [gain for gain in (row.kid_gain, row.texture_gain) if gain is not None]
    return any(g.is_nearer for g in gains) and not any(g.is_further for g in gains)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--fast", action="store_true", help="64 px, few steps, one seed")
    parser.add_argument("--data", type=Path, help="folder of class folders, normal among them")
    parser.add_argument("--label", default=LABEL, help="class of --data with lesions")
    parser.add_argument("--size", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--minutes", type=float, help="training time instead of steps")
    parser.add_argument("--patients", type=int, help="phantom patients of a domain")
    parser.add_argument("--seeds", type=int)
    given = parser.parse_args()
    size, patients, steps, seeds = (64, 24, 40, 1) if given.fast else (128, 100, 400, 3)
    size, patients = given.size or size, given.patients or patients
    budget: dict[str, float] = {"steps": given.steps or steps}
    if given.minutes is not None:
        budget = {"minutes": given.minutes}
    lines: list[dict[str, object]] = []
    models: list[Row] = []
    starts: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        if given.data is None:
            source, target = phantoms(Path(folder), size, patients)
        else:
            source, target = real_photographs(given.data, given.label, Path(folder))
        for seed in range(given.seeds or seeds):
            config = CycleGanConfig(
                objective="cyclegan", resolution=size, seed=seed, snapshots=1, **budget
            )
            run = Path(folder) / f"run-{seed}"
            result, made = compared(source, target, config, run, 150)
            rows = {row.method: row for row in result.rows}
            models.append(rows[MODEL])
            starts.append(rows[TONE])
            floors = {"kid_floor": result.kid_floor, "texture_floor": result.texture_floor}
            lines += [
                {
                    "seed": seed,
                    "steps": made,
                    "tone_floor": result.tone_floor,
                    **floors,
                    **row.flat(),
                }
                for row in result.rows
            ]
            print(
                f"seed {seed}, {made} steps: ITA {rows[TONE].tone:.2f} -> {rows[MODEL].tone:.2f}, KID "
                f"{rows[TONE].kid} -> {rows[MODEL].kid} (gain {rows[MODEL].kid_gain}), texture "
                f"{rows[TONE].texture} -> {rows[MODEL].texture} (gain {rows[MODEL].texture_gain}), colour map "
                f"{rows[MODEL].colour_map}, floors {floors}, lesions kept {rows[MODEL].retention}",
                file=sys.stderr,
                flush=True,
            )
            write_rows("cyclegan_own_start" + (f"-{given.label}" if given.data else ""), lines)
    wins = [earned(row) for row in models]
    pairs = [s.kid / m.kid for s, m in zip(starts, models, strict=True) if s.kid and m.kid]
    print(
        json.dumps(
            {
                "claim": f"KID of the closed-form start over that of CycleGAN after {budget}, {size} px, n = "
                f"{models[0].pictures}; earned in {sum(wins)} of {len(wins)} seeds",
                "ratio": round(statistics.median(pairs), 3) if pairs else None,
                "goal": 1.0,
                "spread": [round(min(pairs), 3), round(max(pairs), 3)] if pairs else None,
                "earned": all(wins),
                "colour_map": [row.colour_map for row in models],
                "hardware": hardware(),
                "versions": versions(),
            }
        )
    )


if __name__ == "__main__":
    main()
