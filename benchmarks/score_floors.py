"""How often does score call a perfect generator worse, and does it notice wrong ones?

A program draws patients, each with one to three photographs that are alike; a generator is perfect when its
images are fresh patients of the same program. Wrong populations are shifted, collapsed, or copies of
the training photographs. Features are 16 numbers, so that hundreds of scenes take minutes; the scenes are
those of `tests/score/scenes.py`.
"""

import json
import sys
from pathlib import Path

from common import hardware, parse_fast, versions, write_rows

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hzsynth.statistics.intervals import proportion_interval
from tests.score.scenes import flagged, scene

_MOST, _LEAST = 0.07, 0.9
_KINDS = ("perfect", "shifted", "collapsed", "copier")


def main() -> None:
    scenes = 30 if parse_fast(__doc__ or "") else 200
    rows: list[dict[str, object]] = []
    shares: dict[str, str] = {}
    wrong = []
    for kind in _KINDS:
        found = 0
        for seed in range(scenes):
            report = scene(10_000 + seed, kind)
            worse = [s.kind for s in report.scores if s.beyond_floor]
            found += flagged(report)
            rows.append(
                {"kind": kind, "seed": seed, "flagged": flagged(report), "by": " ".join(worse)}
            )
        low, high = proportion_interval(found, scenes)
        shares[kind] = f"{found / scenes:.3f} [{low:.3f}, {high:.3f}]"
        print(f"{kind}: flagged in {shares[kind]}", file=sys.stderr, flush=True)
        if (low > _MOST) if kind == "perfect" else (high < _LEAST):
            wrong.append(kind)
    write_rows("score_floors", rows)
    print(
        json.dumps(
            {
                "claim": "perfect generators are flagged in at most 7 % of scenes, wrong ones in 90 %",
                "flagged": shares,
                "scenes": scenes,
                "hardware": hardware(),
                "versions": versions(),
            }
        )
    )
    if wrong:
        raise SystemExit(f"flagged too often or too seldom: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
