"""Valkey from Debian, unpacked privately."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from stack.install.debian import SUITE, DebianArchive, multiarch, wrap_programs
from stack.install.programs import Progress, Recipe, install

_UNUSED = re.compile(
    r"(perl.*|libperl.*|lib.*-perl|debconf|libdebconf.*|adduser|passwd|login.*|base-passwd|libsemanage.*"
    r"|libsepol.*|libpam-.*|init-system-helpers|sysvinit-utils|libc-bin|gcc-.*-base|procps|libproc.*"
    r"|lsb-base|dpkg|tar|openssl-provider-.*|.*-sentinel)"
)
BIN = "usr/bin"
"""The programs' folder inside the prefix."""


def ensure_valkey(programs: Path, archive: Callable[[], DebianArchive], progress: Progress) -> Path:
    """The prefix that holds Valkey's programs.

    Raises:
        InstallError: Debian's archive is out of reach.
    """

    def build(target: Path) -> None:
        archive().unpack("valkey-server", lambda name: not _UNUSED.fullmatch(name), target)
        for folder in ("etc", "var", "usr/sbin", "usr/share", f"usr/lib/{multiarch()}/gconv"):
            shutil.rmtree(target / folder, ignore_errors=True)
        for program in (target / BIN).iterdir():
            if not program.name.startswith("valkey-"):
                program.unlink()
        wrap_programs(target, BIN)

    return install(programs, Recipe("valkey", SUITE, build), progress)
