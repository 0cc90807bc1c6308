"""`python -m vppportal.simulator`: serve until told to stop."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from vppportal.simulator.server import Simulator
from vppportal.simulator.world import PAGE_SIZE

ABOUT = "Stands in for Apple's Apps and Books services."


def main() -> int:
    """Start, say where in one line of JSON, and serve until SIGTERM or SIGINT."""
    options = _options()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        simulator = Simulator(
            options.seed,
            host=options.host,
            port=options.port,
            samples=options.samples,
            page_size=options.page_size,
            event_seconds=options.event_seconds,
        )
    except OSError as error:
        print(f"The simulator cannot listen on {options.host}:{options.port}: {error.strerror}.", file=sys.stderr)
        return 1
    with simulator:
        ready = {"url": simulator.url, "apple": simulator.apple_url, "control": simulator.control_url}
        print(json.dumps(ready), flush=True)
        stop.wait()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m vppportal.simulator", description=ABOUT)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--samples", type=Path, help="folder for the .vpptoken files of the sample locations")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--page-size", type=int, default=PAGE_SIZE, help="records on a page of a listing")
    parser.add_argument("--event-seconds", type=float, default=0.3, help="how long an asynchronous request takes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
