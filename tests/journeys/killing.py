"""Processes that are killed at work: when to strike, and what outlives it."""

import subprocess
import time
from pathlib import Path


def until_writing(folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 200
    while not any(folder.rglob("*.png")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def members(session: int) -> list[int]:
    """Processes of a session that have not ended."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if fields[3] == str(session) and fields[0] != "Z":
            found.append(int(entry.name))
    return found
