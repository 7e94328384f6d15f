"""Who takes part in which workload, and how each is run and checked."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import digests
import logs
import measure

PROGRAMS = Path(__file__).resolve().parent / "programs"
# A peer that takes minutes for what others do in a second gets a tenth of the lines, and one run.
SLOW = 10


@dataclass
class Workload:
    """A log and the statistics of it that are computed."""

    name: str
    title: str
    log: Path
    statistics: list
    lines: int


@dataclass
class Contender:
    """A command that computes a workload on some cores."""

    name: str
    workload: Workload
    cores: int
    run: Callable[[], measure.Run]
    # What is wrong with its results; it runs once more for that, unless its last run has left them.
    check: Callable[[], str]
    kind: str = "peer"
    rounds: int = 1000
    # What `check` compares, as the table says it.
    compares: str = "all rows"


def empty(folder):
    shutil.rmtree(folder, ignore_errors=True)
    Path(folder).mkdir(parents=True)
    return Path(folder)


def floor(workload, cores):
    command = [str(logs.RELEASE / "count-newlines"), str(workload.log), str(cores)]
    return Contender(
        "floor: pread, count newlines",
        workload,
        cores,
        lambda: measure.run(command, cores),
        lambda: "",
        "floor",
        compares="",
    )


def evs(workload, cores, scratch, sink):
    """evs as its users run it: from an empty state directory to the last acknowledgement."""
    folder = Path(scratch) / "evs"
    database, summary = folder / "stats.db", folder / "summary.json"
    url = f"sqlite://{database}" if sink == "sqlite" else "discard://"
    command = logs.evs_command(workload.log, url, folder / "state", cores, len(workload.statistics)) + [
        "--once"
    ]

    def run():
        empty(folder)
        return measure.run(command, cores, summary)

    def check():
        if sink == "sqlite":
            return digests.of_sqlite(database, workload.statistics)
        return digests.of_summary(summary, digests.expected(workload.log))

    if sink == "sqlite":
        return Contender("evs", workload, cores, run, check, "evs")
    return Contender("evs, to its durable binlog", workload, cores, run, check, "evs", compares="lines")


def python_peer(peers, name, wheel, workload, cores, scratch):
    """A library for Python. Timed runs compute the results; a further one writes them down, too."""
    program = [str(peers.python), str(PROGRAMS / f"with_{wheel}.py")]
    command = [*program, str(workload.log), str(len(workload.statistics)), str(cores)]
    # Read when the library is loaded.
    environment = {"POLARS_MAX_THREADS": str(cores)}

    def check():
        folder = empty(Path(scratch) / "results")
        measure.run([*command, str(folder)], cores, environment=environment)
        return digests.of_folder(folder, workload.statistics)

    version = peers.version(wheel)
    return Contender(
        f"{name} {version}",
        workload,
        cores,
        lambda: measure.run(command, cores, environment=environment),
        check,
    )


def printing_peer(name, workload, cores, scratch, command, compare, environment=None, rounds=1000):
    """A program that prints its results, which is then part of its time."""
    results = Path(scratch) / "printed"
    return Contender(
        name,
        workload,
        cores,
        lambda: measure.run(command, cores, results, environment),
        lambda: compare(results, workload.statistics),
        rounds=rounds,
    )


def all_of(workload, slow, cores, peers, scratch):
    """Everybody who can compute the workload; `slow` is the same with fewer lines."""
    yield floor(workload, cores)
    if workload.name == "w3-30":
        yield evs(workload, cores, scratch, "discard")
    yield evs(workload, cores, scratch, "sqlite")
    for name, wheel in [("polars", "polars"), ("DuckDB", "duckdb"), ("ClickHouse (chDB)", "chdb")]:
        if peers.has_wheel(wheel):
            yield python_peer(peers, name, wheel, workload, cores, scratch)
    if cores == 1 and workload.name != "w3-30" and (mawk := peers.program("mawk")):
        program = PROGRAMS / f"{workload.name.split('-')[0]}.awk"
        command = [mawk, "-F", '"', "-f", str(program), str(workload.log)]
        name = f"mawk {peers.version('mawk')}"
        yield printing_peer(name, workload, cores, scratch, command, digests.of_lines)
    if workload.name in ("w1", "w2") and (mtail := peers.program("mtail")):
        program = PROGRAMS / f"{workload.name}.mtail"
        command = [
            mtail,
            "--one_shot",
            "--one_shot_format=json",
            "--logs",
            str(slow.log),
            "--progs",
            str(program),
        ]
        name = f"mtail {peers.version('mtail')}"
        yield printing_peer(name, slow, cores, scratch, command, digests.of_mtail, rounds=1)
    if workload.name == "w1" and cores == 1 and (goaccess := peers.program("goaccess")):
        results = Path(scratch) / "goaccess.json"
        command = [goaccess, str(slow.log), "--log-format=COMBINED", "--no-global-config", "-o", str(results)]
        yield Contender(
            f"GoAccess {peers.version('goaccess')}, its own panels",
            slow,
            cores,
            lambda: measure.run(command, cores, environment=peers.libraries()),
            lambda: digests.of_goaccess(results, slow.statistics),
            rounds=1,
            compares="sums",
        )
