import signal
import socket
import subprocess
import sys
import time

import pytest

from orchestration.serve import descendants, is_alive, refuse_taken_port, stop
from telematics.errors import ConfigurationError


def test_a_taken_port_names_the_setting_that_moves_it():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} on 127.0.0.1.*PISTON_DAGSTER_PORT"):
            refuse_taken_port("127.0.0.1", port)
    refuse_taken_port("127.0.0.1", port)


def test_stopping_asks_first_and_kills_what_does_not_listen():
    polite = "import time; print(flush=True); time.sleep(60)"
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {polite}"
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        for program in (stubborn, polite)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()  # its handlers are in place
    started = time.monotonic()
    stop(processes, patience_s=1.0)
    assert time.monotonic() - started < 10
    assert [process.returncode for process in processes] == [-signal.SIGKILL, -signal.SIGTERM]
    for process in processes:
        process.stdout.close()


def test_what_the_processes_started_ends_with_them():
    """A run at work is a child of the code server; here, of a shell."""
    child = f"{sys.executable} -c 'import time; print(flush=True); time.sleep(60)'"
    shell = subprocess.Popen(["/bin/sh", "-c", f"{child} & wait"], stdout=subprocess.PIPE)
    assert shell.stdout is not None
    shell.stdout.readline()
    [pid] = descendants(shell.pid)
    stop([shell], patience_s=5.0)
    shell.stdout.close()
    assert not is_alive(pid)
    assert shell.returncode is not None


def test_a_process_that_is_gone_has_no_descendants():
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert descendants(ended.pid) == []
    assert not is_alive(ended.pid)
