"""What wstest found, and how it differs from what is expected."""

from __future__ import annotations

import datetime as dt
import fnmatch
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXPECTED = Path(__file__).with_name("expected.json")

#: The groups that a quick run leaves out: long messages, and two times many thousands of compressed ones.
SLOW_GROUPS = ("9.*", "12.*", "13.*")

#: These send ten Pings. wstest asks for their Pongs in order; that each came, and came once, is counted here.
PING_CASES = ("2.10", "2.11")
PINGS = 10

PONG = 0xA

#: What wstest asks a server for in its offers of these groups. It takes any answer: that the answer agrees to this is
#: looked up in its record of the handshake. (Of a client, whose offers it answers, it does check what it needs.)
ASKED_OF_SERVER = {
    "13.2.*": ["server_no_context_takeover"],
    "13.3.*": ["server_max_window_bits=9"],
    "13.4.*": ["server_max_window_bits=15"],
    "13.5.*": ["server_no_context_takeover", "server_max_window_bits=9"],
    "13.6.*": ["server_no_context_takeover", "server_max_window_bits=15"],
    "13.7.*": ["server_no_context_takeover", "server_max_window_bits=9"],
}


@dataclass(frozen=True)
class Verdict:
    """What wstest says of one case: of the messages, and of the way in which the connection was closed."""

    behavior: str
    behavior_close: str

    def __str__(self) -> str:
        if self.behavior == self.behavior_close:
            return self.behavior
        return f"{self.behavior} (close: {self.behavior_close})"


def load_expected() -> dict[str, Verdict]:
    """The committed verdicts by case, in the suite's order."""
    return {case: Verdict(*pair) for case, pair in json.loads(EXPECTED.read_text())["cases"].items()}


def select(cases: Iterable[str], patterns: Iterable[str], *, base: bool = False) -> list[str]:
    """Chooses cases by patterns like ``6.4.*``; every pattern has to match one.

    Args:
        cases: the numbers there are.
        patterns: what to choose; none means all.
        base: leave out SLOW_GROUPS.

    Raises:
        ValueError: nothing matches a pattern.
    """
    cases, patterns = list(cases), list(patterns)
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(case, pattern) for case in cases):
            raise ValueError(f"no case is like {pattern!r}")
    return [
        case
        for case in cases
        if (not patterns or any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns))
        and not (base and any(fnmatch.fnmatchcase(case, slow) for slow in SLOW_GROUPS))
    ]


class Report:
    """The report of one run, as wstest wrote it into a directory."""

    def __init__(self, directory: Path, agent: str) -> None:
        index = directory / "index.json"
        entries = json.loads(index.read_text()).get(agent, {}) if index.exists() else {}
        self._files: dict[str, Path] = {case: directory / entry["reportfile"] for case, entry in entries.items()}
        self.verdicts: dict[str, Verdict] = {
            case: Verdict(entry["behavior"], entry["behaviorClose"]) for case, entry in entries.items()
        }

    def details(self, case: str) -> dict[str, Any]:
        """wstest's own record of a case, with its log of the wire."""
        details: dict[str, Any] = json.loads(self._files[case].read_text())
        return details

    def span(self, case: str) -> tuple[float, float]:
        """When a case began and ended, in seconds since the epoch."""
        details = self.details(case)
        began = dt.datetime.fromisoformat(details["started"]).timestamp()
        return began, began + details["duration"] / 1000

    def update(self, other: Report) -> None:
        """Takes over what was found in another run."""
        self._files |= other._files
        self.verdicts |= other.verdicts

    def differences(self, expected: Mapping[str, Verdict]) -> dict[str, str]:
        """What is not as expected, by case, each in one line that says what happened."""
        found = {}
        for case, verdict in expected.items():
            if case not in self.verdicts:
                found[case] = f"expected {verdict}, was not run"
            elif self.verdicts[case] != verdict:
                found[case] = f"expected {verdict}, got {self.verdicts[case]}: {_explain(self.details(case))}"
            elif complaint := self._check_record(case):
                found[case] = complaint
        return found

    def _check_record(self, case: str) -> str | None:
        """Looks up what wstest leaves unjudged."""
        if case in PING_CASES:
            return _check_pongs(self.details(case))
        for pattern, parameters in ASKED_OF_SERVER.items():
            if fnmatch.fnmatchcase(case, pattern):
                return _check_extensions(self.details(case), parameters)
        return None


def _explain(details: Mapping[str, Any]) -> str:
    parts = [details["result"], details["resultClose"]]
    if details["remoteCloseCode"] is not None:
        parts.append(f"its Close was {details['remoteCloseCode']} {details['remoteCloseReason'] or ''}".rstrip())
    if details["wasNotCleanReason"]:
        parts.append(details["wasNotCleanReason"])
    received = json.dumps(details["received"])
    parts.append(f"received {received if len(received) < 200 else received[:200] + ' ...'}")
    return "; ".join(part.rstrip(".") for part in parts)


def _check_pongs(details: Mapping[str, Any]) -> str | None:
    # In the log of the wire, "RF" is a frame that wstest received: ["RF", [length, payload], opcode, ...].
    pongs = [entry[1][1] for entry in details["wirelog"] if entry[0] == "RF" and entry[2] == PONG]
    if pongs == [f"payload-{number}" for number in range(PINGS)]:
        return None
    return f"{PINGS} Pings were sent, and answered by {pongs}"


def _check_extensions(details: Mapping[str, Any], asked: list[str]) -> str | None:
    if details["isServer"]:
        return None
    answer = re.search(r"(?im)^Sec-WebSocket-Extensions:(.*)$", details["httpResponse"])
    given = [part.strip() for part in answer[1].split(";")] if answer else []
    missing = [parameter for parameter in asked if parameter not in given]
    return f"asked for {asked}, the server agreed to {given}" if missing else None
