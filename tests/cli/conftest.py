"""The command line as a user has it: in a process of its own."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from bowstring.cli import main

TIMEOUT = 20.0  # seconds for a command; far more than any takes
COMMAND = [sys.executable, "-m", "bowstring"]


class Result(NamedTuple):
    """How a command ended."""

    status: int
    out: bytes
    err: str


class Program:
    """A command that goes on running."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines = self._lines_of(process.stdout)
        self.errors = self._lines_of(process.stderr)

    @staticmethod
    def _lines_of(pipe: object) -> queue.Queue[str]:
        lines: queue.Queue[str] = queue.Queue()

        def read() -> None:
            for line in pipe:  # type: ignore[attr-defined]
                lines.put(line.decode().rstrip("\n"))

        threading.Thread(target=read, daemon=True).start()
        return lines

    def line(self) -> str:
        """The next line of stdout."""
        return self.lines.get(timeout=TIMEOUT)

    def error(self) -> str:
        """The next line of stderr."""
        return self.errors.get(timeout=TIMEOUT)

    def type(self, text: str) -> None:
        """Writes to stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal. Returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT)


Run: TypeAlias = Callable[..., Result]
Start: TypeAlias = Callable[..., AbstractContextManager[Program]]


@pytest.fixture
def run() -> Run:
    """``run(*arguments, stdin=b"")`` runs a command to its end."""

    def run(*arguments: object, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            env={**os.environ, **(env or {})},
        )
        assert "Traceback" not in done.stderr.decode(), done.stderr.decode()
        return Result(done.returncode, done.stdout, done.stderr.decode())

    return run


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Run:
    """Like ``run``, but in this process, which is faster; for commands that do not read stdin."""

    def call(*arguments: object) -> Result:
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Result(status, out.encode(), err)

    return call


@pytest.fixture
def start() -> Start:
    """``with start(*arguments) as program:`` starts a command, and ends it."""

    @contextmanager
    def start(*arguments: object) -> Iterator[Program]:
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_listen_to_interrupts if os.name == "posix" else None,
        )
        try:
            yield Program(process)
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

    return start


def _listen_to_interrupts() -> None:
    """A shell that started the tests in the background may have switched SIGINT off for all that they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def echo(start: Start) -> Iterator[str]:
    """The address of an echo server."""
    with start("serve", "--echo", "--port", 0, "--quiet") as program:
        yield program.line().split()[3]


class Certificates(NamedTuple):
    """Files in PEM format."""

    ca: Path
    server: Path
    key: Path
    encrypted: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A certificate for localhost and 127.0.0.1, and whom to trust for that."""
    import trustme
    from cryptography.hazmat.primitives import serialization

    folder = tmp_path_factory.mktemp("certificates")
    ca = trustme.CA()
    issued = ca.issue_cert("localhost", "127.0.0.1")
    files = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key", folder / "encrypted.key")
    ca.cert_pem.write_to_path(str(files.ca))
    issued.cert_chain_pems[0].write_to_path(str(files.server))
    issued.private_key_pem.write_to_path(str(files.key))
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    files.encrypted.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    return files
