"""Sockets of the device ports, opened with what every connection on them inherits.

The kernel hands the options of a listening socket on to the connections that it accepts (Linux, tcp(7)), so
they cost nothing per connection: a send buffer that holds thousands of acknowledgements but no flood of them,
and probes that find peers which vanished without a word, also while we keep them waiting.
"""

import errno
import socket
import ssl
from pathlib import Path
from typing import Final

from telematics.errors import ConfigurationError

BACKLOG: Final = 4096
"""Connections that wait to be accepted; one more has to try again seconds later."""
_SEND_BUFFER_BYTES: Final = 16_384
_RECEIVE_BUFFER_BYTES: Final = 4_194_304
"""Of the UDP port: some 3,000 datagrams that arrive while the loop is busy."""
_PROBE_AFTER_S: Final = 120
_PROBE_EVERY_S: Final = 30
_PROBES: Final = 4


def open_tcp(
    host: str, port: int, *, reuse_port: bool, setting: str = "PISTON_GATEWAY_PORT"
) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigurationError: the port is taken or the address is not ours; names `setting`.
    """
    listening = _bind(host, port, socket.SOCK_STREAM, setting, reuse_port=reuse_port)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PROBE_AFTER_S)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_EVERY_S)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
    listening.listen(BACKLOG)
    return listening


def open_udp(host: str, port: int, *, reuse_port: bool) -> socket.socket:
    """A bound UDP socket.

    Raises:
        ConfigurationError: the port is taken or the address is not ours.
    """
    bound = _bind(host, port, socket.SOCK_DGRAM, "PISTON_GATEWAY_UDP_PORT", reuse_port=reuse_port)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    return bound


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """How to speak TLS, or None if neither file is given.

    Raises:
        ConfigurationError: one of the two is missing, or they cannot be read, or do not belong together.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        message = "TLS needs both PISTON_GATEWAY_TLS_CERTIFICATE and PISTON_GATEWAY_TLS_KEY"
        raise ConfigurationError(message)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        message = (
            f"TLS of the device port: {error.strerror or type(error).__name__}; "
            f"PISTON_GATEWAY_TLS_CERTIFICATE and PISTON_GATEWAY_TLS_KEY are PEM files that belong together"
        )
        raise ConfigurationError(message) from error
    return context


def _bind(host: str, port: int, kind: socket.SocketKind, setting: str, *, reuse_port: bool) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        message = f"the address {host} does not exist ({error.strerror}); see PISTON_GATEWAY_HOST"
        raise ConfigurationError(message) from error
    opened = socket.socket(family, kind)
    try:
        opened.setblocking(False)
        if kind is socket.SOCK_STREAM:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind(address)
    except OSError as error:
        opened.close()
        raise ConfigurationError(_problem(error, host, port, setting)) from error
    return opened


def _problem(error: OSError, host: str, port: int, setting: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken; stop what listens there or set {setting}"
    return f"cannot listen on {host}:{port} ({error.strerror}); see PISTON_GATEWAY_HOST and {setting}"
