"""Runs commands as whole processes, pinned to some cores, and accounts for each as the system does."""

import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field


@dataclass
class Run:
    """One run: seconds on the wall, of processors in the process and in the kernel, and the largest resident memory."""

    wall: float
    user: float
    system: float
    peak_mib: float

    @property
    def cpu(self):
        return self.user + self.system


@dataclass
class Runs:
    """The runs of one contender. What is quoted is the median."""

    all: list = field(default_factory=list)

    def median(self, what):
        return statistics.median(getattr(run, what) for run in self.all)

    def spread(self):
        """How far the slowest run was from the fastest, as a share of the median."""
        walls = [run.wall for run in self.all]
        return (max(walls) - min(walls)) / statistics.median(walls)


class Failed(Exception):
    pass


def cores(count):
    """The first of the cores that this process may use; the same ones for everybody."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < count:
        raise Failed(f"{count} cores are asked for, but there are {len(allowed)}")
    return set(allowed[:count])


def run(command, on_cores, output=os.devnull, environment=None):
    """Runs a command to its end.

    The peak counts this small process too, from which the other is forked: nothing below 15 MiB can be
    told apart.
    """
    chosen = cores(on_cores)
    with open(output, "wb") as out, open(os.devnull, "rb") as nothing:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=nothing,
            stdout=out,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, chosen),
        )
        # Whoever says much on its standard error must not wait for it to be read.
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        words = errors.decode(errors="replace").strip()[-500:]
        raise Failed(f"{command[0]} ended with {process.returncode}: {words}")
    return Run(wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss / 1024)


def warm(path):
    """Reads a file, so that it is in the page cache."""
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 20):
            pass
