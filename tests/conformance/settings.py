"""What the programs under test ask of bowstring beyond its defaults."""

from typing import Any

from bowstring import Compression

SETTINGS: dict[str, Any] = {
    # 12 and 13: any window, as the suite asks for it, and every message compressed.
    "compression": Compression(server_max_window_bits=15, client_max_window_bits=15, threshold=0, binary=True),
    # 9.1 and 9.2: messages of 16 MiB.
    "max_size": 16 << 20,
    # 9.3.1 and 9.4.1: a message of 4 MiB in fragments of 64 bytes, and a last one that is empty.
    "max_fragments": 65537,
    # A Ping of ours would count as an event that the case did not expect.
    "ping_interval": None,
}
