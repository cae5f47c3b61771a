"""Commands that several processes work on together, as a user starts them."""

import os
import socket
import subprocess
import sys


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launched(*arguments: object, processes: int = 2) -> list[str]:
    """Lines of standard output of ``accelerate launch -m hzsynth ...`` on the CPU in float32."""
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    launch += ["--num_processes", str(processes), "--main_process_port", str(free_port())]
    command = [sys.executable, *launch, "-m", "hzsynth", *map(str, arguments)]
    done = subprocess.run(
        [*command, "--device", "cpu", "--precision", "fp32"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()
