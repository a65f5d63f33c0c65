"""``bowstring report``: what is at work here."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import platform
import ssl
import sys
import zlib
from typing import Any

from bowstring._version import __version__

__all__ = ["gather", "run"]

_PACKAGES = ("h11", "uvloop")


def run(options: argparse.Namespace) -> int:
    """Prints the report. Exit code 1 when there is no codec at all."""
    report = gather()
    print(json.dumps(report, indent=2) if options.json else _as_text(report))
    return 1 if report["codec"]["error"] else 0


def gather() -> dict[str, Any]:
    """The report as JSON has it."""
    return {
        "bowstring": __version__,
        "codec": _codec(),
        "python": {
            "implementation": platform.python_implementation(),
            "version": platform.python_version(),
            "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
            "executable": sys.executable,
        },
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "openssl": ssl.OPENSSL_VERSION,
    }


def _codec() -> dict[str, Any]:
    """Which twin is loaded; ``error`` when none can be."""
    try:
        codec = importlib.import_module("bowstring.codec")
    except Exception as exc:  # whatever is broken: here it is to be seen
        return {
            "implementation": None,
            "fallback_reason": "",
            "simd_level": None,
            "simd_levels": [],
            "error": str(exc) or type(exc).__name__,
        }
    return {
        "implementation": codec.IMPLEMENTATION,
        "fallback_reason": codec.FALLBACK_REASON,
        "simd_level": codec.simd_level(),
        "simd_levels": list(codec.simd_levels()),
        "error": "",
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _as_text(report: dict[str, Any]) -> str:
    codec, python = report["codec"], report["python"]
    rows = [("bowstring", report["bowstring"])]
    if codec["error"]:
        rows.append(("codec", f"none: {codec['error']}"))
    else:
        rows.append(("codec", codec["implementation"]))
        if codec["fallback_reason"]:
            rows.append(("why", codec["fallback_reason"]))
        rows.append(("SIMD", f"{codec['simd_level']} (of {', '.join(codec['simd_levels'])})"))
    threads = "" if python["gil"] else ", free-threaded"
    rows.append(("Python", f"{python['implementation']} {python['version']}{threads} ({python['executable']})"))
    rows.append(("platform", report["platform"]))
    rows += [(name, version or "not installed") for name, version in report["packages"].items()]
    rows.append(("zlib", report["zlib"]))
    rows.append(("OpenSSL", report["openssl"].removeprefix("OpenSSL ")))
    return "\n".join(f"{name:<13}{value}" for name, value in rows)
