"""Compares results with what the generator of a log says that they must be.

A result is rows of a statistic: window, keys, lines, and a value if the statistic has one, with tabs between
them. Its digest is that of evs_testkit::Digest: the number of rows, their lines and values added up, and the
sum of their CRC-32, so that neither a row nor a digit can be wrong unseen.
"""

import calendar
import functools
import json
import sqlite3
import time
import zlib
from pathlib import Path


def expected(log):
    return json.loads(Path(f"{log}.expected.json").read_text())


@functools.lru_cache(maxsize=1000)
def seconds(window):
    """A window that is the text of a minute, `21/Nov/2026:13:25`, as its first second."""
    return window if window.isdigit() else str(calendar.timegm(time.strptime(window, "%d/%b/%Y:%H:%M")))


def differs(rows, statistic):
    """What is wrong with the rows of a statistic; an empty text if nothing is."""
    found = {"rows": 0, "lines": 0, "total": 0, "checksum": 0}
    has_value = statistic["measure"] is not None
    for row in rows:
        window, rest = row.rstrip("\n").split("\t", 1)
        fields = rest.rsplit("\t", 2 if has_value else 1)
        found["rows"] += 1
        found["lines"] += int(fields[1])
        found["total"] += int(fields[2] or 0) if has_value else 0
        found["checksum"] += zlib.crc32(f"{seconds(window)}\t{rest}".encode())
    total = statistic["measure"]["total"] if has_value else 0
    right = {**{name: statistic[name] for name in ("rows", "lines", "checksum")}, "total": total}
    wrong = [f"{name} {found[name]} for {right[name]}" for name in right if found[name] != right[name]]
    return f"{statistic['name']}: {', '.join(wrong)}" if wrong else ""


def first_difference(results):
    """`results`: pairs of a statistic and its rows."""
    return next((wrong for statistic, rows in results if (wrong := differs(rows, statistic))), "")


def of_folder(folder, statistics):
    """A file for each statistic."""
    return first_difference((one, open(Path(folder) / f"{one['name']}.tsv")) for one in statistics)


def of_lines(path, statistics):
    """One file, where the statistic's name is the first field."""
    rows = {one["name"]: [] for one in statistics}
    for line in open(path):
        name, row = line.split("\t", 1)
        rows[name].append(row)
    return first_difference((one, rows[one["name"]]) for one in statistics)


def of_sqlite(path, statistics):
    """The tables of evs."""

    def rows(one):
        # The schema says: window, keys, count, measure. Python's own text of an integer is the shortest.
        for row in database.execute(f'SELECT * FROM "{one["name"]}"'):
            yield "\t".join(map(str, row))

    database = sqlite3.connect(path)
    try:
        return first_difference((one, rows(one)) for one in statistics)
    finally:
        database.close()


def of_summary(path, log):
    """What evs prints at its end."""
    summary = json.loads(Path(path).read_text().splitlines()[-1])
    wrong = [
        f"{name} {summary[name]} for {log[name]}"
        for name in ("lines", "rejected")
        if summary[name] != log[name]
    ]
    return ", ".join(wrong)


def of_goaccess(path, statistics):
    """GoAccess has panels of its own; of them, the number of lines and of bytes can be compared."""
    general = json.loads(Path(path).read_text())["general"]
    found = (general["valid_requests"], general["bandwidth"])
    right = (statistics[0]["lines"], statistics[0]["measure"]["total"])
    return "" if found == right else f"lines and bytes {found} for {right}"


def of_mtail(path, statistics):
    """One counter for the lines, and one for the values; each has its keys."""
    metrics = json.loads(Path(path).read_text())
    lines, values = (
        {tuple(one["Labels"]): one["Value"]["Value"] for one in metrics[name][0]["LabelValues"]}
        for name in ("lines", next(name for name in metrics if name != "lines"))
    )
    rows = ("\t".join([*keys, str(count), str(values[keys])]) for keys, count in lines.items())
    return differs(rows, statistics[0])
