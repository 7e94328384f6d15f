"""Connects to a server, with TLS if there is a folder as `EVS_SERVICES_TLS` names one."""

import os
import socket
import ssl


def connect(host, port, folder=None):
    connection = socket.create_connection((host, port), timeout=30)
    if folder is None:
        return connection
    context = ssl.create_default_context(cafile=os.path.join(folder, "ca.pem"))
    if os.path.exists(os.path.join(folder, "client.pem")):
        context.load_cert_chain(os.path.join(folder, "client.pem"), os.path.join(folder, "client.key"))
    return context.wrap_socket(connection, server_hostname=host)
