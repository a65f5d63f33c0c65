"""The Python 2.7 environment that wstest, the program of Autobahn|Testsuite, runs in."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "wstest-requirements.txt"

#: The last release that makes environments of Python 2.7. It runs on the interpreter that runs this file.
VIRTUALENV = "virtualenv==20.21.1"

#: Masking and UTF-8 in C: the compression cases take a seventh of the time. wstest works without it, where it
#: cannot be built.
ACCELERATOR = "wsaccel==0.6.2"

INSTALL_TIMEOUT = 400.0  # seconds for each command


class NoPython27(Exception):
    """No Python 2.7 is on this machine, and none could be had."""


class InstallationError(Exception):
    """Something could not be installed; the text says what, and where its log is."""


def _is_python27(path: str) -> bool:
    probe = "import sys, zlib, ctypes, ssl; sys.exit(sys.version_info[:2] != (2, 7))"
    try:
        return subprocess.run([path, "-c", probe], capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def find_python27() -> str | None:
    """Looks in PYTHON27, under pyenv and on PATH for a Python 2.7 that has zlib, ctypes and ssl."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [os.environ.get("PYTHON27"), *map(str, sorted(pyenv.glob("versions/2.7*/bin/python2.7")))]
    candidates += [shutil.which("python2.7"), shutil.which("python2")]
    return next((path for path in candidates if path and _is_python27(path)), None)


def _obtain_python27(log: IO[str]) -> str | None:
    """Has the system's package manager or pyenv install one: for machines that are thrown away afterwards."""
    attempts = []
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        attempts.append(["apt-get", "install", "-y", "--no-install-recommends", "python2.7"])
    if shutil.which("pyenv"):
        attempts.append(["pyenv", "install", "-s", "2.7.18"])
    for command in attempts:
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=INSTALL_TIMEOUT)
        if (path := find_python27()) is not None:
            return path
    return None


def install(directory: Path, *, obtain: bool = False) -> Path:
    """Makes the environment of wstest, or finds it already made.

    Args:
        directory: where to; pip's output is kept beside it, in ``install.log``.
        obtain: also try ``apt-get`` and ``pyenv`` where there is no Python 2.7.

    Returns:
        The path of wstest.

    Raises:
        NoPython27: there is none.
        InstallationError: pip failed.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    environment = directory / "venv"
    wstest = environment / "bin" / "wstest"
    stamp = environment / "complete"
    recipe = hashlib.sha256(REQUIREMENTS.read_bytes() + f"{VIRTUALENV} {ACCELERATOR}".encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == recipe and wstest.exists():
        return wstest
    with (directory / "install.log").open("w") as log:
        python27 = find_python27() or (_obtain_python27(log) if obtain else None)
        if python27 is None:
            raise NoPython27
        shutil.rmtree(environment, ignore_errors=True)
        boot = directory / "virtualenv"
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}
        variables |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_REQUIRE_VIRTUALENV": "0", "PYTHONWARNINGS": "ignore"}

        def run(*command: str | Path, **extra: str) -> int:
            print("$", *command, file=log, flush=True)
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            try:
                return subprocess.run(command, env=variables | extra, timeout=INSTALL_TIMEOUT, **streams).returncode
            except subprocess.TimeoutExpired as expired:
                print(expired, file=log)
                return 1

        def must(*command: str | Path, **extra: str) -> None:
            if run(*command, **extra):
                raise InstallationError(
                    f"could not install wstest ({log.name} says why): {' '.join(map(str, command))}"
                )

        pip = ["-m", "pip", "install", "--retries", "5"]
        must(sys.executable, *pip, "--target", boot, "--upgrade", VIRTUALENV)
        make = [sys.executable, "-m", "virtualenv", "--no-download", "-p", python27, environment]
        must(*make, PYTHONPATH=str(boot))
        shutil.rmtree(boot)
        inside = environment / "bin" / "python"
        must(inside, *pip, "--no-deps", "-r", REQUIREMENTS)
        if run(inside, *pip, "--no-deps", ACCELERATOR):
            print(f"note: {ACCELERATOR} could not be built: the compression cases take longer without it", flush=True)
        must(wstest, "--autobahnversion")
        stamp.write_text(recipe)
    return wstest


def suite_versions(wstest: Path) -> str:
    """What a report has to name: the suite, and what it runs on."""
    freeze = [wstest.with_name("python"), "-m", "pip", "freeze"]
    lines = subprocess.run(freeze, capture_output=True, text=True, timeout=60).stdout.split()
    pins = dict(line.split("==") for line in lines if "==" in line)
    names = ("autobahntestsuite", "autobahn", "Twisted", "wsaccel")
    return ", ".join(f"{name} {pins[name]}" for name in names if name in pins)
