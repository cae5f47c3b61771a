"""Which share of copies does the leaning test find, by patients and images?

Claim: the table of docs/audit.md. New images lean on a random patient as phantoms do in the pixels (exponential,
mean .07); copies of random training photographs lean on their patient by 1, the median of phantoms that were turned and
encoded anew. A share counts as found where 9 of 10 draws fall below the gate's level and above its least share.

Run: python benchmarks/audit_power.py [--fast]
"""

import json

import numpy as np
import torch
from common import hardware, parse_fast, versions, write_rows

from hzsynth.audit.config import AuditConfig
from hzsynth.audit.leaning import Leanings, exchange_roles, leaning_test
from hzsynth.audit.power import SHARES
from hzsynth.audit.roles import Roles, each_its_own
from hzsynth.audit.space_tests import leaning_failures

PATIENTS = ((14, 3), (14, 6), (14, 14), (28, 12), (70, 30))
IMAGES = (60, 200, 1000)
_USUAL, _COPY = 0.07, 1.0


def drawn(roles: Roles, images: int, copies: int, rng: np.random.Generator) -> Leanings:
    """Leanings of a set of which some images are copies."""
    everybody, trained = len(roles.asked), len(roles.train)
    on = np.zeros((images, everybody), dtype=np.float32)
    rows = np.arange(images)
    on[rows, rng.integers(everybody, size=images)] = rng.exponential(_USUAL, images)
    on[:copies] = 0
    on[rows[:copies], rng.integers(trained, size=copies)] = _COPY
    return Leanings(torch.from_numpy(on), torch.zeros(images), 1.0)


def found(train: int, held_out: int, images: int, share: float, draws: int) -> float:
    """How often such a share of copies is found."""
    config, rng = AuditConfig(), np.random.default_rng([train, held_out, images])
    roles = each_its_own(train, held_out)
    exchanged = exchange_roles(roles)
    copies = round(share * images)
    return float(
        np.mean(
            [
                bool(
                    leaning_failures(
                        leaning_test(drawn(roles, images, copies, rng), roles, exchanged), config
                    )
                )
                for _ in range(draws)
            ]
        )
    )


def main() -> None:
    fast = parse_fast(__doc__ or "")
    draws = 20 if fast else 400
    table = []
    for train, held_out in PATIENTS:
        for images in IMAGES:
            chances = {x: found(train, held_out, images, x, draws) for x in (0.0, *SHARES)}
            enough = [share for share in SHARES if chances[share] >= 0.9]
            row = {"train": train, "held_out": held_out, "images": images, "draws": draws}
            row |= {"found_from": min(enough) if enough else None, "by_chance": chances[0.0]}
            table.append(row)
    write_rows("audit_power", table)
    print(json.dumps({"power": table, "hardware": hardware(), "versions": versions()}))


if __name__ == "__main__":
    main()
