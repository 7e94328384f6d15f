"""What the programs of all peers are given: a log, how many statistics and threads, and where results go.

    PROGRAM LOG STATISTICS THREADS [FOLDER]

Without a folder, results are computed and dropped: only that is timed. With it, each statistic becomes a
file of tab-separated rows (window, keys, lines, value), for its digest to be compared.
"""

import json
import sys
from pathlib import Path

COMBINED = [
    "remote_addr",
    "dash",
    "remote_user",
    "time",
    "zone",
    "request",
    "status",
    "body_bytes_sent",
    "http_referer",
    "http_user_agent",
]
CDN = [
    "time_iso8601",
    "msec",
    "host",
    "remote_addr",
    "request_method",
    "request_uri",
    "server_protocol",
    "status",
    "body_bytes_sent",
    "request_time",
    "upstream_response_time",
    "upstream_cache_status",
    "pop",
    "node",
    "geoip_country_code",
    "sent_http_content_type",
    "ssl_protocol",
    "ssl_cipher",
    "http_referer",
    "http_user_agent",
    "http_range",
    "request_id",
]


class Job:
    def __init__(self, arguments):
        self.log = arguments[0]
        self.threads = int(arguments[2])
        self.folder = Path(arguments[3]) if len(arguments) > 3 else None
        expected = json.loads(Path(self.log + ".expected.json").read_text())
        self.workload = expected["workload"]
        self.statistics = expected["statistics"][: int(arguments[1])]
        self.is_cdn = self.workload.startswith("w3")
        self.columns = CDN if self.is_cdn else COMBINED

    def file(self, statistic):
        return str(self.folder / f"{statistic['name']}.tsv")


def read():
    return Job(sys.argv[1:])
