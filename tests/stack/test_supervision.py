import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stack import orphans
from stack.account import own_account
from stack.layout import Layout
from stack.processes import command_line, family, is_alive, recorded, stop, wait_gone
from stack.servers.server import Ground
from stack.servers.valkey import Valkey
from stack.supervision import SERVERS, Program, Supervisor
from telematics.settings import Settings

SLEEPER = Program(name="sleeper", group=SERVERS, command=("/bin/sleep", "600.25"), stop_patience_s=5)


@pytest.fixture
def layout(tmp_path) -> Layout:
    made = Layout(tmp_path / "programs", tmp_path / "data")
    made.log.mkdir(parents=True)
    return made


@pytest.fixture
def supervisor(layout):
    made = Supervisor(layout)
    made.write([SLEEPER])
    made.start()
    yield made
    made.shutdown()


def pid_of(supervisor: Supervisor) -> int | None:
    return supervisor.states()["sleeper"].pid


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10.0
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_a_killed_program_comes_back_and_its_record_follows(supervisor, layout):
    supervisor.start_program(SERVERS, "sleeper")
    first = pid_of(supervisor)
    os.kill(first, signal.SIGKILL)
    record = layout.pid_file("sleeper")
    assert eventually(lambda: recorded(record, "600.25") not in (None, first))
    second = pid_of(supervisor)
    assert recorded(record, "600.25") == second
    supervisor.stop_program(SERVERS, "sleeper")
    assert not is_alive(second)
    assert supervisor.states()["sleeper"].state == "STOPPED"


def test_starting_and_stopping_twice_is_no_error(supervisor):
    for _ in range(2):
        supervisor.start_program(SERVERS, "sleeper")
    # a signal between supervisord's fork and exec is lost, and the stop would wait for its patience
    assert eventually(lambda: command_line(pid_of(supervisor))[:1] == ["/bin/sleep"])
    for _ in range(2):
        supervisor.stop_program(SERVERS, "sleeper")


def test_a_changed_program_is_restarted_by_a_reload(supervisor):
    supervisor.start_program(SERVERS, "sleeper")
    before = pid_of(supervisor)
    assert not supervisor.write([SLEEPER])
    assert supervisor.write([Program(name="sleeper", group=SERVERS, command=("/bin/sleep", "601.25"))])
    supervisor.reload()
    supervisor.start_program(SERVERS, "sleeper")
    assert not is_alive(before)
    assert pid_of(supervisor) not in (None, before)


def test_the_socket_and_the_configuration_are_closed_to_others(supervisor, layout):
    assert layout.supervisor_config.stat().st_mode & 0o777 == 0o600
    assert layout.run.stat().st_mode & 0o777 == 0o700
    assert layout.sockets("supervisor").stat().st_mode & 0o777 == 0o700


def test_shutdown_leaves_no_process(supervisor):
    supervisor.start_program(SERVERS, "sleeper")
    everybody = family(supervisor.pid())
    supervisor.shutdown()
    assert not [pid for pid in everybody if is_alive(pid)]
    assert supervisor.states() == {}


def test_a_killed_supervisor_takes_its_programs_along_and_can_be_started_again(supervisor):
    supervisor.start_program(SERVERS, "sleeper")
    program = pid_of(supervisor)
    assert eventually(lambda: command_line(program)[:1] == ["/bin/sleep"])  # the leash is on by then
    os.kill(supervisor.pid(), signal.SIGKILL)
    assert wait_gone(program, 5.0)
    supervisor.start()
    assert pid_of(supervisor) is None


TIED = """
import sys
import time
from collections.abc import Callable
from pathlib import Path
from stack.layout import Layout
from stack.servers.server import Ground
from stack.servers.valkey import Valkey
from stack.supervision import SERVERS, Program, Supervisor
supervisor = Supervisor(Layout(Path(sys.argv[1]), Path(sys.argv[1])))
supervisor.write([Program(name="sleeper", group=SERVERS, command=("/bin/sleep", "600.25"))])
supervisor.start(is_tied=True)
supervisor.start_program(SERVERS, "sleeper")
print(supervisor.pid(), flush=True)
sys.stdin.read()
"""


def test_a_tied_supervisor_ends_with_the_process_that_started_it(layout):
    with subprocess.Popen(
        [sys.executable, "-c", TIED, str(layout.data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        supervisor = int(owner.stdout.readline())
        everybody = family(supervisor)
        assert len(everybody) == 2
        owner.kill()
    try:
        assert all(wait_gone(pid, 10.0) for pid in everybody)
    finally:
        if is_alive(supervisor):
            stop(supervisor)


@pytest.fixture
def valkey(layout):
    settings = Settings(_env_file=None, data_dir=layout.data, programs_dir=layout.programs)
    layout.run.mkdir()
    return Valkey(Ground(settings, layout, own_account(), "0123456789abcdef"))


@pytest.mark.parametrize("is_ours", [True, False])
def test_an_orphan_is_ended_only_if_its_command_line_is_ours(valkey, layout, is_ours):
    mark = f"{valkey.folder}/valkey.conf" if is_ours else "/somebody/else/valkey.conf"
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", mark]) as orphan:
        layout.pid_file("valkey").write_text(str(orphan.pid))
        orphans.stop_server(layout, valkey)
        assert is_alive(orphan.pid) is not is_ours
        assert not layout.pid_file("valkey").exists()
        orphan.kill()


def test_an_orphaned_service_is_ended_only_if_it_belongs_to_this_stack(layout, tmp_path):
    layout.run.mkdir()
    for data_dir, survives in ((layout.data, False), (tmp_path / "another", True)):
        with subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)", "cli.main", "sink"],
            env={"PISTON_DATA_DIR": str(data_dir)},
        ) as orphan:
            # the environment is the child's own once its program has been entered
            assert eventually(lambda pid=orphan.pid: "cli.main" in command_line(pid))
            layout.pid_file("sink").write_text(str(orphan.pid))
            orphans.stop_service(layout, "sink")
            assert is_alive(orphan.pid) is survives
            orphan.kill()


def test_an_account_of_ones_own_needs_no_change_of_user():
    assert own_account().enter() == []
    assert Path("/proc/self").stat().st_uid == own_account().uid
