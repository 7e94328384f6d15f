"""The results as a table and as numbers for the plot."""

from dataclasses import dataclass


@dataclass
class Result:
    name: str
    kind: str
    workload: str
    title: str
    cores: int
    lines: int
    wall: float
    cpu: float
    peak_mib: float
    spread: float
    runs: int
    wrong: str
    compares: str

    @property
    def rate(self):
        """Million lines a second."""
        return self.lines / self.wall / 1e6


def best_peer(results, workload, cores):
    """The fastest peer whose results are right."""
    peers = [one for one in results if (one.workload, one.cores, one.kind) == (workload, cores, "peer")]
    return max((one for one in peers if not one.wrong), key=lambda one: one.rate, default=None)


def floor_of(results, workload, cores):
    of = [one for one in results if (one.workload, one.cores, one.kind) == (workload, cores, "floor")]
    return of[0] if of else None


def table(results):
    """Markdown. Ratios are to the floor on as many cores, and to the best peer that is right."""
    rows = [
        "| | cores | M lines/s | of the floor | times the best peer | CPU s | peak MiB | runs, spread "
        "| exact |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    titles = dict.fromkeys((one.workload, one.title) for one in results)
    for workload, title in titles:
        rows.append(f"| **{title}** | | | | | | | | |")
        for one in (one for one in results if one.workload == workload):
            floor, best = floor_of(results, workload, one.cores), best_peer(results, workload, one.cores)
            of_floor = f"{one.rate / floor.rate:.2f}" if floor else ""
            times = f"{one.rate / best.rate:.1f}" if best and one.kind != "floor" else ""
            exact = "**no**" if one.wrong else one.compares
            name = f"**{one.name}**" if one.kind == "evs" else one.name
            peak = "< 15" if one.peak_mib < 15 else f"{one.peak_mib:.0f}"
            rows.append(
                f"| {name} | {one.cores} | {one.rate:.2f} | {of_floor} | {times} | {one.cpu:.2f} | {peak} | "
                f"{one.runs}, {one.spread:.0%} | {exact} |"
            )
    wrong = [f"- {one.name}, {one.title}, {one.cores} cores: {one.wrong}" for one in results if one.wrong]
    return "\n".join(rows + (["", "Not exact:", *wrong] if wrong else [])) + "\n"
