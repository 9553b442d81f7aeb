"""`python -m tests.ingest.campaign`: the crash campaign on its own."""

import argparse
import signal
import sys
from pathlib import Path

from tests.ingest.campaign.campaign import SITTING_ROUNDS, CampaignStateError, machine, run_campaign
from tests.ingest.campaign.report import render
from tests.ingest.campaign.sitting import CARS, CampaignError
from tests.ingest.campaign.trackers import UnexpectedAnswerError


def main() -> int:
    """Run or continue a campaign; 0 if ledger and stores agree."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.ingest.campaign",
        description="kill -9 of gateway, sink, live writer and servers with frames in flight, on servers of "
        "its own; then the senders' ledger against the stores. Run it again with the same folder to go on.",
    )
    parser.add_argument("--rounds", type=int, default=50, help="of the whole campaign (default 50)")
    parser.add_argument("--seed", type=int, default=1, help="decides who dies when (default 1)")
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps the results")
    parser.add_argument("--report", type=Path, help="write the result as a Markdown page")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    for number in (signal.SIGINT, signal.SIGTERM):  # stop the servers, also when started in the background
        signal.signal(number, signal.default_int_handler)
    try:
        result = run_campaign(options.state, options.rounds, options.seed, _say)
    except (CampaignError, CampaignStateError, UnexpectedAnswerError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"cut short; with --state {options.state} it goes on\n")
        return 130
    if options.report is not None:
        page = render(result, machine=machine(), cars=CARS, sitting=SITTING_ROUNDS)
        options.report.write_text(page)
    return 0 if result.is_clean else 1


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
