"""A campaign as a page for people. Pure."""

from collections import Counter
from collections.abc import Iterable
from statistics import median
from typing import Final

from tests.ingest.campaign.campaign import CampaignResult
from tests.ingest.campaign.plan import Victim

TITLES: Final = {
    Victim.GATEWAY: "gateway",
    Victim.SINK: "sink",
    Victim.LIVE: "live writer",
    Victim.BROKER: "Kafka",
    Victim.DATABASE: "TimescaleDB",
    Victim.LIVE_STORE: "Valkey",
    Victim.WAREHOUSE: "ClickHouse",
}

_HEAD: Final = """\
# Crash campaign
What happens when a process is killed with frames in flight: `kill -9` to gateway, sink, live writer and
servers while trackers send, and in the end the senders' ledger against every store. Written by

    .venv/bin/python -m tests.ingest.campaign --rounds {rounds} --seed {seed} \\
        --state FOLDER --report docs/crash-campaign.md

on {machine}, finished {finished_at}; {minutes:.0f} minutes, other work on the machine included.

A round: {cars} trackers (TCP and UDP; Codec 8, 8 Extended and 16; batches, overlaps, packets sent again, late
records) send all the time, each one packet until it is acknowledged. At a random moment the victims get
SIGKILL. A round counts only if at the blow some packet was sent and unacknowledged, some acknowledged record
was not in the hypertable yet, and, where the live writer died, some acknowledged record was not in the live
state yet: that is looked up in the stores, not hoped for, and a blow that met nothing in flight is struck
again. The supervisor brings the victims back, as in production. The next round begins when packets that were
first sent after the blow are acknowledged, stored and live. Every {sitting} rounds the trackers finish, the
consumers catch up, and ledger and stores are compared; then everything begins anew on fresh servers. A
campaign that is cut short goes on with the sitting it was in.
"""

_MEANING: Final = """
`lost`: acknowledged records that the hypertable lacks. `doubled`: rows beyond the first of a record,
acknowledged or not. `foreign`: rows that nobody sent. `miscounted_days`: days whose count in `hot_days` is
not that of their rows. `stale`: vehicles whose live state is not their newest record. Alerts are compared by
id with what the cars' own story says must come of it, read with `final`.
"""

_ROUNDS: Final = """
## Rounds
In flight at the blow: packets sent and unacknowledged; acknowledged records that were not in the hypertable;
acknowledged records that were not in the live state (where the live writer died). The last two are counted
in the 300 packets that were acknowledged last.

"""


def render(result: CampaignResult, *, machine: str, cars: int, sitting: int) -> str:
    """The page, in Markdown."""
    totals = result.totals
    seconds = sum(one.seconds for one in result.sittings)
    parts = [
        _HEAD.format(
            rounds=len(result.rounds),
            seed=result.seed,
            machine=machine,
            finished_at=result.finished_at or "never",
            minutes=seconds / 60,
            cars=cars,
            sitting=sitting,
        ),
        "\n## Result\n",
        f"{len(result.rounds)} rounds, {sum(len(one.victims) for one in result.rounds)} kills. "
        + (
            "Ledger and stores agree in everything.\n"
            if result.is_clean
            else "**Ledger and stores differ.**\n"
        ),
        "\n",
        _table(
            ("ledger and stores", "count"),
            [
                ("packets sent", totals.packets),
                ("of these sent again after a broken link or no answer", totals.resent),
                ("packets given up by their senders, unacknowledged", totals.forgotten),
                ("different records sent", totals.sent),
                ("of these acknowledged", totals.acknowledged),
                ("rows in the hypertable", totals.rows),
                ("of these never acknowledged to their sender", totals.unacknowledged_rows),
                ("alerts that the records give rise to", totals.alerts),
                ("alerts that ClickHouse had yet to merge", totals.alert_repeats),
            ],
        ),
        "\n",
        _table(
            ("sitting", "rounds", "seconds", "records acknowledged", "differences found"),
            (
                (
                    number,
                    f"{one.rounds[0].number} to {one.rounds[-1].number}",
                    f"{one.seconds:.0f}",
                    one.totals.acknowledged,
                    one.verdict,
                )
                for number, one in enumerate(result.sittings, start=1)
            ),
        ),
        _MEANING,
        "\n## Victims\n",
        _table(("victim", "kills", "longest way back, s", "median, s"), _victim_rows(result)),
        _ROUNDS,
        _table(
            ("round", "killed", "unacknowledged", "not stored", "not live", "whole again, s", "blows"),
            (
                (
                    one.number,
                    " + ".join(TITLES[victim] for victim in one.victims),
                    one.unacknowledged,
                    one.unstored,
                    "" if one.unsettled is None else one.unsettled,
                    f"{one.recovered_s:.1f}",
                    one.blows,
                )
                for one in result.rounds
            ),
        ),
    ]
    return "".join(parts)


def _victim_rows(result: CampaignResult) -> Iterable[tuple[object, ...]]:
    kills = Counter(victim for one in result.rounds for victim in one.victims)
    for victim in Victim:
        waits = [one.recovered_s for one in result.rounds if victim in one.victims]
        if waits:
            yield TITLES[victim], kills[victim], f"{max(waits):.1f}", f"{median(waits):.1f}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)
