import re
from pathlib import Path

import pytest

from telematics.errors import ConfigurationError
from telematics.settings import DEVELOPMENT_SECRET, Settings, load_settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PISTON_{name.upper()}", raising=False)


def test_env_example_lists_every_setting_and_nothing_else(repository: Path) -> None:
    text = (repository / ".env.example").read_text()
    listed = {name.lower() for name in re.findall(r"^(?:# )?PISTON_(\w+)=", text, flags=re.MULTILINE)}
    assert listed == set(Settings.model_fields)


def test_env_example_states_the_defaults(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = load_settings()
    for name, value in re.findall(
        r"^PISTON_(\w+)=(\S+)", (repository / ".env.example").read_text(), re.MULTILINE
    ):
        monkeypatch.setenv(f"PISTON_{name}", value)
    assert load_settings() == plain


def test_development_secrets_are_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PISTON_ENVIRONMENT", "production")
    with pytest.raises(ConfigurationError, match="PISTON_TIMESCALE_PASSWORD still has its development value"):
        load_settings()


def test_production_needs_a_signing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PISTON_ENVIRONMENT", "production")
    for name in ("TIMESCALE", "CLICKHOUSE", "CLICKHOUSE_READER", "VALKEY", "SEARCH"):
        monkeypatch.setenv(f"PISTON_{name}_PASSWORD", "a secret of our own")
    with pytest.raises(ConfigurationError, match="PISTON_TOKEN_PRIVATE_KEY is not set"):
        load_settings()


def test_a_wrong_setting_is_named_but_its_value_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PISTON_KAFKA_PORT", "hunter2")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "PISTON_KAFKA_PORT" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_folders_follow_home_unless_moved_apart(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "h", data_dir=tmp_path / "d")
    assert settings.programs == tmp_path / "h/programs"
    assert settings.state == tmp_path / "d/state"


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    assert DEVELOPMENT_SECRET not in repr(Settings())
