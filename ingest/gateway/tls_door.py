"""The TLS port: accepts connections and makes TLS of them, in a place of its own among the gateway's.

A connection counts against the cap from the moment it is accepted. An unfinished handshake costs more memory
than a session (uvloop keeps a buffer of 256 KiB for each), so whoever opens thousands and finishes none shall
meet the same cap as everybody. `create_server` tells nobody when a handshake fails; hence the loop here.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Final, Protocol

from ingest.gateway.device_protocol import DeviceProtocol
from ingest.gateway.hub import Device, Hub
from ingest.gateway.stats import Refusal

_NO_FILES_S: Final = 0.1
"""Wait after an accept that failed: out of open files, the listening socket stays readable."""


class DoorHub(Hub, Protocol):
    """What a door needs of its gateway."""

    def reserve(self, device: Device) -> bool:
        """Keep a place for a connection until it enters or leaves; False if there are too many."""


class TlsDoor:
    """One listening socket whose connections speak TLS."""

    def __init__(self, hub: DoorHub, listening: socket.socket, context: ssl.SSLContext) -> None:
        self._hub = hub
        self._listening = listening
        self._context = context
        self._handshakes: set[asyncio.Task[None]] = set()
        self.accepting = hub.loop.create_task(self._accept())
        """Runs until `close`."""

    def close(self) -> None:
        """Accept no more, and break off what is not done yet."""
        self.accepting.cancel()
        self._listening.close()
        for handshake in self._handshakes:
            handshake.cancel()

    async def _accept(self) -> None:
        while True:
            try:
                opened, _ = await self._hub.loop.sock_accept(self._listening)
            except OSError:
                await asyncio.sleep(_NO_FILES_S)
                continue
            device = DeviceProtocol(self._hub)
            if not self._hub.reserve(device):
                self._refuse(opened, Refusal.CONNECTION_LIMIT)
                continue
            handshake = self._hub.loop.create_task(self._shake_hands(opened, device))
            self._handshakes.add(handshake)
            handshake.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, opened: socket.socket, device: DeviceProtocol) -> None:
        is_made = False
        try:
            with suppress(OSError):  # ssl.SSLError, a time that is over, and a peer that went away
                await self._hub.loop.connect_accepted_socket(
                    lambda: device,
                    opened,
                    ssl=self._context,
                    ssl_handshake_timeout=self._hub.limits.login_timeout_s,
                )
                is_made = True  # the device has entered, in `connection_made`
        finally:
            if not is_made:
                self._hub.leave(device)
                self._refuse(opened, Refusal.TLS_HANDSHAKE)

    def _refuse(self, opened: socket.socket, reason: Refusal) -> None:
        self._hub.stats.connections += 1
        self._hub.stats.refuse(reason)
        opened.close()
