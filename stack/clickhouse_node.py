"""A listening ClickHouse from the engine in chdb-core: `python -m stack.clickhouse_node FOLDER HOST:PORT`.

FOLDER holds config.xml, users.xml and stop.key; the data go to FOLDER/data; HOST:PORT is the HTTP address
that config.xml names. The package embeds the whole of clickhouse-local, which opens its ports on
`SYSTEM START LISTEN` and serves until its own session ends. So that session is kept busy by a query that
only sleeps; when this process is told to stop it kills that query, as a user who may do nothing else, and
the engine shuts down in order. (What is answered is on the disk at any moment, so a kill -9 loses nothing
either.)

The session's user, `default`, can have no password and counts as the loopback. So it has the right to open
ports and to sleep, nothing else, and a quota of exactly the statements below: whoever comes in as `default`
finds it used up (only `SELECT 1` and its like do not count). Should somebody be quick enough to close the
ports in between, this process sees it and ends, for the supervisor to start it again.

This is no public interface of chdb-core, therefore its version is pinned, and nothing else of Piston
depends on it: any ClickHouse of the same release serves.
"""

import importlib.machinery
import importlib.metadata
import importlib.util
import os
import signal
import socket
import sys
import threading
import time
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Final

STOPPER: Final = "engine_stopper"
"""The user who may end the session; its password is in the folder."""
STOP_KEY: Final = "stop.key"

_SLEEP: Final = (
    "SELECT sleepEachRow(1) FROM system.numbers SETTINGS max_block_size = 1, max_threads = 1 FORMAT Null"
)
STATEMENTS: Final = ("SYSTEM START LISTEN HTTP", "SYSTEM START LISTEN TCP", _SLEEP)
"""What the engine's own session runs."""
_SHUTDOWN_S = 20.0
_LOOK_S = 2.0
_SILENCE_S = 9.0
_MODULE = "_chdb"


def load_engine() -> ModuleType:
    """The extension module itself.

    Importing the package `chdb` instead would open and close an engine first, after which the process's
    background services are shut down for good.

    Raises:
        ImportError: chdb-core is not installed.
    """
    folder = Path(str(importlib.metadata.distribution("chdb-core").locate_file("chdb")))
    library = next(iter(sorted(folder.glob(f"{_MODULE}*.so"))), None)
    if library is None:
        message = f"chdb-core has no {_MODULE} library in {folder}; install the locked environment again"
        raise ImportError(message)
    os.chdir(folder)  # it loads its companion library from the working folder
    loader = importlib.machinery.ExtensionFileLoader(_MODULE, str(library))
    spec = importlib.util.spec_from_file_location(_MODULE, library, loader=loader)
    if spec is None:
        message = f"{library} is not an extension module"
        raise ImportError(message)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def serve(folder: Path, http: str) -> int:
    """Run the engine in the folder until SIGTERM or SIGINT; returns the exit code."""
    engine = load_engine()
    os.chdir(folder)  # config.xml is read from the working folder
    stop = threading.Event()
    failure: list[str] = []

    def keep_open() -> None:
        result = engine.query("; ".join(STATEMENTS), "TabSeparated", path=str(folder / "data"))
        if result.has_error():
            failure.append(result.error_message())
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    session = threading.Thread(target=keep_open, name="engine", daemon=True)
    session.start()
    open_at: float | None = None
    while not stop.wait(0.2 if open_at is None else _LOOK_S):
        for number in (signal.SIGTERM, signal.SIGINT):
            # the engine puts its own handlers in place while it starts
            signal.signal(number, lambda *_: stop.set())
        if _is_open(http):
            open_at = time.monotonic()
        elif open_at is not None and time.monotonic() - open_at > _SILENCE_S:
            sys.stderr.write(f"clickhouse: nobody listens on {http} any more\n")
            return 1
    is_asked = session.is_alive()
    if is_asked:
        end_session(http, (folder / STOP_KEY).read_text())
        session.join(_SHUTDOWN_S)
    elif failure:
        sys.stderr.write(f"clickhouse: {failure[0]}\n")
    return 0 if is_asked and not session.is_alive() else 1


def _is_open(http: str) -> bool:
    host, _, port = http.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 1.0):
            return True
    except OSError:
        return False


def end_session(http: str, key: str) -> None:
    """Kill the query that keeps the engine's own session open."""
    try:
        _post(http, f"KILL QUERY WHERE query LIKE '{_SLEEP[:40]}%' ASYNC", STOPPER, key)
    except OSError as error:
        sys.stderr.write(f"clickhouse: could not end the session in order ({error})\n")


def _post(http: str, statement: str, user: str, password: str) -> None:
    request = urllib.request.Request(
        f"http://{http}/",
        data=statement.encode(),
        headers={"X-ClickHouse-User": user, "X-ClickHouse-Key": password},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=10.0) as answer:
        answer.read()


if __name__ == "__main__":
    code = serve(Path(sys.argv[1]).absolute(), sys.argv[2])
    sys.stderr.flush()
    os._exit(code)  # the engine's threads would keep the interpreter from ending
