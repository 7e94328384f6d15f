"""DuckDB: the log is a CSV file with blanks.

Up to ten statistics are grouping sets of one query over it. For thirty it takes half the time to read what
is asked for into a table first, and to make a query for each.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
import duckdb
import job

work = job.read()
NUMBERS = {"body_bytes_sent": "BIGINT", "msec": "DOUBLE", "request_time": "DOUBLE"}
columns = ", ".join(f"'{name}': '{NUMBERS.get(name, 'VARCHAR')}'" for name in work.columns)
source = (
    f"read_csv('{work.log}', delim=' ', quote='\"', escape='', header=false, auto_detect=false, "
    f"columns={{{columns}}})"
)


def argument(name):
    return f"url_decode(regexp_extract(request, '[?&]{name}=([^& ]*)', 1))"


if work.is_cdn:
    window = "CAST(floor(msec / 60) AS BIGINT) * 60 AS window_start"
else:
    window = "substr(time, 2, 17) AS window_start"
FIELDS = {
    "arg_c": argument("c") + " AS arg_c",
    "arg_t": argument("t") + " AS arg_t",
    "arg_v": f"CAST({argument('v')} AS BIGINT) AS arg_v",
    "upstream_response_time": "TRY_CAST(upstream_response_time AS DOUBLE) AS upstream_response_time",
}


def value(measure):
    if measure is None:
        return []
    total = f"{measure['kind']}({measure['field']})"
    if measure["scale"] > 0:
        total = f"CAST(round(coalesce({total}, 0) * 1000) AS BIGINT)"
    return [total]


wanted = {key for statistic in work.statistics for key in statistic["by"]}
wanted |= {statistic["measure"]["field"] for statistic in work.statistics if statistic["measure"]}
fields = ", ".join(FIELDS.get(name, name) for name in sorted(wanted))
database = duckdb.connect()
database.execute(f"SET threads = {work.threads}")
lines = f"(SELECT {window}, {fields} FROM {source})"


def from_grouping_sets():
    keys = sorted({key for statistic in work.statistics for key in statistic["by"]})
    groups = ", ".join(f"(window_start, {', '.join(statistic['by'])})" for statistic in work.statistics)
    totals = ", ".join(["count(*) AS lines", *value(work.statistics[0]["measure"])])
    database.execute(
        f"CREATE TEMP TABLE totals AS SELECT window_start, {', '.join(keys)}, "
        f"grouping({', '.join(keys)}) AS grouped, "
        f"{totals} AS value FROM {lines} GROUP BY GROUPING SETS ({groups})"
    )
    for statistic in work.statistics:
        # A bit for each key that a row is not grouped by, the first key's the highest.
        bits = "".join("0" if key in statistic["by"] else "1" for key in keys)
        by = ", ".join(["window_start", *statistic["by"]])
        yield statistic, f"SELECT {by}, lines, value FROM totals WHERE grouped = {int(bits, 2)}"


def from_table():
    database.execute(f"CREATE TEMP TABLE lines AS {lines}")
    for statistic in work.statistics:
        by = ", ".join(["window_start", *statistic["by"]])
        totals = ", ".join(["count(*)", *value(statistic["measure"])])
        database.execute(
            f"CREATE TEMP TABLE \"{statistic['name']}\" AS SELECT {by}, {totals} FROM lines GROUP BY {by}"
        )
        shown = "* REPLACE (format('{:.3f}', request_time) AS request_time)" if "request_time" in by else "*"
        yield statistic, f"SELECT {shown} FROM \"{statistic['name']}\""


for statistic, rows in from_grouping_sets() if len(work.statistics) <= 10 else from_table():
    if work.folder:
        database.execute(
            f"COPY ({rows}) TO '{work.file(statistic)}' "
            "(FORMAT csv, DELIMITER '\t', HEADER false, QUOTE '', ESCAPE '')"
        )
