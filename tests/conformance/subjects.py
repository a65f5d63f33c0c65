"""The programs under test: bowstring's, one for each twin, and those of the libraries that it is compared with."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from environment import InstallationError
from wstest import Program

HERE = Path(__file__).resolve().parent
SRC = HERE.parent.parent / "src"

ROLES = ("server", "client")
TWINS = ("cython", "python")
PEERS = ("websockets", "picows", "aiohttp", "ws")


def bowstring_program(role: str, twin: str) -> Program:
    """Our own server or client; it describes itself by the twin that it runs over."""
    env = dict(os.environ, PYTHONUNBUFFERED="1")
    env["BOWSTRING_NO_EXTENSIONS"] = "1" if twin == "python" else "0"
    env["BOWSTRING_REQUIRE_EXTENSIONS"] = "0" if twin == "python" else "1"
    if importlib.util.find_spec("bowstring") is None:
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SRC), env.get("PYTHONPATH")]))
    return Program([sys.executable, HERE / {"server": "echo_server.py", "client": "case_client.py"}[role]], env)


def peer_program(role: str, peer: str, cache: Path) -> Program:
    """Another library's server or client. It has to be installed beside bowstring, but for ``ws``, which npm gets."""
    env = dict(os.environ, PYTHONUNBUFFERED="1")
    if peer == "ws":
        env["WS_MODULE"] = str(_install_ws(cache))
        return Program(["node", HERE / "peers" / "ws_peer.mjs", role], env)
    if peer == "aiohttp":
        return Program([sys.executable, HERE / "peers" / "aiohttp_peer.py", role], env)
    # 9.3.1 and 9.4.1 have 65,537 fragments; its own limit is 4,096.
    env["WEBSOCKETS_MAX_FRAGMENTS"] = "65537"
    return Program([sys.executable, HERE / "peers" / "websockets_peer.py", peer, role], env)


def _install_ws(cache: Path) -> Path:
    module = cache / "ws" / "node_modules" / "ws"
    if not module.exists():
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", cache / "ws", "ws@8"]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180)
        except FileNotFoundError:
            raise InstallationError("npm is not installed") from None
        if done.returncode:
            raise InstallationError(f"npm could not install ws: {done.stderr.strip()[-300:]}")
    return module
