"""Memory and time of a GAN training step by resolution and batch, as the tables of docs/gan-tables.md.

Every case is a process of its own that trains some steps of the default pair (light generator, projected
discriminator) or of the plain StyleGAN2 pair on noise, the bank of real views and R1's share
included. Memory is the peak of the whole process (on a GPU: of its allocations); seconds are medians. On
a machine with little memory a case that does not fit is reported as such.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
from common import PeakMemory, hardware, write_rows

from hzsynth.core.devices import choose_compute
from hzsynth.gan.config import GanConfig

PAIRS = {
    "default": {},
    "StyleGAN2": {"generator": "stylegan2", "discriminator": "stylegan2"},
}
RESOLUTIONS, BATCHES = (32, 64, 128, 256, 512), (4, 16)
HEADER = ("pair", "resolution", "batch", "gigabytes", "seconds_a_step", "images_a_second")


def one(pair: str, resolution: int, batch: int, device: str) -> dict[str, float]:
    """Measures a case in this process."""
    from gan_throughput import Ours

    settings = {"resolution": resolution, "batch": batch, **PAIRS[pair]}
    with PeakMemory() as memory:
        compute = choose_compute(device, "auto")
        took = Ours(GanConfig.from_sources(None, settings), compute).seconds_a_step()
    peak = torch.cuda.max_memory_allocated() if compute.device.type == "cuda" else memory.peak
    return {"gigabytes": peak / 1e9, "seconds": took}


def table(rows: list[tuple[object, ...]], where: str, compute: str, threads: int) -> str:
    """The page: Markdown."""
    lines = [
        "# Memory and time of GAN training",
        "",
        f"Made by `python benchmarks/gan_tables.py --write` on {where}; {compute}, {threads} thread{'s' * (threads > 1)}.",
        "GB is the peak of the whole process. A step is one update of both networks; `kimg` = 1,000 images shown.",
    ]
    for pair in PAIRS:
        networks = (
            "light generator, projected discriminator" if pair == "default" else "both StyleGAN2"
        )
        lines += ["", f"## {pair} ({networks})", ""]
        lines += [
            "| px | batch | GB | seconds a step | images/s | minutes a kimg |",
            "|---|---|---|---|---|---|",
        ]
        for name, resolution, batch, memory, took, rate in rows:
            if name == pair:
                ending = f"{1000 / float(rate) / 60:.1f}" if rate != "" else ""
                lines.append(f"| {resolution} | {batch} | {memory} | {took} | {rate} | {ending} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="32 px, batch 4 only")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", action="store_true", help="write docs/gan-tables.md")
    parser.add_argument("--case", nargs=3, metavar=("PAIR", "PX", "BATCH"), help="one, here")
    parser.add_argument("--most-minutes", type=float, default=10, help="for one case")
    options = parser.parse_args()
    if options.case:
        pair, resolution, batch = options.case
        print(json.dumps(one(pair, int(resolution), int(batch), options.device)))
        return
    rows: list[tuple[object, ...]] = []
    for pair in PAIRS:
        for resolution in RESOLUTIONS[: 1 if options.fast else None]:
            for batch in BATCHES[: 1 if options.fast else None]:
                command = [sys.executable, __file__, "--device", options.device]
                command += ["--case", pair, str(resolution), str(batch)]
                try:
                    done = subprocess.run(
                        command, capture_output=True, text=True, timeout=60 * options.most_minutes
                    )
                except subprocess.TimeoutExpired:
                    found = None
                else:
                    found = (
                        json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
                    )
                if found is None:
                    row = (pair, resolution, batch, "", "too slow or too large", "")
                else:
                    memory, took = found["gigabytes"], found["seconds"]
                    row = (
                        pair,
                        resolution,
                        batch,
                        f"{memory:.2f}",
                        f"{took:.3f}",
                        f"{batch / took:.1f}",
                    )
                rows.append(row)
                print(*row, file=sys.stderr, flush=True)
    write_rows("gan_tables", [dict(zip(HEADER, row, strict=True)) for row in rows])
    if options.write:
        page = Path(__file__).parents[1] / "docs" / "gan-tables.md"
        compute, threads = str(choose_compute(options.device)), torch.get_num_threads()
        page.write_text(table(rows, hardware(), compute, threads), encoding="utf-8")
    print(json.dumps({"claim": "memory and time of a training step", "cases": len(rows)}))


if __name__ == "__main__":
    main()
