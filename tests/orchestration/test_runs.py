import os
import subprocess
import sys

from orchestration.runs import LAUNCHER_TAG, is_orphaned


def test_a_run_whose_process_is_gone_is_orphaned():
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert is_orphaned({LAUNCHER_TAG: f"here:{ended.pid}"}, "here")


def test_a_living_process_another_host_and_the_daemons_runs_are_left_alone():
    assert not is_orphaned({LAUNCHER_TAG: f"here:{os.getpid()}"}, "here")
    assert not is_orphaned({LAUNCHER_TAG: "elsewhere:1"}, "here")
    assert not is_orphaned({}, "here")
    assert not is_orphaned({LAUNCHER_TAG: "here:"}, "here")
