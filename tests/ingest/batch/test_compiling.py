"""Where machine code is kept, and what makes it another."""

import os
from pathlib import Path

import numba
import numpy as np

from ingest.batch.compiling import compile_kernel, fingerprint, inlined, kernel_folder

_FACTOR = np.uint64(3)


@inlined
def _times(value):
    return value * _FACTOR


def _add_and_multiply(value, other):
    return _times(np.uint64(value) + np.uint64(other))


def test_the_first_folder_that_is_ours_is_taken(tmp_path: Path) -> None:
    chosen, home = tmp_path / "chosen", tmp_path / "home"
    digest = fingerprint(_add_and_multiply)
    environment = {"NUMBA_CACHE_DIR": str(chosen), "HOME": str(home)}
    assert kernel_folder(_add_and_multiply, environment, tmp_path) == chosen / digest
    assert kernel_folder(_add_and_multiply, {"HOME": str(home)}, tmp_path) == (
        home / ".cache/piston-kernels" / digest
    )
    environment = {"HOME": str(home), "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    assert kernel_folder(_add_and_multiply, environment, tmp_path) == tmp_path / "xdg/piston-kernels" / digest


def test_an_account_without_a_home_uses_a_folder_of_its_own_under_the_temporary_one(tmp_path: Path) -> None:
    found = kernel_folder(_add_and_multiply, {"HOME": os.devnull}, tmp_path)
    assert found is not None
    assert found.parent == tmp_path / f"piston-kernels-{os.geteuid()}"
    assert found.parent.stat().st_mode & 0o077 == 0


def test_a_folder_that_others_may_fill_is_not_used(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / f"piston-kernels-{os.geteuid()}").symlink_to(target)
    environment = {"NUMBA_CACHE_DIR": str(shared), "HOME": os.devnull}
    assert kernel_folder(_add_and_multiply, environment, tmp_path) is None


def test_a_helper_or_a_constant_that_changes_makes_another_fingerprint(monkeypatch) -> None:
    before = fingerprint(_add_and_multiply)
    assert fingerprint(_add_and_multiply) == before
    monkeypatch.setitem(globals(), "_FACTOR", np.uint64(4))
    changed_constant = fingerprint(_add_and_multiply)
    monkeypatch.undo()

    def _times(value):
        return value * _FACTOR + np.uint64(1)

    monkeypatch.setitem(globals(), "_times", _times)
    assert len({before, changed_constant, fingerprint(_add_and_multiply)}) == 3


def test_a_compiled_kernel_is_kept_and_loaded_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    signature = ((numba.int64, numba.int64), numba.uint64)
    assert compile_kernel(_add_and_multiply, *signature)(3, 4) == 21
    kept = sorted(path.suffix for path in tmp_path.rglob("*.nb*"))
    assert kept == [".nbc", ".nbi"]
    stamp = next(tmp_path.rglob("*.nbc")).stat().st_mtime_ns
    assert compile_kernel(_add_and_multiply, *signature)(3, 4) == 21
    assert next(tmp_path.rglob("*.nbc")).stat().st_mtime_ns == stamp


def test_damaged_machine_code_is_compiled_anew(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    signature = ((numba.int64, numba.int64), numba.uint64)
    compile_kernel(_add_and_multiply, *signature)
    for path in tmp_path.rglob("*.nb*"):
        path.write_bytes(path.read_bytes()[:20])
    assert compile_kernel(_add_and_multiply, *signature)(3, 4) == 21
