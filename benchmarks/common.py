"""What every benchmark shares: both sides in one run, medians of paired ratios, where it ran.

Torch is imported where it is needed: worker processes import a benchmark's script anew.
"""

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import hzsynth

if TYPE_CHECKING:
    from hzsynth.core.image_set import ImageSet

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Pair:
    """One pair of measurements, taken one directly after the other.

    Attributes:
        case: what was measured, such as ``64 px``.
        ours: seconds.
        theirs: seconds.
    """

    case: str
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.theirs / self.ours


def hardware() -> str:
    """A short name of the processor (or GPU) and the number of cores in use."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name().replace(" ", "-").lower()
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [ln.split(":")[1] for ln in cpuinfo.read_text().splitlines() if "model name" in ln]
        model = names[0].strip() if names else model
    level = torch.backends.cpu.get_cpu_capability()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}-{level}-{cores}-cores".replace(" ", "-").lower()


def versions() -> dict[str, str]:
    """The versions that a figure depends on."""
    import torch

    return {
        "hzsynth": hzsynth.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def photographs(data: Path | None, out: Path) -> "ImageSet":
    """The photographs of a folder; without one phantoms below `out`, drawn the first time only."""
    from hzsynth.core.image_set import ImageSet
    from hzsynth.data.config import PhantomConfig
    from hzsynth.data.loading import open_images
    from hzsynth.data.sources.phantom import import_phantom

    if data is not None:
        return open_images(data)
    kept = out / "phantoms"
    if (kept / "metadata.csv").is_file():
        return ImageSet.load(kept)
    return import_phantom(PhantomConfig(), kept)


def seconds(function: Callable[[], object]) -> float:
    """Wall-clock seconds of one call, the device's queue emptied before and after."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure_pairs(
    case: str, ours: Callable[[], object], theirs: Callable[[], object], repeats: int
) -> list[Pair]:
    """Measures both sides alternately, so that a noisy machine disturbs both alike."""
    ours()
    theirs()
    return [Pair(case, seconds(ours), seconds(theirs)) for _ in range(repeats)]


@dataclass(frozen=True)
class Scaling:
    """Two workers against one, and the machine's own figure: two programs with half the work each.

    Attributes:
        two: seconds with two workers.
        one: seconds with one.
        apart: seconds until two separate processes have done half each.
    """

    two: float
    one: float
    apart: float


def measure_scaling(
    work: Callable[[int], object], half: Callable[[int], object], repeats: int
) -> list[Scaling]:
    """Measures the three alternately.

    Args:
        work: all of it by so many workers.
        half: the first or second half (0, 1) by one; importable by name, or a partial of that.
        repeats: how often.
    """

    def apart() -> None:
        # Nothing that they share, neither a queue nor a table: no program can scale better here.
        processes = [get_context("spawn").Process(target=half, args=(n,)) for n in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            if process.exitcode:
                raise RuntimeError(f"half of the work failed with {process.exitcode}")

    found = []
    for _ in range(repeats):
        found.append(Scaling(seconds(lambda: work(2)), seconds(lambda: work(1)), seconds(apart)))
        print(
            f"two workers {found[-1].one / found[-1].two:.2f} times as fast as one; "
            f"two separate programs {found[-1].one / found[-1].apart:.2f}",
            file=sys.stderr,
            flush=True,
        )
    return found


def spread(ratios: Sequence[float]) -> str:
    """Median, smallest and largest."""
    ordered = sorted(ratios)
    return f"{statistics.median(ordered):.2f} ({ordered[0]:.2f} to {ordered[-1]:.2f})"


def describe_scaling(found: Sequence[Scaling]) -> str:
    """One line: the scaling, the machine's own, and the share of it that is reached."""
    return (
        f"two workers {spread([s.one / s.two for s in found])} times as fast as one, two separate "
        f"programs {spread([s.one / s.apart for s in found])}; "
        f"{spread([s.apart / s.two for s in found])} of that"
    )


def memory_folder() -> str | None:
    """A place for files in memory, where a disk would be measured; None: the usual one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class PeakMemory:
    """Samples twice a second the memory of this process and its children; `peak` in bytes.

    Proportional set sizes (Linux), so that pages that processes share count once.
    """

    def __init__(self) -> None:
        self.peak, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, sum(map(_proportional, _family(os.getpid()))))
            if self._stop.wait(0.5):
                return


def _family(process: int) -> list[int]:
    """The process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    family, waiting = [], [process]
    while waiting:
        member = waiting.pop()
        family.append(member)
        waiting += parents.get(member, [])
    return family


def _proportional(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def in_own_process(script: str, *case: object) -> dict[str, float]:
    """What ``python script --case ...`` prints last, a JSON object: memory is that of a process."""
    command = [sys.executable, script, "--case", *map(str, case)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def parse_fast(description: str) -> bool:
    """Reads the one option of a benchmark: --fast (fewer repeats and sizes)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--fast", action="store_true", help="fewer repeats and sizes")
    return bool(parser.parse_args().fast)


def write_rows(name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes rows of equal keys as the CSV of a benchmark on this machine, with the versions in use.

    With ``--fast`` nothing is written: that run shows that a script works, its figures are no results.
    """
    if "--fast" in sys.argv:
        return
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{name}-{hardware()}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], *versions()])
        writer.writeheader()
        writer.writerows({**row, **versions()} for row in rows)


def report(
    name: str,
    claim: str,
    goal: float,
    pairs: Sequence[Pair],
    claimed: Sequence[str] | None = None,
) -> None:
    """Writes the CSV and prints one JSON object as the last line.

    Args:
        name: of the CSV.
        claim: what the ratio says.
        goal: that it should reach.
        pairs: all measurements.
        claimed: the cases that the claim is about; None: all.
    """
    write_rows(
        name,
        [
            {
                "case": pair.case,
                "ours_s": f"{pair.ours:.6f}",
                "theirs_s": f"{pair.theirs:.6f}",
                "ratio": f"{pair.ratio:.3f}",
            }
            for pair in pairs
        ],
    )
    for case in dict.fromkeys(pair.case for pair in pairs):
        ratios = [pair.ratio for pair in pairs if pair.case == case]
        print(f"{case}: {statistics.median(ratios):.2f} times", file=sys.stderr)
    ratios = sorted(pair.ratio for pair in pairs if claimed is None or pair.case in claimed)
    print(
        json.dumps(
            {
                "claim": claim,
                "ratio": round(statistics.median(ratios), 3),
                "goal": goal,
                "spread": [round(ratios[0], 3), round(ratios[-1], 3)],
                "hardware": hardware(),
                "versions": versions(),
            }
        )
    )
