"""Stand-ins for the services the portal talks to: Apple's Apps and Books, and NanoMDM with devices, over real HTTP.

Nothing here imports Django or anything else of the portal, so it can be started, copied and trusted on its own.
"""

from __future__ import annotations

from vppportal.simulator.server import Simulator

__all__ = ["Simulator"]
