"""`python -m vppportal.simulator`: serve until told to stop."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from vppportal.simulator.mdm.service import API_KEY, WEBHOOK_KEY, Options
from vppportal.simulator.server import Simulator
from vppportal.simulator.world import PAGE_SIZE

ABOUT = "Stands in for Apple's Apps and Books services, and for NanoMDM with devices behind it."


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
            mdm=_mdm(options),
            run=os.urandom(8).hex(),
        )
    except OSError as error:
        ports = f"{options.port} or {options.mdm_port}" if options.mdm_port else f"{options.port}"
        print(f"The simulator cannot listen on {options.host}:{ports}: {error.strerror}.", file=sys.stderr)
        return 1
    with simulator:
        ready = {
            "url": simulator.url,
            "apple": simulator.apple_url,
            "control": simulator.control_url,
            "mdm": simulator.mdm_url,
        }
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
    mdm = parser.add_argument_group("the stand-in for NanoMDM and its devices")
    mdm.add_argument("--mdm-port", type=int, default=0, help="0 takes any free port")
    mdm.add_argument("--mdm-webhook-url", default="", help="where events are posted")
    # Keys come in files: arguments can be read by anybody on the machine.
    mdm.add_argument("--mdm-webhook-key-file", type=Path, help="file with the key that signs events")
    mdm.add_argument("--mdm-api-key-file", type=Path, help="file with the key that its API asks for")
    mdm.add_argument("--devices", action="store_true", help="let the devices of the sample company enroll")
    mdm.add_argument("--answer-seconds", type=float, default=0.01, help="how long a pushed device takes to come")
    mdm.add_argument("--install-seconds", type=float, default=0.05, help="how long an app takes to be installed")
    mdm.add_argument("--poll-seconds", type=float, default=0.0, help="how often a device comes unasked; 0 is never")
    return parser.parse_args()


def _mdm(options: argparse.Namespace) -> Options:
    return Options(
        webhook_url=options.mdm_webhook_url,
        webhook_key=_kept(options.mdm_webhook_key_file) or WEBHOOK_KEY,
        api_key=_kept(options.mdm_api_key_file) or API_KEY,
        port=options.mdm_port,
        has_sample_devices=options.devices,
        answer_seconds=options.answer_seconds,
        install_seconds=options.install_seconds,
        poll_seconds=options.poll_seconds,
    )


def _kept(path: Path | None) -> str:
    return path.read_text().strip() if path else ""


if __name__ == "__main__":
    sys.exit(main())
