"""Says one statement to a Cassandra server: `cql.py HOST PORT STATEMENT [FOLDER]`, with the certificates in that
folder if the server asks for TLS. Fails if the server does not obey.

Just enough of the protocol (version 4) to see whether a node is ready and to make a keyspace, so that no
client has to be installed.
"""

import struct
import sys

from tls import connect

STARTUP, READY, QUERY, RESULT = 0x01, 0x02, 0x07, 0x08
CONSISTENCY_ONE = 1


def call(stream, opcode, body):
    """Sends a request and returns the kind and the body of the answer."""
    stream.write(struct.pack(">BBHBI", 0x04, 0, 0, opcode, len(body)) + body)
    stream.flush()
    header = stream.read(9)
    if len(header) < 9:
        sys.exit("the connection was closed")
    _, _, _, answer, length = struct.unpack(">BBHBI", header)
    return answer, stream.read(length)


def string(text):
    return struct.pack(">H", len(text)) + text.encode()


def main():
    host, port, statement, *folder = sys.argv[1:]
    with connect(host, int(port), *folder) as connection:
        stream = connection.makefile("rwb")
        answer, body = call(stream, STARTUP, struct.pack(">H", 1) + string("CQL_VERSION") + string("3.0.0"))
        if answer == READY:
            text = statement.encode()
            query = struct.pack(">I", len(text)) + text + struct.pack(">HB", CONSISTENCY_ONE, 0)
            answer, body = call(stream, QUERY, query)
        if answer not in (READY, RESULT):
            sys.exit(f"answer {answer:#04x}: {body!r}")


main()
