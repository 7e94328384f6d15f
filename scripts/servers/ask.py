"""Says to a server with TLS what comes in: `ask.py PORT FOLDER BYTES`. Fails if its answer is shorter than that."""

import sys

from tls import connect

port, folder, length = sys.argv[1:]
with connect("127.0.0.1", int(port), folder) as connection:
    stream = connection.makefile("rwb")
    stream.write(sys.stdin.buffer.read())
    stream.flush()
    if len(stream.read(int(length))) < int(length):
        sys.exit("the connection was closed")
