"""The sensor that posts failures to `PISTON_ALERT_WEBHOOK_URL`.

Dagster's own run failure sensor moves on when its function fails, and the failure is never told. This one
keeps its place in the event log and moves it past a failure only after the receiver took it: at least once,
in order, with the same id at every attempt. It gives up, and says so, on what was refused for an hour or
could not be delivered for a day, so that one event cannot hold up all others for ever.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import dagster as dg

from orchestration.errors import UndeliveredError
from orchestration.failures import Failure, Reading, newest_place, read_failures
from orchestration.webhook import post
from telematics.clock import Clock, utc_now
from telematics.settings import Settings
from telematics.standard_webhooks import signing_key

SETTLED: Final = timedelta(seconds=5)
"""Events younger than this wait: one with a smaller number may not be committed yet."""
REFUSED_FOR: Final = timedelta(hours=1)
UNDELIVERED_FOR: Final = timedelta(days=1)
MAX_RECORDS: Final = 500
"""Records of each kind that a tick looks at; checks that passed are among them."""
TICK_S: Final = 30.0
"""Dagster ends a tick after 60 s, and then its cursor is lost."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a tick did."""

    place: int
    """In the event log, up to which everything was handled."""
    delivered: int = 0
    given_up: int = 0
    problem: str | None = None
    """Why the tick ended before the last failure."""

    @property
    def sentence(self) -> str:
        """For whoever looks at the tick."""
        parts = [f"{self.delivered} failures posted" if self.delivered else ""]
        parts += [f"{self.given_up} given up" if self.given_up else "", self.problem or ""]
        return "; ".join(part for part in parts if part) or "nothing failed since"


def deliver(
    reading: Reading,
    after: int,
    send: Callable[[Failure], None],
    log: Callable[[str], None],
    clock: Clock = utc_now,
) -> Delivery:
    """Send the failures in order, until one cannot be delivered.

    Args:
        reading: what failed since.
        after: place in the event log up to which everything was handled.
        send: raises UndeliveredError.
        log: gets a line for each failure that is given up.
        clock: says how old a failure is.
    """
    place, delivered, given_up = after, 0, 0
    deadline = time.monotonic() + TICK_S
    for failure in reading.failures:
        if time.monotonic() > deadline:
            return Delivery(place, delivered, given_up, "the rest follows with the next tick")
        try:
            send(failure)
        except UndeliveredError as error:
            age = clock() - failure.happened_at
            if age < (REFUSED_FOR if error.is_final else UNDELIVERED_FOR):
                return Delivery(place, delivered, given_up, f"{error}; trying again")
            log(f"the failure {failure.event_id} is given up: {error}")
            given_up += 1
        else:
            delivered += 1
        place = failure.storage_id
    return Delivery(reading.end, delivered, given_up)


def alert(context: dg.SensorEvaluationContext, settings: Settings, clock: Clock = utc_now) -> dg.SkipReason:
    """One tick: post what failed since the last, and remember how far it came."""
    end = newest_place(context.instance)
    if settings.alert_webhook_url is None:
        context.update_cursor(str(end))
        return dg.SkipReason("PISTON_ALERT_WEBHOOK_URL is not set: failures are shown here alone")
    if context.cursor is None:
        context.update_cursor(str(end))
        return dg.SkipReason("failures are posted from now on")
    url = settings.alert_webhook_url
    secret = settings.alert_webhook_secret
    key = signing_key(secret.get_secret_value()) if secret else None

    def send(failure: Failure) -> None:
        post(url, failure.body, failure.event_id, key, clock())

    after = int(context.cursor)
    reading = read_failures(
        context.instance, context.repository_def, settings, after, clock() - SETTLED, MAX_RECORDS
    )
    done = deliver(reading, after, send, context.log.error, clock)
    context.update_cursor(str(done.place))
    return dg.SkipReason(done.sentence)


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def failure_alerts_sensor(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
) -> dg.SkipReason:
    """Failed runs and failed checks are posted to the address in `PISTON_ALERT_WEBHOOK_URL`, signed."""
    return alert(context, settings)
