"""Run a program that ends when the process that started it ends, however that one ends.

    python orchestration/tied.py PROGRAM ARGUMENT…

A run that is killed leaves its dbt at work: it went on for 18 s and wrote its marts to the end (measured),
while the next run may already be writing the same month. Linux kills a process with its parent when asked to
(prctl(2), PR_SET_PDEATHSIG); elsewhere the program is run as it is. Started as a file, not as a module:
importing this package costs a second.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the signal and become the program."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - what dagster-dbt wants started, and no shell


if __name__ == "__main__":
    main()
