"""Promises that the repository makes about itself."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

CODE_LINES = 400
DECISION_LINES = 40
# the public names of the registries' hosts, put together so that this file does not name them
REGISTRY_HOSTS = re.compile(
    r"pypi\.(?=org)|pythonhosted\.(?=org)|registry\.npmjs|repo\d?\.maven|deb\.debian\.(?=org)"
)


@pytest.fixture(scope="module")
def tracked(repository: Path) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repository,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return [repository / name for name in listing.split("\0") if name and (repository / name).is_file()]


def _texts(paths: list[Path], *suffixes: str) -> Iterator[tuple[Path, str]]:
    for path in paths:
        if not suffixes or path.suffix in suffixes:
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def test_no_file_names_a_package_registrys_host(tracked: list[Path]) -> None:
    named = [str(path) for path, text in _texts(tracked) if REGISTRY_HOSTS.search(text)]
    assert named == []


def test_no_file_names_the_folder_of_the_clone(tracked: list[Path], repository: Path) -> None:
    named = [str(path) for path, text in _texts(tracked) if f"{repository}/" in text]
    assert named == []


def test_the_lock_pins_every_package_with_a_hash_and_no_address(repository: Path) -> None:
    lock = (repository / "requirements/lock.txt").read_text()
    assert "://" not in lock
    assert "--index-url" not in lock
    pinned = re.findall(r"^[a-z0-9][a-z0-9._\[\],-]*==\S+ \\\n    --hash=sha256:", lock, flags=re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-z0-9]\S*==", lock, flags=re.MULTILINE)) > 100


def test_every_decision_is_indexed_and_fits_a_page(repository: Path) -> None:
    folder = repository / "docs/decisions"
    index = (folder / "README.md").read_text()
    for path in folder.glob("[0-9]*.md"):
        assert path.name in index
        assert len(path.read_text().splitlines()) <= DECISION_LINES, path.name


def test_no_module_outgrows_its_purpose(tracked: list[Path]) -> None:
    long = {
        path.name: lines
        for path, text in _texts(tracked, ".py")
        if (lines := len(text.splitlines())) > CODE_LINES
    }
    assert long == {}


def test_no_file_is_larger_than_a_megabyte(tracked: list[Path]) -> None:
    assert [str(path) for path in tracked if path.stat().st_size > 1 << 20] == []


def test_orchestration_keeps_its_annotations_real(repository: Path) -> None:
    """Dagster reads signatures: postponed annotations break them."""
    for path in (repository / "orchestration").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.module != "__future__", path
