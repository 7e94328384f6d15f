"""polars: the log is a CSV file with blanks, read lazily; one query a statistic, collected together."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
import job

work = job.read()
os.environ["POLARS_MAX_THREADS"] = str(work.threads)
import polars as pl

NUMBERS = {"body_bytes_sent": pl.Int64, "msec": pl.Float64}


def window():
    if work.is_cdn:
        return ((pl.col("msec") / 60).cast(pl.Int64) * 60).alias("window")
    # "[21/Nov/2026:13:25:00": the text of a minute is as good a key as its number.
    return pl.col("time").str.slice(1, 17).alias("window")


def measure(statistic):
    chosen = statistic["measure"]
    if chosen is None:
        return []
    if chosen["field"] in ("body_bytes_sent", "arg_v"):
        return [pl.col(chosen["field"]).sum()]
    number = pl.col(chosen["field"]).cast(pl.Float64, strict=False)
    total = number.sum() if chosen["kind"] == "sum" else number.max()
    return [(total * 1000).round().cast(pl.Int64).alias("value")]


def argument(name):
    return pl.col("request").str.extract(rf"[?&]{name}=([^& ]*)", 1).alias(f"arg_{name}")


schema = {name: NUMBERS.get(name, pl.String) for name in work.columns}
log = pl.scan_csv(work.log, separator=" ", has_header=False, schema=schema)
if work.workload == "w2":
    log = log.select(window(), argument("c"), argument("t"), argument("v").cast(pl.Int64))
else:
    log = log.with_columns(window())
queries = [
    log.group_by(["window", *statistic["by"]]).agg([pl.len(), *measure(statistic)])
    for statistic in work.statistics
]
results = pl.collect_all(queries, engine="streaming")
if work.folder:
    for statistic, rows in zip(work.statistics, results):
        rows.write_csv(work.file(statistic), separator="\t", include_header=False, quote_style="never")
