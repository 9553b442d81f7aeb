"""Piston's own long-lived processes: which there are, in which order they start, where they answer."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

import stack
from stack.account import own_account
from stack.layout import Layout, write_private
from stack.servers.server import PortUse
from stack.supervision import SERVICES, Program
from telematics.settings import Settings

SEARCH_FEED: Final = "search-feed"
ORDER: Final = ("sink", "live", SEARCH_FEED, "gateway", "api", "dagster")
"""Consumers before what feeds them; the API and Dagster read what those write."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service of one stack."""

    name: str
    port: PortUse | None


def services_of(settings: Settings) -> dict[str, Service]:
    """Every service that the settings ask for, in the order of starting."""
    where = {
        "gateway": (settings.gateway_port, settings.gateway_host),
        "api": (settings.api_port, settings.api_host),
        "dagster": (settings.dagster_port, settings.dagster_host),
    }
    ports = {
        name: PortUse(port, f"PISTON_{name.upper()}_PORT", host, is_service=True)
        for name, (port, host) in where.items()
    }
    return {
        name: Service(name, ports.get(name)) for name in ORDER if name != SEARCH_FEED or settings.with_search
    }


def programs_of(layout: Layout) -> list[Program]:
    """The supervised programs of the services."""
    return [
        Program(
            name=name,
            group=SERVICES,
            command=(
                sys.executable, "-m", "stack.launch", str(environment_file(layout)),
                sys.executable, "-m", "cli.main", name,
            ),
            directory=str(Path(stack.__file__).parent.parent),
            signals_group=name == "dagster",  # a web server, a daemon and their code servers
            start_s=2,
        )
        for name in ORDER
    ]  # fmt: skip


def environment_file(layout: Layout) -> Path:
    """Where the services' environment is kept."""
    return layout.run / "services.json"


def environment_of(settings: Settings) -> dict[str, str]:
    """This process's environment with every setting made explicit, so that `.env` files play no part."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PISTON_")}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if value is not None:
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            environment[f"PISTON_{name.upper()}"] = str(plain)
    return environment


def write_environment(settings: Settings, layout: Layout) -> bool:
    """Write the services' environment; returns whether a setting in it changed."""
    own, path = own_account(), environment_file(layout)
    before = _settings_in(json.loads(path.read_text())) if path.exists() else {}
    environment = environment_of(settings)
    write_private(path, json.dumps(environment, sort_keys=True, indent=1), own.uid, own.gid)
    return before != _settings_in(environment)


def _settings_in(environment: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key.startswith("PISTON_")}
