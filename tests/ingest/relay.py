"""A TCP relay that a test puts in front of a server to cut the line, at once or at a chosen moment."""

import socket
import threading
from contextlib import suppress


class Relay:
    """Forwards 127.0.0.1:`port` to a server on this machine."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lines: list[socket.socket] = []
        self._is_cut = False
        self._fatal: bytes | None = None
        self._is_mute = False
        self._answered = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every line and refuse new ones."""
        with self._lock:
            self._is_cut = True
            lines, self._lines = self._lines, []
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        """Let new lines through."""
        with self._lock:
            self._is_cut = self._is_mute = False
            self._fatal = None

    def cut_behind(self, request: bytes) -> None:
        """Deliver the next piece that holds these bytes to the server, and cut before its answer."""
        self._fatal = request

    def close(self) -> None:
        """End it all."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._is_cut:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._server_port))
                self._lines += [client, server]
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        """One line: a thread for the way back, this one for the way there; closes both at the end."""
        back = threading.Thread(target=self._pump, args=(server, client, False), daemon=True)
        back.start()
        self._pump(client, server, True)
        back.join()
        client.close()
        server.close()

    def _pump(self, source: socket.socket, target: socket.socket, is_upward: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(65_536):
                if is_upward and self._fatal is not None and self._fatal in piece:
                    # the way back first, so that the answer cannot slip through
                    self._is_mute = True
                    target.sendall(piece)
                    self._answered.wait(5)
                    self.cut()
                    return
                if not is_upward and self._is_mute:
                    self._answered.set()
                    return
                target.sendall(piece)
        for line in (source, target):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
