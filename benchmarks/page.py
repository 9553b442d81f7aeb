"""`docs/performance.md` and its plots, out of what the benchmarks printed.

Each benchmark's output lies in `docs/performance/NAME.json`, as `piston bench NAME --json` printed it, and
the page says nothing that is not in there. `python -m benchmarks.page` writes the page and the plots anew;
`--check` only compares the page, and says with its exit code whether it is up to date.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.plots import PLOTS

_DOCS: Final = Path(__file__).parent.parent / "docs"
_PAGE: Final = "performance.md"
_FOLDER: Final = "performance"


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to reach."""

    figure: str
    bound: float
    is_least: bool = True

    def words(self) -> str:
        """As in the table."""
        return f"{'≥' if self.is_least else '≤'} {_number(self.bound)}"

    def is_met(self, value: float) -> bool:
        """Whether a value reaches it."""
        return value >= self.bound if self.is_least else value <= self.bound


TARGETS: Final[Mapping[str, tuple[Target, ...]]] = {
    "decode": (
        Target("ratio_to_naive", 35),
        Target("live_ratio_to_naive", 35),
        Target("records_per_second", 6e6),
    ),
    "gateway": (
        Target("frames_per_cpu_second", 50_000),
        Target("ratio_to_asyncio_streams", 2),
        Target("ack_p99_ms", 15, is_least=False),
        Target("mib_with_10000_idle", 1024, is_least=False),
        Target("seconds_to_serve_1000_reconnecting", 5, is_least=False),
    ),
    "sink": (
        Target("copy_ratio_to_row_jsonb", 5),
        Target("microseconds_per_record", 1.5, is_least=False),
        Target("live_microseconds_per_record", 1.5, is_least=False),
    ),
    "live": (Target("microseconds_per_record", 15, is_least=False),),
    "end-to-end": (
        Target("live_records_per_second", 40_000),
        Target("backfill_records_per_second", 100_000),
        Target("ratio_to_stage_sum", 1.3, is_least=False),
        Target("freshness_p99_ms", 1000, is_least=False),
    ),
    "search": (Target("search_p99_ms", 50, is_least=False),),
    "warehouse": (
        Target("day_load_ratio_to_copy_out", 0.5),
        Target("day_load_ratio_to_copy_out_real", 0.5),
        Target("daily_pipeline_seconds", 180, is_least=False),
        Target("first_page_ms", 100, is_least=False),
        Target("first_page_p99_ms", 100, is_least=False),
    ),
    "storage": (
        Target("reduction_percent_real", 95),
        Target("reduction_percent_real_typed", 94),
        Target("parquet_reduction_percent_real", 95),
        Target("parquet_reduction_percent_real_typed", 94),
        Target("clickhouse_bytes_per_row_real", 28, is_least=False),
        Target("clickhouse_cold_bytes_per_row_real", 21, is_least=False),
    ),
}
"""Benchmark → what it has to reach."""

_HEAD: Final = """\
# Performance

Written by `python -m benchmarks.page` from the files beside the plots, which are what
`piston bench NAME --json` printed; run one yourself to compare. Times of this kind of machine swing up to
twofold, so trust ratios, which are taken in one run, and processor time, before anything by the clock. A
baseline counts only while it is within 1.5 times its reference figure after a calibration loop (the notes say
so); else its ratio does not.
"""


def render(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """The page.

    Args:
        documents: benchmark → what it printed.
    """
    parts = [_HEAD]
    for name, document in documents.items():
        figures: Mapping[str, float] = document["figures"]
        machine = document["machine"]
        parts.append(f"## {name}\n")
        parts.append(f"![{name}]({_FOLDER}/{name}.png)\n")
        parts.append(
            f"`piston bench {name} --json` on {machine['cores']} cores of {machine['processor']}, Python "
            f"{machine['python']}, {machine['system']}; load before the end {machine['load_1min']}.\n"
        )
        parts.append("| figure | asked | measured | |\n|---|---|---|---|")
        asked = {target.figure: target for target in TARGETS[name]}
        ordered = [*asked, *(figure for figure in figures if figure not in asked)]
        parts += [_row(figure, figures.get(figure), asked.get(figure)) for figure in ordered]
        parts.append("")
        parts += [f"- {note}" for note in document["notes"]]
        parts.append("")
    return "\n".join(parts)


def _row(figure: str, value: float | None, target: Target | None) -> str:
    if value is None:  # for want of the recorded drives
        return f"| `{figure}` | {target.words() if target else ''} | not measured | |"
    if target is None:
        return f"| `{figure}` | | {_number(value)} | |"
    verdict = "met" if target.is_met(value) else "**missed**"
    return f"| `{figure}` | {target.words()} | {_number(value)} | {verdict} |"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def read_documents(docs: Path) -> dict[str, dict[str, Any]]:
    """What each benchmark printed, in the page's order; those that never ran are left out."""
    files = {name: docs / _FOLDER / f"{name}.json" for name in TARGETS}
    return {name: orjson.loads(path.read_bytes()) for name, path in files.items() if path.is_file()}


def main() -> int:
    """Write, or check; the exit code is 1 where a check finds an old page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the page is old")
    options = parser.parse_args()
    documents = read_documents(_DOCS)
    page = render(documents)
    path = _DOCS / _PAGE
    if options.check:
        is_same = path.is_file() and path.read_text(encoding="utf-8") == page
        if not is_same:
            print(
                f"docs/{_PAGE} is not what the results say; run: python -m benchmarks.page", file=sys.stderr
            )
        return int(not is_same)
    path.write_text(page, encoding="utf-8")
    for name, document in documents.items():
        (_DOCS / _FOLDER / f"{name}.png").write_bytes(PLOTS[name](document["figures"]))
    print(f"docs/{_PAGE}: {len(documents)} benchmarks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
