from pathlib import Path

import pytest

from stack.errors import InstallError
from stack.install.fetch import run_tool


def test_a_failing_tools_own_error_is_told_without_its_colours(tmp_path: Path) -> None:
    script = r"printf '\033[0m\033[0m\n' >&2; printf '\033[1m[ERROR]\033[m no such artifact\n'; exit 1"
    with pytest.raises(InstallError) as caught:
        run_tool(["sh", "-c", script], "fetching a thing", "check the settings", cwd=tmp_path)
    assert str(caught.value) == "fetching a thing: sh failed ([ERROR] no such artifact); check the settings"


def test_a_missing_tool_is_named(tmp_path: Path) -> None:
    with pytest.raises(InstallError, match="no-such-tool is missing; install it"):
        run_tool(["no-such-tool"], "fetching a thing", "install it", cwd=tmp_path)
