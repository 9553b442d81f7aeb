"""Machine code for the hot loops: made once for exact signatures, kept on disk, loaded at start-up.

STRATEGY: a kernel is a plain function; `compile_kernel` turns it into machine code when a decoder is made,
never at import and never on the first frame. Numba keeps what it compiled and notices when the kernel's own
file changes, but not when a helper or a constant from another file does. So each kernel has a folder named
after a digest of all that is compiled into it.

The folder lies where the user may write: the source tree may belong to somebody else. Numba unpickles what it
finds there, so a folder that others could have filled is not used.
"""

import os
import pickle
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from inspect import getclosurevars, isfunction, ismodule
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])
Bytes = NDArray[np.uint8]

_jit: Final[Any] = numba.njit
_config: Final[Any] = numba.config
_NAME: Final = "piston-kernels"
_DIGEST_CHARACTERS: Final = 16


def inlined(function: Function) -> Function:
    """Mark a helper that kernels may call; to Python it stays the function that it is."""
    return register_jitable(function)


def array(dtype: Any, dimensions: int = 1, *, is_readonly: bool = False) -> Any:
    """The type of a C-contiguous array argument."""
    return numba.types.Array(numba.from_dtype(np.dtype(dtype)), dimensions, "C", readonly=is_readonly)


def compile_kernel(function: Function, arguments: Sequence[Any], result: Any) -> Function:
    """Machine code of a function for one signature, from the disk if it is there.

    Args:
        function: the kernel.
        arguments: Numba types of its arguments.
        result: Numba type of its result.
    """
    signature = result(*arguments)
    # `_nrt`: no counting of references, which costs a quarter of the time: kernels make no arrays
    options = {"nogil": True, "boundscheck": False, "error_model": "numpy", "_nrt": False}
    folder = kernel_folder(function, os.environ, Path(tempfile.gettempdir()))
    if folder is not None:
        before, _config.CACHE_DIR = _config.CACHE_DIR, str(folder)
        try:
            return cast(Function, _jit(signature, cache=True, **options)(function))
        except (OSError, EOFError, pickle.UnpicklingError):
            pass  # the disk is full, or what it holds is damaged: compile for this process alone
        finally:
            _config.CACHE_DIR = before
    return cast(Function, _jit(signature, **options)(function))


def kernel_folder(
    function: Callable[..., Any], environment: Mapping[str, str], temporary: Path
) -> Path | None:
    """Where the machine code of a kernel is kept: the first of these that is ours alone and can be written.

    `NUMBA_CACHE_DIR` if it is set; the user's cache folder (XDG base directories); a folder with the user's
    number under the system's temporary one, for accounts without a home. None if none of them will do.
    """
    candidates = [Path(chosen)] if (chosen := environment.get("NUMBA_CACHE_DIR")) else []
    if cache := environment.get("XDG_CACHE_HOME"):
        candidates.append(Path(cache) / _NAME)
    elif home := environment.get("HOME"):
        candidates.append(Path(home) / ".cache" / _NAME)
    candidates.append(temporary / f"{_NAME}-{os.geteuid()}")
    digest = fingerprint(function)
    return next((folder / digest for folder in candidates if _is_ours(folder)), None)


def _is_ours(folder: Path) -> bool:
    """Whether the folder, made if need be, belongs to this user and nobody else may write in it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return False
    is_private = not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return (
        stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and is_private and _can_write(folder)
    )


def _can_write(folder: Path) -> bool:
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def fingerprint(function: Callable[..., Any]) -> str:
    """A digest of a function's code and, recursively, of the helpers and constants that it names."""
    digest = sha256(np.__version__.encode())
    seen: set[Callable[..., Any]] = set()

    def visit(part: Callable[..., Any]) -> None:
        if part in seen:
            return
        seen.add(part)
        code = part.__code__
        digest.update(code.co_code + repr((code.co_name, code.co_consts, code.co_names)).encode())
        for name, value in sorted(getclosurevars(part).globals.items()):
            digest.update(name.encode())
            if isfunction(value):
                visit(value)
            elif isinstance(value, np.ndarray):
                digest.update(str(value.dtype).encode() + value.tobytes())
            elif isinstance(value, type):
                digest.update(repr(list(getattr(value, "__members__", {}).items())).encode())
            elif not ismodule(value):
                digest.update(repr(value).encode())

    visit(function)
    return digest.hexdigest()[:_DIGEST_CHARACTERS]
