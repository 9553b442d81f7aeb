"""Turns into one of Piston's own services: `python -m stack.launch ENVIRONMENT WORD…`.

The supervisor was started with an almost empty environment. A service takes its own from the file
ENVIRONMENT (a JSON object, readable by its user only), so that settings with secrets stand on no command
line, and a changed setting needs no more than a restart of the service.
"""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Replace this process by the command, with exactly the environment of the file."""
    environment = json.loads(Path(sys.argv[1]).read_text())
    command = sys.argv[2:]
    os.execve(command[0], command, environment)  # noqa: S606 - no shell is meant


if __name__ == "__main__":
    main()
