"""PostgreSQL with TimescaleDB (Apache edition) from Debian, unpacked privately."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from stack.install.debian import SUITE, DebianArchive, multiarch, wrap_programs
from stack.install.programs import Progress, Recipe, install

POSTGRES = "17"
_PACKAGE = f"postgresql-{POSTGRES}-timescaledb"

_UNUSED = re.compile(
    # the just-in-time compiler, which our settings switch off, is more than half of all
    r"(libllvm.*|libz3.*"
    # packaging scripts and what they are written in
    r"|perl.*|libperl.*|lib.*-perl|postgresql-common.*|postgresql-client-common|ssl-cert|ucf"
    r"|debconf|libdebconf.*|sensible-utils|readline-common|init-system-helpers|sysvinit-utils"
    # users, sessions and locales of a whole system
    r"|adduser|passwd|login.*|base-passwd|libsemanage.*|libsepol.*|libpam-.*|procps|libproc.*|netbase"
    r"|locales|libc-l10n|libc-bin|openssl|openssl-provider-.*|libgdbm.*|libdb5.*|gcc-.*-base|tzdata.*)"
)
_UNUSED_FOLDERS = (
    "etc", "var", "usr/sbin", "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/i18n",
    "usr/share/lintian", "usr/share/bug", "usr/share/zoneinfo",
    f"usr/lib/{multiarch()}/gconv",
    f"usr/lib/postgresql/{POSTGRES}/lib/bitcode", f"usr/lib/postgresql/{POSTGRES}/lib/pgxs",
)  # fmt: skip

BIN = f"usr/lib/postgresql/{POSTGRES}/bin"
"""The programs' folder inside the prefix."""


def ensure_timescale(programs: Path, archive: Callable[[], DebianArchive], progress: Progress) -> Path:
    """The prefix that holds PostgreSQL's programs.

    Raises:
        InstallError: Debian's archive is out of reach.
    """

    def build(target: Path) -> None:
        archive().unpack(_PACKAGE, lambda name: not _UNUSED.fullmatch(name), target)
        for folder in _UNUSED_FOLDERS:
            shutil.rmtree(target / folder, ignore_errors=True)
        wrap_programs(target, BIN)

    return install(programs, Recipe("timescale", f"pg{POSTGRES}-{SUITE}", build), progress)
