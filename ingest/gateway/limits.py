"""How much one peer may ask of the gateway."""

from dataclasses import dataclass
from typing import Self

from telematics.settings import Settings


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a connection; times in seconds."""

    max_frame_bytes: int = 65_536
    """Longest data field."""
    login_timeout_s: float = 15.0
    idle_timeout_s: float = 300.0
    frame_timeout_s: float = 30.0
    """From the first byte of a frame that is not complete: a peer that drips bytes ends here."""
    max_connections: int = 20_000
    max_in_flight: int = 32
    """Unconfirmed frames of one connection; then it is not read. Trackers stop and wait, so they have one."""
    max_unread_answer_bytes: int = 4096
    """Acknowledgements that a peer leaves unread beyond its socket's buffer."""
    max_frames_per_s: float = 0.0
    """What one device may send; a second's worth at once. 0 is no limit."""
    quarantines_unknown: bool = False
    """Let unknown devices log in and keep their frames apart."""
    answer_timeout_s: float = 30.0
    """After this an unanswered command no longer keeps the next one waiting."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The limits that the settings ask for."""
        return cls(
            max_frame_bytes=settings.gateway_max_frame_bytes,
            login_timeout_s=settings.gateway_login_timeout_s,
            idle_timeout_s=settings.gateway_idle_timeout_s,
            frame_timeout_s=settings.gateway_frame_timeout_s,
            max_connections=settings.gateway_max_connections,
            max_frames_per_s=settings.gateway_max_frames_per_s,
            quarantines_unknown=settings.unknown_devices == "quarantine",
            answer_timeout_s=settings.command_answer_timeout_s,
        )

    @property
    def sweep_s(self) -> float:
        """How often deadlines are looked at: a timer a connection would be set anew with every frame."""
        shortest = min(self.login_timeout_s, self.idle_timeout_s, self.frame_timeout_s)
        return min(1.0, max(0.02, shortest / 4))
