"""DuckDB: the log is a CSV file with blanks; all statistics are grouping sets of one query."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
import duckdb
import job

work = job.read()
NUMBERS = {"body_bytes_sent": "BIGINT", "msec": "DOUBLE", "request_time": "VARCHAR"}
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
if work.workload == "w2":
    source = (
        f"(SELECT time, {argument('c')} AS arg_c, {argument('t')} AS arg_t, "
        f"CAST({argument('v')} AS BIGINT) AS arg_v FROM {source})"
    )

AGGREGATES = {
    None: None,
    ("sum", "body_bytes_sent"): "sum(body_bytes_sent)",
    ("sum", "arg_v"): "sum(arg_v)",
    ("sum", "request_time"): "CAST(round(sum(CAST(request_time AS DOUBLE)) * 1000) AS BIGINT)",
    ("sum", "upstream_response_time"):
        "CAST(round(coalesce(sum(TRY_CAST(upstream_response_time AS DOUBLE)), 0) * 1000) AS BIGINT)",
    ("max", "request_time"): "CAST(round(max(CAST(request_time AS DOUBLE)) * 1000) AS BIGINT)",
}


def measure(statistic):
    chosen = statistic["measure"]
    return chosen and (chosen["kind"], chosen["field"])


sets = sorted({tuple(statistic["by"]) for statistic in work.statistics})
keys = sorted({key for group in sets for key in group})
measures = sorted({measure(statistic) for statistic in work.statistics} - {None})
values = ", ".join(f"{AGGREGATES[one]} AS value_{at}" for at, one in enumerate(measures))
groups = ", ".join(f"(window_start, {', '.join(group)})" for group in sets)
database = duckdb.connect()
database.execute(f"SET threads = {work.threads}")
database.execute(
    f"CREATE TEMP TABLE totals AS SELECT {window}, {', '.join(keys)}, grouping({', '.join(keys)}) AS grouped, "
    f"count(*) AS lines, {values} FROM {source} GROUP BY GROUPING SETS ({groups})"
)
if work.folder:
    for statistic in work.statistics:
        # A bit for each key that a row is not grouped by, the first key's the highest.
        bits = "".join("0" if key in statistic["by"] else "1" for key in keys)
        value = [f"value_{measures.index(measure(statistic))}"] if statistic["measure"] else []
        shown = ", ".join(["window_start", *statistic["by"], "lines", *value])
        database.execute(
            f"COPY (SELECT {shown} FROM totals WHERE grouped = {int(bits, 2)}) TO '{work.file(statistic)}' "
            "(FORMAT csv, DELIMITER '\t', HEADER false, QUOTE '', ESCAPE '')"
        )
