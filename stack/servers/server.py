"""What every server of the stack offers to the supervision."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from stack.account import Account
from stack.install.everything import Programs
from stack.layout import Layout
from stack.supervision import SERVERS
from telematics.settings import Settings

SERVER_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class PortUse:
    """A port that a process listens on, and the setting that moves it."""

    port: int
    setting: str
    host: str
    is_service: bool = False
    """Services have a host setting each; the servers share PISTON_HOST."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A server ready to be started."""

    command: list[str]
    account: Account
    is_changed: bool
    """Whether its configuration differs from what a running process of it has read."""
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ground:
    """What the servers of one stack stand on."""

    settings: Settings
    layout: Layout
    account: Account
    identity: str


class Server(ABC):
    """One server of one stack. Nothing here starts or stops a process."""

    name: ClassVar[str]
    title: ClassVar[str]
    group: ClassVar[str] = SERVERS
    """Its group under the supervisor, which restarts a whole group when a program joins it."""
    start_patience_s: ClassVar[float] = 90.0
    """A loaded machine of two cores starts all within 30 s; ClickHouse and Kafka replay after a crash."""
    stop_signal: ClassVar[str] = "TERM"
    stop_patience_s: ClassVar[int] = 30

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    @property
    def settings(self) -> Settings:
        """The stack's settings."""
        return self.ground.settings

    @property
    def folder(self) -> Path:
        """The server's own folder: configuration and data."""
        return self.ground.layout.server_data(self.name)

    @property
    def marker(self) -> str:
        """What only this server's command line holds: its own folder, with the slash that ends its name."""
        return f"{self.folder}/"

    @property
    @abstractmethod
    def ports(self) -> tuple[PortUse, ...]:
        """The ports it listens on, the one for clients first."""

    @abstractmethod
    def prepare(self, programs: Programs) -> Prepared:
        """Write its configuration and, the first time, its empty data folder.

        Raises:
            StackError: the machine or the data folder does not allow it.
        """

    @abstractmethod
    def check(self) -> str:
        """Ask it, by its own protocol, who it is; returns what it says of itself, in a few words.

        Raises:
            ProbeError: no answer within a second or two, or another server answers.
        """

    def finish(self) -> None:  # noqa: B027 - most servers need nothing
        """Bring a server that runs to where `check` succeeds: accounts and databases. Does nothing twice."""
