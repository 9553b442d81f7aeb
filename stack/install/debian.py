"""Packages of Debian's archive, unpacked into a private folder; no host package is touched.

The archive's address is the one that the machine's own apt uses (`apt-get indextargets`), so proxies,
mirrors and credentials are apt's business. apt runs with a state folder of its own, in which nothing is
installed, so that it names every package down to the C library: the unpacked programs do not depend on the
machine's release of Debian.
"""

import platform
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from stack.errors import InstallError
from stack.install.fetch import run_tool

SUITE = "trixie"
"""Debian 13: the release that carries TimescaleDB and Valkey."""

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_ADVICE = "check that `apt-get update` works on this machine"
_ELSEWHERE = (
    "run the servers elsewhere, name them by PISTON_HOST and the PISTON_*_PORT settings, and start Piston's "
    "services without `piston up`"
)

_APT_CONF = """\
Dir::State "{root}/state"; Dir::State::status "{root}/state/status"; Dir::State::lists "{root}/lists";
Dir::Cache "{root}/cache"; Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache ""; Dir::Log "{root}/log";
Dir::Etc::sourcelist "{root}/sources.list"; Dir::Etc::sourceparts "{root}/none";
Dir::Etc::preferences "{root}/none/none"; Dir::Etc::preferencesparts "{root}/none";
APT::Architecture "{architecture}"; APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false"; APT::Sandbox::User ""; APT::Update::Error-Mode "any";
APT::Update::Pre-Invoke {{}}; APT::Update::Post-Invoke {{}}; APT::Update::Post-Invoke-Success {{}};
Acquire::Languages "none"; Acquire::Retries "3";
#clear APT::Update::Pre-Invoke; #clear APT::Update::Post-Invoke; #clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke; #clear DPkg::Pre-Install-Pkgs;
"""


def missing_tools() -> list[str]:
    """What this machine lacks of what the unpacking needs."""
    tools = [tool for tool in ("apt-get", "dpkg", "dpkg-deb") if shutil.which(tool) is None]
    return tools if tools or _KEYRING.exists() else ["debian-archive-keyring"]


def multiarch() -> str:
    """Debian's name of this machine's library folder, `x86_64-linux-gnu`."""
    return f"{platform.machine()}-linux-gnu"


def parse_sources(targets: str) -> tuple[str, str | None]:
    """The addresses of the main and the security archive, from lines of `address release`.

    Raises:
        InstallError: no line is Debian's own archive.
    """
    rows = [line.split() for line in targets.splitlines() if len(line.split()) == 2]
    main = [address for address, release in rows if "-" not in release and re.search(r"/debian/?$", address)]
    security = [address for address, release in rows if release.endswith("-security") and "debian" in address]
    if not main:
        message = f"apt knows no Debian archive here, which TimescaleDB and Valkey come from; {_ELSEWHERE}"
        raise InstallError(message)
    return main[0], (security[0] if security else None)


class DebianArchive:
    """Debian's archive through a private apt, whose package lists are read once, when first needed."""

    def __init__(self, root: Path) -> None:
        """Use the empty folder `root` for apt's state; the caller removes it afterwards."""
        self._root = root
        self._lock = threading.Lock()
        self._is_ready = False

    def unpack(self, package: str, is_wanted: Callable[[str], bool], target: Path) -> list[str]:
        """Unpack the package and all it depends on, where `is_wanted(name)`; returns the packages' names.

        Raises:
            InstallError: the machine has no apt, or the package cannot be fetched.
        """
        self._prepare(package)
        plan = self._apt(["-s", "install", package], f"resolving {package}")
        wanted = sorted({name for name in re.findall(r"^Inst (\S+)", plan, re.MULTILINE) if is_wanted(name)})
        folder = self._root / "debs" / package
        folder.mkdir(parents=True, exist_ok=True)
        self._apt(["-q=2", "download", *wanted], f"fetching {package}", folder)
        for archive in sorted(folder.glob("*.deb")):
            run_tool(
                ["dpkg-deb", "-x", str(archive), str(target)],
                f"unpacking {archive.name}",
                _ADVICE,
                cwd=folder,
            )
        shutil.rmtree(folder)
        return wanted

    def _prepare(self, package: str) -> None:
        with self._lock:
            if self._is_ready:
                return
            if missing := missing_tools():
                message = (
                    f"{package} comes from Debian's archive, and {', '.join(missing)} is missing here; "
                    f"on Debian and its kin install it, elsewhere {_ELSEWHERE}"
                )
                raise InstallError(message)
            for folder in ("lists/partial", "cache/archives/partial", "state", "log", "none"):
                (self._root / folder).mkdir(parents=True, exist_ok=True)  # an earlier try may have failed
            (self._root / "state" / "status").touch()
            (self._root / "sources.list").write_text(self._sources())
            architecture = self._tool(["dpkg", "--print-architecture"], "asking for the architecture").strip()
            (self._root / "apt.conf").write_text(_APT_CONF.format(root=self._root, architecture=architecture))
            self._apt(["-q=2", "update"], f"reading Debian {SUITE}'s package lists")
            self._is_ready = True

    def _sources(self) -> str:
        targets = self._tool(
            ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"], "asking apt for its sources"
        )
        main, security = parse_sources(targets)
        lines = [f"deb [signed-by={_KEYRING}] {main} {SUITE} main"]
        if security:
            lines.append(f"deb [signed-by={_KEYRING}] {security} {SUITE}-security main")
        return "\n".join(lines) + "\n"

    def _apt(self, arguments: list[str], what: str, cwd: Path | None = None) -> str:
        configuration = {"APT_CONFIG": str(self._root / "apt.conf")}
        return run_tool(
            ["apt-get", *arguments], what, _ADVICE, environment=configuration, cwd=cwd or self._root
        )

    def _tool(self, command: list[str], what: str) -> str:
        return run_tool(command, what, _ADVICE, cwd=self._root)


_WRAPPER = """\
#!/bin/sh
# Starts the program of this name in .real under the C library that was unpacked with it.
here=$(cd "${{0%/*}}" && pwd -P) || exit 127
root=${{here%{inside}}}
exec "$root{loader}" --argv0 "$here/${{0##*/}}" --library-path "$root{libraries}" \
"$here/.real/${{0##*/}}" "$@"
"""


def wrap_programs(prefix: Path, folder: str) -> None:
    """Make each ELF program of the folder run under the prefix's own C library.

    The program moves to `.real`, a script of its name starts it and keeps its `argv[0]`, by which
    PostgreSQL's programs find each other and Valkey's one program tells what it is.

    Args:
        prefix: where the packages were unpacked.
        folder: the programs' folder inside it, such as `usr/bin`.

    Raises:
        InstallError: the packages hold no dynamic loader, so their layout is not the one known.
    """
    libraries = prefix / "usr/lib" / multiarch()
    loader = next(iter(sorted(libraries.glob("ld-linux*.so.*"))), None)
    if loader is None:
        message = f"Debian's C library for {platform.machine()} has no loader where it was expected"
        raise InstallError(message)
    text = _WRAPPER.format(
        inside=f"/{folder}",
        loader=f"/{loader.relative_to(prefix)}",
        libraries=f"/{libraries.relative_to(prefix)}",
    )
    real = prefix / folder / ".real"
    real.mkdir()
    # found before any is replaced: Valkey's server is a link to another of its programs
    for program in [path for path in sorted((prefix / folder).iterdir()) if _is_elf(path)]:
        if program.is_symlink():
            (real / program.name).symlink_to(program.readlink().name)
            program.unlink()
        else:
            program.rename(real / program.name)
        program.write_text(text)
        program.chmod(0o755)


def _is_elf(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def relink_inside(prefix: Path) -> None:
    """Turn the packages' absolute links, made for `/`, into links inside the prefix."""
    for link in prefix.rglob("*"):
        if link.is_symlink() and (target := link.readlink()).is_absolute():
            inside = prefix / target.relative_to("/")
            link.unlink()
            up = Path(*[".."] * len(link.relative_to(prefix).parent.parts))
            link.symlink_to(up / inside.relative_to(prefix))
