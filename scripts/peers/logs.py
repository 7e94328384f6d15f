"""Builds what is measured, and generates the logs."""

import subprocess
from pathlib import Path

import digests

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "target/release"
EVS = RELEASE / "examples/access_log"


def build():
    cargo = ["cargo", "build", "--release", "--quiet"]
    subprocess.run([*cargo, "--example", "access_log"], cwd=ROOT, check=True)
    subprocess.run([*cargo, "--package", "evs-testkit", "--bins"], cwd=ROOT, check=True)


def generate(folder, workload, lines, *options):
    """The path of a log, which is made unless it is there with as many lines."""
    path = Path(folder) / f"{'-'.join([workload, *(option.strip('-') for option in options)])}-{lines}.log"
    if not path.with_name(path.name + ".expected.json").exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([RELEASE / "generate-log", workload, str(lines), path, *options], check=True)
    return path


def remove(path):
    for file in (path, path.with_name(path.name + ".expected.json")):
        file.unlink(missing_ok=True)


def evs_command(log, sink, state, workers, statistics=None, flush=None):
    """`access_log` with the statistics of that log's workload, as its arguments have them."""
    expected = digests.expected(log)
    command = [EVS, "--log", log, "--format", expected["format"], "--sink", sink, "--state", state]
    command += ["--workers", str(workers)]
    for statistic in expected["statistics"][:statistics]:
        spec = statistic["spec"] + (f"; flush={flush}" if flush else "")
        command += ["--stat", spec]
    return [str(word) for word in command]
