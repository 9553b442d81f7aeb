import pytest

from serving.scopes import (
    DEFAULT_SCOPES,
    DESCRIPTIONS,
    PartnerKind,
    Scope,
    UnknownScopeError,
    format_scopes,
    known_scopes,
    parse_scopes,
)


def test_every_scope_is_described_and_every_kind_has_defaults() -> None:
    assert set(DESCRIPTIONS) == set(Scope)
    assert set(DEFAULT_SCOPES) == set(PartnerKind)


@pytest.mark.parametrize("kind", [PartnerKind.HISTORY, PartnerKind.INSURER])
def test_the_driving_score_is_off_by_default_where_it_could_harm_a_driver(kind: PartnerKind) -> None:
    assert Scope.SCORE_READ not in DEFAULT_SCOPES[kind]


@pytest.mark.parametrize("kind", PartnerKind)
def test_predictions_about_the_vehicle_are_on_by_default(kind: PartnerKind) -> None:
    assert Scope.MAINTENANCE_READ in DEFAULT_SCOPES[kind]


def test_a_scope_that_does_not_exist_is_named_in_the_refusal() -> None:
    with pytest.raises(UnknownScopeError, match="everything:write"):
        parse_scopes(["odometer:read", "everything:write"])


def test_a_stored_scope_of_another_release_grants_nothing() -> None:
    assert known_scopes(["odometer:read", "tomorrow:read"]) == {Scope.ODOMETER_READ}


def test_scopes_are_written_once_each_in_a_fixed_order() -> None:
    assert format_scopes([Scope.DTC_READ, Scope.TELEMETRY_READ, Scope.DTC_READ]) == "telemetry:read dtc:read"
