"""Follows a log that grows at a steady rate: what it costs, and how long a line takes to the database."""

import os
import sqlite3
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import contenders
import logs

STEP_SECONDS = 0.05


@dataclass
class Live:
    lines_per_second: float
    # Of one core, for the whole process.
    cpu_share: float
    peak_mib: float
    # Seconds from the write of a line until it is in the database; one for each step of the writer.
    delays: list


@dataclass
class Writer:
    """Appends a log, line by line, to another; remembers when each step was written."""

    source: Path
    target: Path
    rate: int
    seconds: int
    # Time and lines up to then, for each step.
    steps: list = field(default_factory=list)

    def write(self):
        start, lines = time.monotonic(), 0
        step_lines = int(self.rate * STEP_SECONDS)
        with open(self.source, "rb") as source, open(self.target, "ab", buffering=0) as target:
            for step in range(int(self.seconds / STEP_SECONDS)):
                piece = b"".join(source.readline() for _ in range(step_lines))
                time.sleep(max(0, start + step * STEP_SECONDS - time.monotonic()))
                target.write(piece)
                lines += step_lines
                self.steps.append((time.monotonic(), lines))


def cpu_seconds(process):
    words = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(process):
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def follow(log, rate, seconds, flush, scratch):
    """Feeds that log to evs at `rate` lines a second."""
    folder = contenders.empty(Path(scratch) / "live")
    grows, database = folder / "access.log", folder / "stats.db"
    grows.touch()
    command = logs.evs_command(log, f"sqlite://{database}", folder / "state", 1, flush=flush)
    command[command.index("--log") + 1] = str(grows)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for(database, process)
        writer = Writer(log, grows, rate, seconds)
        thread = threading.Thread(target=writer.write)
        before, start = cpu_seconds(process.pid), time.monotonic()
        thread.start()
        delays = watch(database, writer, thread, int(rate * STEP_SECONDS) * int(seconds / STEP_SECONDS))
        took = time.monotonic() - start
        share = (cpu_seconds(process.pid) - before) / took
        return Live(writer.steps[-1][1] / seconds, share, peak_mib(process.pid), delays)
    finally:
        process.terminate()
        process.wait()


def wait_for(database, process):
    deadline = time.monotonic() + 30
    while not database.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("evs did not start")
        time.sleep(0.01)


def watch(database, writer, thread, total):
    """Asks the database how many lines it has, until it has all."""
    delays, next_step, deadline = [], 0, time.monotonic() + writer.seconds + 60
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)
    while next_step < len(writer.steps) or thread.is_alive():
        try:
            counted = connection.execute("SELECT coalesce(sum(count), 0) FROM status").fetchone()[0]
        except sqlite3.OperationalError:
            # The table is made with the first batch.
            counted = 0
        now = time.monotonic()
        while next_step < len(writer.steps) and writer.steps[next_step][1] <= counted:
            delays.append(now - writer.steps[next_step][0])
            next_step += 1
        if now > deadline:
            raise RuntimeError(f"{counted} of {total} lines arrived")
        time.sleep(0.02)
    connection.close()
    return delays
