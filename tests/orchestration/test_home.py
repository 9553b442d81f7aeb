import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from orchestration.home import environment_of, home_of, instance_configuration, write_home
from telematics.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        environment="test",
        data_dir=tmp_path,
        timescale_port=25999,
        timescale_password=SecretStr("s3cret'; x"),
    )


def test_the_file_is_yaml_that_dagster_reads_and_holds_no_secret(settings: Settings):
    home = write_home(settings)
    text = (home / "dagster.yaml").read_text()
    assert home == home_of(settings)
    assert "s3cret" not in text
    assert json.loads(text) == instance_configuration(settings)


def test_dagster_accepts_the_configuration(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    from dagster._core.instance.ref import InstanceRef

    for name, value in environment_of(settings, {}).items():
        monkeypatch.setenv(name, value)
    reference = InstanceRef.from_dir(str(write_home(settings)))
    assert reference.custom_instance_class_data is None
    assert reference.settings["telemetry"] == {"enabled": False}


def test_writing_again_leaves_an_unchanged_file_alone(settings: Settings):
    path = write_home(settings) / "dagster.yaml"
    before = path.stat().st_mtime_ns
    write_home(settings)
    assert path.stat().st_mtime_ns == before


def test_children_see_exactly_these_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    environment = environment_of(settings, {"PATH": "/bin", "PISTON_PROGRAMS_DIR": "/elsewhere"})
    assert environment["PATH"] == "/bin"
    assert "PISTON_PROGRAMS_DIR" not in environment, "a setting that is unset here must not come from outside"
    assert environment["DAGSTER_DISABLE_TELEMETRY"] == "yes"
    assert environment["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "false"
    for name in environment:
        monkeypatch.setenv(name, environment[name])
    assert Settings(_env_file=None) == settings
