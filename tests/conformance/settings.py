"""What the programs under test ask of bowstring beyond its defaults."""

from typing import Any

SETTINGS: dict[str, Any] = {
    # 9.1 and 9.2: messages of 16 MiB.
    "max_size": 16 << 20,
    # 9.3.1 and 9.4.1: a message of 4 MiB in fragments of 64 bytes, and a last, empty one.
    "max_fragments": 65537,
    # No case answers our Pings, and some do count what we send.
    "ping_interval": None,
}
