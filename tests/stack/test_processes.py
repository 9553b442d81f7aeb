import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from stack import processes
from stack.account import Account, first_closed, own_account, require_reachable
from stack.errors import PreflightError
from stack.preflight import (
    available_memory_bytes,
    disk_problem,
    duplicate_problem,
    memory_problem,
    port_problem,
    require,
)
from stack.servers.server import PortUse

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def sleeper():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "marker-of-ours"])
    yield child
    child.kill()
    child.wait()


def test_a_recorded_process_is_ours_only_by_its_command_line(tmp_path, sleeper):
    path = tmp_path / "server.pid"
    path.write_text(f"{sleeper.pid}\n")
    assert processes.recorded(path, "marker-of-ours") == sleeper.pid
    assert processes.recorded(path, "somebody else's") is None


def test_a_dead_or_unreadable_record_is_nobody(tmp_path, sleeper):
    path = tmp_path / "server.pid"
    assert processes.recorded(path, "marker-of-ours") is None
    path.write_text("no number")
    assert processes.recorded(path, "marker-of-ours") is None
    path.write_text(str(sleeper.pid))
    sleeper.kill()
    assert processes.wait_gone(sleeper.pid, 5.0)  # a zombie, not yet waited for, is gone too
    assert processes.recorded(path, "marker-of-ours") is None


def test_a_process_that_ignores_the_signal_is_killed():
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"up\n"
        processes.stop(child.pid, signal.SIGTERM, patience_s=0.3)
        assert child.wait(5.0) == -signal.SIGKILL


def test_uptime_and_memory_are_those_of_the_process(sleeper):
    time.sleep(0.2)
    assert 0.0 <= processes.uptime_s(sleeper.pid) < 30.0
    assert 10**6 < processes.memory_bytes(sleeper.pid) < 10**9
    assert sleeper.pid in processes.family(os.getpid())


def test_a_taken_port_is_one_sentence_with_holder_and_setting():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        use = PortUse(listener.getsockname()[1], "PISTON_KAFKA_PORT", "127.0.0.1")
        problem = port_problem(use, "Kafka")
    assert f"port {use.port}" in problem
    assert f"process {os.getpid()}" in problem
    assert "PISTON_KAFKA_PORT" in problem
    assert "\n" not in problem
    assert port_problem(use, "Kafka") is None


def test_a_host_of_another_machine_is_one_sentence_with_the_setting():
    assert "PISTON_HOST" in port_problem(PortUse(19_092, "PISTON_KAFKA_PORT", "192.0.2.1"), "Kafka")
    use = PortUse(8_000, "PISTON_API_PORT", "192.0.2.1", is_service=True)
    assert "PISTON_API_HOST" in port_problem(use, "api")


def test_two_settings_with_one_port_are_named():
    uses = [PortUse(7, "PISTON_A_PORT", "127.0.0.1"), PortUse(8, "PISTON_B_PORT", "127.0.0.1")]
    assert duplicate_problem(uses) is None
    problem = duplicate_problem([*uses, PortUse(7, "PISTON_C_PORT", "127.0.0.1")])
    assert "PISTON_A_PORT and PISTON_C_PORT" in problem


def test_too_little_disk_names_the_folder_setting(tmp_path):
    assert disk_problem(tmp_path / "not/yet/there", "PISTON_DATA_DIR", needed=1) is None
    assert "PISTON_DATA_DIR" in disk_problem(tmp_path, "PISTON_DATA_DIR", needed=10**18)


def test_too_little_memory_says_how_much_is_there():
    assert available_memory_bytes("MemTotal: 9 kB\nMemAvailable:    2000 kB\n") == 2_048_000
    assert "2.0 GB" in memory_problem(needed=3 * 10**9, available=2 * 10**9)
    assert memory_problem(needed=1) is None


def test_the_first_problem_stops():
    require(None, None)
    with pytest.raises(PreflightError, match="second"):
        require(None, "second", "third")


def test_a_closed_parent_is_named_with_the_settings_that_help(tmp_path):
    closed = tmp_path / "closed"
    (closed / "programs").mkdir(parents=True)
    tmp_path.chmod(0o755)
    closed.chmod(0o700)
    stranger = Account("stranger", 54_321, 54_321)
    outermost = first_closed(stranger, closed / "programs")
    assert outermost is not None
    with pytest.raises(PreflightError, match=r"PISTON_PROGRAMS_DIR \(or PISTON_HOME\)"):
        require_reachable(stranger, closed / "programs", "PISTON_PROGRAMS_DIR")
    require_reachable(own_account(), closed / "programs", "PISTON_PROGRAMS_DIR")
