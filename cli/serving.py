"""Commands of the serving group: `piston api`, `piston partner …`, `piston consent …`."""

import getpass
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from serving.partners.models import Partner, Tier
from serving.scopes import PartnerKind, Scope
from telematics import clock
from telematics.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from serving.consent.models import Grant
    from serving.consent.service import ConsentService
    from serving.partners.service import Credentials, PartnerService

Result = TypeVar("Result")

partner = typer.Typer(help="Partners: who may take tokens, and with which scopes.", no_args_is_help=True)
consent = typer.Typer(help="Owners' consent: who may read which vehicle.", no_args_is_help=True)

ClientId = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="The partner's client id.")]
Vins = Annotated[list[str], typer.Option("--vin", metavar="VIN", help="A vehicle; may be repeated.")]
Scopes = Annotated[list[Scope] | None, typer.Option("--scope", help="A scope; may be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(api)
    app.add_typer(partner, name="partner")
    app.add_typer(consent, name="consent")


def api() -> None:
    """Run the partner API in the foreground; its documents are at /docs."""
    from serving.server import configure_logging, serve
    from telematics.settings import load_settings

    settings = load_settings()
    configure_logging(settings.log_level)
    if not serve(settings):
        message = (
            f"the API could not start on {settings.api_host}:{settings.api_port} (the log above says why); "
            "if the port is taken, PISTON_API_PORT moves it"
        )
        raise UnavailableError(message)


@partner.command()
def create(
    name: Annotated[str, typer.Argument(help="The partner's name; each is given once.")],
    kind: Annotated[PartnerKind, typer.Option(help="Decides the default scopes.")] = PartnerKind.HISTORY,
    tier: Annotated[Tier, typer.Option(help="Service level.")] = Tier.STANDARD,
    scope: Scopes = None,
    as_json: AsJson = False,
) -> None:
    """Register a partner and print its credentials, this once."""
    made = _on_partners(lambda partners: partners.create(name, kind, tier=tier, scopes=scope or ()))
    _print_credentials(made, as_json)


@partner.command("rotate-secret")
def rotate_secret(client_id: ClientId, as_json: AsJson = False) -> None:
    """Give a partner a new secret and print it, this once; the old one ends now."""
    _print_credentials(_on_partners(lambda partners: partners.rotate_secret(client_id)), as_json)


@partner.command("list")
def list_partners(as_json: AsJson = False) -> None:
    """Every partner; secrets are not kept and so cannot be shown."""
    found = _on_partners(lambda partners: partners.list_all())
    if as_json:
        print(json.dumps([_partner_document(each) for each in found]))
        return
    for each in found:
        state = "disabled" if each.is_disabled else "active"
        print(f"{each.client_id}  {each.kind:8} {each.tier:10} {state:8}  {each.name}: {_words(each.scopes)}")
    if not found:
        print("no partners yet: `piston partner create NAME`")


@partner.command("add-scope")
def add_scope(
    client_id: ClientId,
    scope: Annotated[list[Scope], typer.Option("--scope", help="A scope; may be repeated.")],
    as_json: AsJson = False,
) -> None:
    """Let a partner hold further scopes, as when a release brings a new one. Again the same: nothing happens.

    Owners' consent stays as it was recorded: `piston consent grant` widens it.
    """
    widened = _on_partners(lambda partners: partners.add_scopes(client_id, scope))
    if as_json:
        print(json.dumps(_partner_document(widened)))
        return
    print(f"partner {client_id} ({widened.name}) holds {_words(widened.scopes)}")
    print("What owners consented to is unchanged; `piston consent grant` records a wider consent.")


@partner.command()
def disable(client_id: ClientId) -> None:
    """Shut a partner out: no new tokens, and those it holds are refused within 30 seconds."""
    disabled = _on_partners(lambda partners: partners.disable(client_id))
    print(f"partner {client_id} ({disabled.name}) is disabled")


@consent.command()
def grant(
    client_id: ClientId,
    vin: Vins,
    purpose: Annotated[str, typer.Option(metavar="TEXT", help="What the data is for.")],
    scope: Scopes = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="RFC 3339 or a date; default: until revoked.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Record an owner's consent for one or more vehicles, all or none. Again the same: nothing happens."""
    vins, end = _parse_vins(vin), None if until is None else _parse_moment(until)
    recorded = _on_consent(
        lambda grants: grants.grant(client_id, vins, purpose=purpose, scopes=scope or (), expires_at=end)
    )
    if as_json:
        print(json.dumps([{**_grant_document(each.grant), "is_new": each.is_new} for each in recorded]))
        return
    for each in recorded:
        state = "granted" if each.is_new else "stood already"
        print(f"{each.grant.vin}  {state}: {_words(each.grant.scopes)}; {_period(each.grant)}")


@consent.command()
def revoke(
    client_id: ClientId,
    vin: Vins,
    purpose: Annotated[
        str | None, typer.Option(metavar="TEXT", help="End only the consent for this purpose.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """End consent; the partner's next request already gets nothing. Again the same: nothing happens."""
    vins = _parse_vins(vin)
    ended = _on_consent(lambda grants: grants.revoke(client_id, vins, purpose=purpose))
    if as_json:
        print(json.dumps([_grant_document(each) for each in ended]))
        return
    for each in ended:
        print(f"{each.vin}  revoked: {each.purpose}")
    if not ended:
        print("there was no open consent to end")


@consent.command("list")
def list_grants(
    client_id: Annotated[str | None, typer.Option("--client", help="Only this partner's.")] = None,
    vin: Annotated[str | None, typer.Option(help="Only this vehicle's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Every consent on record, ended ones too."""
    only = None if vin is None else _parse_vins([vin])[0]
    found = _on_consent(lambda grants: grants.history(client_id, only))
    if as_json:
        print(json.dumps([_grant_document(each) for each in found]))
        return
    for each in found:
        print(f"{each.client_id}  {each.vin}  {_period(each)}  {each.purpose}: {_words(each.scopes)}")
    if not found:
        print("no consent on record: `piston consent grant CLIENT_ID --vin VIN --purpose TEXT`")


def _actor() -> str:
    return f"cli:{getpass.getuser()}"


def _on_partners(work: "Callable[[PartnerService], Awaitable[Result]]") -> Result:
    """Run one piece of work on partners in a transaction of its own."""
    from serving.partners.service import PartnerService
    from serving.transaction import run_in_transaction
    from telematics.settings import load_settings

    return run_in_transaction(
        load_settings(), lambda connection: work(PartnerService(connection, actor=_actor()))
    )


def _on_consent(work: "Callable[[ConsentService], Awaitable[Result]]") -> Result:
    """Run one piece of work on consent in a transaction of its own."""
    from serving.consent.service import ConsentService
    from serving.transaction import run_in_transaction
    from telematics.settings import load_settings

    return run_in_transaction(
        load_settings(), lambda connection: work(ConsentService(connection, actor=_actor()))
    )


def _parse_vins(texts: list[str]) -> list[str]:
    from telematics import vin as vin_form

    return [vin_form.parse(text) for text in texts]


def _parse_moment(text: str) -> datetime:
    from serving.time_range import parse_moment

    try:
        return parse_moment(text)
    except ValueError as error:
        message = f"--until {text!r}: {error}"
        raise ConfigurationError(message) from error


def _words(scopes: frozenset[Scope]) -> str:
    return " ".join(sorted(scopes))


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else clock.rfc3339_ms(moment)


def _period(grant: "Grant") -> str:
    end = _time(grant.revoked_at)
    if end is not None:
        return f"from {_time(grant.granted_at)}, revoked {end}"
    return f"from {_time(grant.granted_at)} until {_time(grant.expires_at) or 'revoked'}"


def _print_credentials(made: "Credentials", as_json: bool) -> None:
    if as_json:
        print(json.dumps({**_partner_document(made.partner), "client_secret": made.client_secret}))
        return
    print(f"client_id      {made.partner.client_id}")
    print(f"client_secret  {made.client_secret}")
    print(f"scopes         {_words(made.partner.scopes)}")
    print("The secret is shown this once; only a hash of it is kept.")


def _partner_document(each: Partner) -> dict[str, Any]:
    return {
        "client_id": each.client_id,
        "name": each.name,
        "kind": each.kind,
        "tier": each.tier,
        "scopes": sorted(each.scopes),
        "created_at": _time(each.created_at),
        "disabled_at": _time(each.disabled_at),
    }


def _grant_document(each: "Grant") -> dict[str, Any]:
    return {
        "grant_id": each.grant_id,
        "client_id": each.client_id,
        "vin": each.vin,
        "scopes": sorted(each.scopes),
        "purpose": each.purpose,
        "granted_at": _time(each.granted_at),
        "expires_at": _time(each.expires_at),
        "revoked_at": _time(each.revoked_at),
    }
