"""Valkey with an append-only file: what it holds must survive a restart."""

import hashlib
import socket
from typing import ClassVar, Final

from stack.errors import ProbeError
from stack.install import valkey as programs_of_valkey
from stack.install.everything import Programs
from stack.layout import make_private, write_private
from stack.servers.server import PortUse, Prepared, Server

_CONFIGURATION: Final = """\
bind {host}
protected-mode yes
port {port}
dir "{data}"
daemonize no
# the process must stay recognisable by its command line
set-proc-title no
logfile ""
loglevel notice
# the password as its SHA-256; clients send the password itself
user default on #{password_sha256} ~* &* +@all
# state that must survive: written at once, synced every second; evicting it would be losing it
appendonly yes
appendfsync everysec
save ""
maxmemory 1gb
maxmemory-policy noeviction
"""
_TIMEOUT_S = 1.5


class Valkey(Server):
    """The stack's Valkey."""

    name: ClassVar[str] = "valkey"
    title: ClassVar[str] = "Valkey"

    @property
    def ports(self) -> tuple[PortUse, ...]:
        """The one port."""
        return (PortUse(self.settings.valkey_port, "PISTON_VALKEY_PORT", self.settings.host),)

    def configuration(self) -> str:
        """The text of valkey.conf."""
        password = self.settings.valkey_password.get_secret_value()
        return _CONFIGURATION.format(
            host=self.settings.host,
            port=self.settings.valkey_port,
            data=self.folder / "data",
            password_sha256=hashlib.sha256(password.encode()).hexdigest(),
        )

    def prepare(self, programs: Programs) -> Prepared:
        """Write the configuration and make the data folder."""
        account = self.ground.account
        make_private(self.folder, account.uid, account.gid)
        make_private(self.folder / "data", account.uid, account.gid)
        path = self.folder / "valkey.conf"
        is_changed = write_private(path, self.configuration(), account.uid, account.gid)
        program = programs.valkey / programs_of_valkey.BIN / "valkey-server"
        return Prepared([str(program), str(path)], account, is_changed)

    def check(self) -> str:
        """PING with the password, and the configuration file it names must be ours."""
        host, port = self.settings.host, self.settings.valkey_port
        password = self.settings.valkey_password.get_secret_value()
        try:
            with socket.create_connection((host, port), _TIMEOUT_S) as connection:
                connection.settimeout(_TIMEOUT_S)
                commands = (("AUTH", password), ("PING",), ("INFO", "server"), ("QUIT",))
                connection.sendall(b"".join(encode_command(*words) for words in commands))
                received = b""
                while part := connection.recv(65_536):
                    received += part
        except OSError as error:
            message = f"Valkey at {host}:{port} does not answer ({error})"
            raise ProbeError(message) from error
        answer = received.decode(errors="replace")
        if not answer.startswith("+OK\r\n+PONG\r\n"):
            message = (
                f"Valkey at {host}:{port} answers {answer.splitlines()[:1]}: is PISTON_VALKEY_PASSWORD right?"
            )
            raise ProbeError(message)
        facts = dict(line.split(":", 1) for line in answer.splitlines() if ":" in line)
        if facts.get("config_file") != str(self.folder / "valkey.conf"):
            message = (
                f"port {port} is answered by another Valkey; set PISTON_VALKEY_PORT to a port of your own"
            )
            raise ProbeError(message)
        return f"version {facts.get('valkey_version', 'unknown')}"


def encode_command(*words: str) -> bytes:
    """A command in RESP, Redis's protocol: an array of bulk strings."""
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
