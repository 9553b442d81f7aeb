import hashlib
import multiprocessing
import stat
import zipfile
from pathlib import Path

import pytest

from stack.errors import InstallError
from stack.install.debian import multiarch, parse_sources, relink_inside, wrap_programs
from stack.install.elasticsearch import unpack
from stack.install.everything import Programs
from stack.install.java import OLDEST, Java, machine_java, parse_version
from stack.install.jdk import has_module, jdk_home
from stack.install.programs import Recipe, install, is_installed


def quiet(_: str) -> None:
    pass


def write_tool(target: Path) -> None:
    (target / "tool").write_text("built")


def append_and_write(target: Path) -> None:
    with (target.parent / "builds.txt").open("a") as file:
        file.write("built\n")
    write_tool(target)


def install_once(programs: Path) -> None:
    install(programs, Recipe("tool", "1", append_and_write), quiet)


def test_a_program_is_built_once_and_then_found(tmp_path):
    for _ in range(2):
        folder = install(tmp_path, Recipe("tool", "1", append_and_write), quiet)
    assert (folder / "tool").read_text() == "built"
    assert (tmp_path / "builds.txt").read_text() == "built\n"


def test_a_newer_revision_is_built_again(tmp_path):
    install(tmp_path, Recipe("tool", "1", append_and_write), quiet)
    assert not is_installed(tmp_path, Recipe("tool", "1", append_and_write, revision=2))
    install(tmp_path, Recipe("tool", "1", append_and_write, revision=2), quiet)
    assert (tmp_path / "builds.txt").read_text() == "built\n" * 2
    assert [path.name for path in tmp_path.glob(".tool-1.*")] == []


def test_a_failed_build_leaves_nothing_behind(tmp_path):
    def fail(target: Path) -> None:
        write_tool(target)
        message = "the archive is out of reach"
        raise InstallError(message)

    with pytest.raises(InstallError, match="out of reach"):
        install(tmp_path, Recipe("tool", "1", fail), quiet)
    assert [path.name for path in tmp_path.iterdir()] == [".tool.lock"]
    assert install(tmp_path, Recipe("tool", "1", write_tool), quiet).is_dir()


def test_what_a_killed_build_left_is_replaced(tmp_path):
    part = tmp_path / ".tool-1.part"
    part.mkdir()
    (part / "half").touch()
    folder = install(tmp_path, Recipe("tool", "1", write_tool), quiet)
    assert not (folder / "half").exists()
    assert not part.exists()


def test_installs_at_the_same_time_build_once(tmp_path):
    context = multiprocessing.get_context("fork")
    racers = [context.Process(target=install_once, args=(tmp_path,)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert (tmp_path / "builds.txt").read_text() == "built\n"


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ("command not found", None),
    ],
)
def test_java_tells_its_major_version(output, version):
    assert parse_version(output) == version


def test_an_old_java_is_not_taken(tmp_path, monkeypatch):
    fake = tmp_path / "bin" / "java"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    fake.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/sbin")
    assert machine_java() is None
    fake.with_name("unused").touch()
    newer = tmp_path / "newer" / "bin" / "java"
    newer.parent.mkdir(parents=True)
    newer.write_text(f"#!/bin/sh\necho 'openjdk version \"{OLDEST}.0.1\"' >&2\n")
    newer.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(newer.parent.parent))
    assert machine_java() == Java(newer.parent.parent, is_ours=False)


def test_debian_sources_are_those_of_the_machine():
    targets = (
        "http://security.example/debian-security/ bookworm-security\n"
        "http://main.example/debian/ bookworm\n"
        "http://main.example/debian/ bookworm-updates\n"
        "http://other.example/packages/ stable\n"
    )
    assert parse_sources(targets) == (
        "http://main.example/debian/",
        "http://security.example/debian-security/",
    )


def test_a_machine_without_debian_sources_is_told_what_to_do():
    with pytest.raises(InstallError, match="PISTON_HOST"):
        parse_sources("http://archive.example/ubuntu/ noble\n")


def test_links_made_for_the_root_stay_inside(tmp_path):
    (tmp_path / "etc/tool").mkdir(parents=True)
    (tmp_path / "etc/tool/conf").write_text("settings")
    (tmp_path / "usr/share/tool").mkdir(parents=True)
    (tmp_path / "usr/share/tool/conf").symlink_to("/etc/tool/conf")
    relink_inside(tmp_path)
    link = tmp_path / "usr/share/tool/conf"
    assert not link.readlink().is_absolute()
    assert link.read_text() == "settings"


def test_every_program_is_wrapped_and_links_keep_their_name(tmp_path):
    libraries = tmp_path / "usr/lib" / multiarch()
    libraries.mkdir(parents=True)
    (libraries / "ld-linux-test.so.2").touch()
    programs = tmp_path / "usr/bin"
    programs.mkdir(parents=True)
    (programs / "check").write_bytes(b"\x7fELF program")
    (programs / "server").symlink_to("check")
    (programs / "script").write_text("#!/bin/sh\n")
    wrap_programs(tmp_path, "usr/bin")
    assert (programs / ".real/check").read_bytes() == b"\x7fELF program"
    assert (programs / ".real/server").resolve() == programs / ".real/check"
    assert (programs / "script").read_text() == "#!/bin/sh\n"
    for name in ("check", "server"):
        assert "ld-linux-test.so.2" in (programs / name).read_text()
        assert (programs / name).stat().st_mode & stat.S_IXOTH


def test_programs_name_what_was_installed(tmp_path):
    programs = Programs(Java(tmp_path, is_ours=False), tmp_path, tmp_path, tmp_path)
    assert programs.java.executable == tmp_path / "bin/java"
    assert programs.java.maven_environment() == {"JAVA_HOME": str(tmp_path)}


def pack(folder: Path) -> tuple[Path, str]:
    """A zip file as Elasticsearch's is, and its hash."""
    archive = folder / "server-1.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("server-1/bin/server", "#!/bin/sh\n")
        packed.writestr("server-1/bin/server.bat", "rem")
        packed.writestr("server-1/lib/server.jar", "jar")
    return archive, hashlib.sha256(archive.read_bytes()).hexdigest()


def test_a_zip_file_is_unpacked_with_its_programs_executable(tmp_path):
    archive, sha256 = pack(tmp_path)
    target = tmp_path / "target"
    target.mkdir()
    unpack(archive, target, sha256)
    assert sorted(path.name for path in target.iterdir()) == ["bin", "lib"]
    assert (target / "bin/server").stat().st_mode & stat.S_IXOTH
    assert not (target / "bin/server.bat").stat().st_mode & stat.S_IXOTH


def test_a_zip_file_that_is_not_the_released_one_is_refused(tmp_path):
    archive, sha256 = pack(tmp_path)
    archive.write_bytes(archive.read_bytes() + b"more")
    with pytest.raises(InstallError, match="not the one that was released"):
        unpack(archive, tmp_path, sha256)
    assert not (tmp_path / "bin").exists()
    with pytest.raises(InstallError, match=r"settings\.xml"):
        unpack(tmp_path / "missing-1.zip", tmp_path, sha256)


def test_a_runtime_without_what_elasticsearch_needs_is_no_jdk(tmp_path):
    java = tmp_path / "bin/java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho java.base@21\n")
    java.chmod(0o755)
    assert not has_module(Java(tmp_path, is_ours=True))
    whole = tmp_path / "usr/lib/jvm/java-21-openjdk/bin/java"
    whole.parent.mkdir(parents=True)
    whole.write_text("#!/bin/sh\necho java.base@21\necho jdk.jlink@21\n")
    whole.chmod(0o755)
    (tmp_path / "usr/lib/jvm/java-1.21.0").symlink_to("java-21-openjdk")
    home = jdk_home(tmp_path)
    assert home.name == "java-21-openjdk"
    assert has_module(Java(home, is_ours=True))
    with pytest.raises(InstallError, match="JAVA_HOME"):
        jdk_home(tmp_path / "nothing")
