"""What must hold of the newest predictions and health scores; shown as asset checks by `orchestration`."""

import json
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any, Final

from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings
from warehouse import clients
from warehouse.checks import CheckResult, Number
from warehouse.predictions import HEALTH_SCORES, PREDICTIONS

KNOWN_WITHIN_DAYS: Final = 28
"""A vehicle of which anything became known in so many days before the scored one must be scored.

Not on the scored day itself: that is scored soon after midnight, and who drives first at noon waits a day.
"""
MAX_DAYS_BEHIND: Final = 2
"""Scoring runs daily: features that are further ahead mean that it has stopped."""
POINTS_TOLERANCE: Final = 0.01
"""Points are tenths, which doubles do not hold exactly."""

NOT_SCORED: Final = CheckResult(
    True, "nothing was scored yet: there is no champion, or scoring_job did not run"
)

_NEWEST: Final = f"""
select as_of, count(), countIf(risk_level = 'unknown') from {ANALYTICS_DATABASE}.{PREDICTIONS}
group by as_of order by as_of desc limit 1
"""
_COVER: Final = f"""
select
    (select max(as_of) from {ANALYTICS_DATABASE}.ftr_component_days where as_of <= {{today:Date}}),
    (select groupUniqArray(vin) from {ANALYTICS_DATABASE}.component_day_signals
     where toDate(known_at) >= {{newest:Date}} - {KNOWN_WITHIN_DAYS} and toDate(known_at) < {{newest:Date}}
       and vin not in (
           select vin from {ANALYTICS_DATABASE}.{PREDICTIONS} where as_of = {{newest:Date}}
       ))
"""
_HEALTH: Final = f"""
select health_score, parts from {ANALYTICS_DATABASE}.{HEALTH_SCORES}
where as_of = (select max(as_of) from {ANALYTICS_DATABASE}.{HEALTH_SCORES})
"""


def predictions_cover_fleet(settings: Settings, today: date) -> CheckResult:
    """Each vehicle of which anything became known lately has a prediction of the newest scoring.

    Args:
        settings: where ClickHouse is.
        today: the UTC day that counts as today.

    Raises:
        UnavailableError: ClickHouse does not answer.
    """
    with clients.clickhouse(settings) as client:
        found = client.query(_NEWEST).result_rows
        if not found:
            return NOT_SCORED
        newest, row_count, unknown_count = found[0]
        features_until, missing = client.query(
            _COVER, parameters={"today": today.isoformat(), "newest": newest.isoformat()}
        ).result_rows[0]
    return judge_cover(newest, features_until, row_count, unknown_count, missing)


def judge_cover(
    newest: date, features_until: date, row_count: int, unknown_count: int, missing: Sequence[str]
) -> CheckResult:
    """The verdict of `predictions_cover_fleet`.

    Args:
        newest: day of the newest scoring.
        features_until: newest day that features were built for.
        row_count: predictions of the newest scoring.
        unknown_count: those of them that say that nothing is known.
        missing: VINs that should have one and do not.
    """
    behind = (features_until - newest) // timedelta(days=1)
    numbers: dict[str, Number] = {
        "as_of": newest.isoformat(),
        "predictions": row_count,
        "unknown": unknown_count,
        "vehicles_without": len(missing),
        "days_behind": behind,
    }
    if missing:
        return CheckResult(
            False,
            f"{len(missing)} vehicles known from the {KNOWN_WITHIN_DAYS} days before {newest} have no "
            "prediction of that day; score again with scoring_job",
            numbers,
        )
    if behind > MAX_DAYS_BEHIND:
        return CheckResult(
            False,
            f"the newest scoring is of {newest}, features reach to {features_until}; see scoring_job's runs",
            numbers,
        )
    return CheckResult(
        True, f"{row_count} vehicles have a prediction of {newest}, {unknown_count} of them unknown", numbers
    )


def health_scores_add_up(settings: Settings) -> CheckResult:
    """Of the newest scoring, 100 less what the parts lost is the score.

    Raises:
        UnavailableError: ClickHouse does not answer.
    """
    with clients.clickhouse(settings) as client:
        rows = client.query(_HEALTH).result_rows
    return judge_sums(rows)


def judge_sums(rows: Iterable[Sequence[Any]]) -> CheckResult:
    """The verdict of `health_scores_add_up` over rows of score or None and parts as JSON."""
    known = unknown = wrong = 0
    for score, parts in rows:
        if score is None:
            unknown += 1
            continue
        known += 1
        lost = sum(part["points_lost"] or 0.0 for part in json.loads(parts))
        wrong += abs(score - (100.0 - lost)) > POINTS_TOLERANCE
    numbers: dict[str, Number] = {"scores": known, "unknown": unknown, "wrong": wrong}
    if not wrong:
        return CheckResult(True, f"{known} scores are 100 less what their parts lost", numbers)
    return CheckResult(
        False,
        f"{wrong} of {known} scores are not 100 less what their parts lost; score again with scoring_job",
        numbers,
    )
