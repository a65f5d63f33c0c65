"""The judge itself: a verdict that differs, is missing or lacks a Pong has to be told, whatever the suite says."""

import asyncio
import datetime as dt
import json
import time
from pathlib import Path

import pytest
from pauses import NOTICEABLE, TICK, PauseWatch
from verdicts import Report, Verdict, load_expected, select

pytestmark = pytest.mark.one_twin

OK = Verdict("OK", "OK")
PONGS = [f"payload-{number}" for number in range(10)]


def write_report(directory: Path, case: str, verdict: Verdict, pongs: list[str], **details: object) -> Report:
    record = {
        "result": "Actual events differ from any expected.",
        "resultClose": "Connection was properly closed",
        "remoteCloseCode": 1002,
        "remoteCloseReason": "reserved opcode",
        "wasNotCleanReason": None,
        "received": [["message", "Hello", False]],
        "wirelog": [["TO", [19, "8109"], False], *(["RF", [9, pong], 10, True, 0, False, None] for pong in pongs)],
    }
    (directory / "case.json").write_text(json.dumps(record | details))
    entry = {"behavior": verdict.behavior, "behaviorClose": verdict.behavior_close, "reportfile": "case.json"}
    (directory / "index.json").write_text(json.dumps({"agent": {case: entry}}))
    return Report(directory, "agent")


def test_the_committed_verdicts() -> None:
    expected = load_expected()
    informational = {case for case, verdict in expected.items() if verdict != OK}
    assert len(expected) == 517
    assert informational == {"7.1.6", "7.13.1", "7.13.2"}
    assert {expected[case] for case in informational} == {Verdict("INFORMATIONAL", "INFORMATIONAL")}


def test_what_is_as_expected_is_not_told(tmp_path: Path) -> None:
    assert write_report(tmp_path, "3.2", OK, []).differences({"3.2": OK}) == {}


@pytest.mark.parametrize(
    "verdict", [Verdict("NON-STRICT", "OK"), Verdict("OK", "UNCLEAN"), Verdict("FAILED", "FAILED")]
)
def test_a_difference_is_told_with_what_happened(tmp_path: Path, verdict: Verdict) -> None:
    report = write_report(tmp_path, "3.2", verdict, [])
    assert report.differences({"3.2": OK}) == {
        "3.2": f"expected OK, got {verdict}: Actual events differ from any expected; Connection was properly closed; "
        'its Close was 1002 reserved opcode; received [["message", "Hello", false]]'
    }


def test_a_case_that_was_not_run_is_told(tmp_path: Path) -> None:
    assert Report(tmp_path, "agent").differences({"3.2": OK}) == {"3.2": "expected OK, was not run"}


@pytest.mark.parametrize("pongs", [[], PONGS[1:], [*PONGS, "payload-9"], PONGS[::-1]])
def test_ten_pings_want_ten_pongs_in_order(tmp_path: Path, pongs: list[str]) -> None:
    assert write_report(tmp_path, "2.10", OK, PONGS).differences({"2.10": OK}) == {}
    assert write_report(tmp_path, "2.10", OK, pongs).differences({"2.10": OK}) == {
        "2.10": f"10 Pings were sent, and answered by {pongs}"
    }


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ("server_max_window_bits=9; server_no_context_takeover", None),
        ("server_max_window_bits=9", "['server_max_window_bits=9']"),
        (
            "server_no_context_takeover; server_max_window_bits=15",
            "['server_no_context_takeover', 'server_max_window_bits=15']",
        ),
    ],
)
def test_a_server_has_to_agree_to_what_it_was_asked_for(tmp_path: Path, answer: str, complaint: str | None) -> None:
    response = f"HTTP/1.1 101\r\nSec-WebSocket-Extensions: permessage-deflate; {answer}\r\n\r\n"
    report = write_report(tmp_path, "13.5.1", OK, [], isServer=False, httpResponse=response)
    if complaint is None:
        assert report.differences({"13.5.1": OK}) == {}
    else:
        assert report.differences({"13.5.1": OK}) == {
            "13.5.1": "asked for ['server_no_context_takeover', 'server_max_window_bits=9'], "
            f"the server agreed to ['permessage-deflate', {complaint[1:]}"
        }
    report = write_report(tmp_path, "13.5.1", OK, [], isServer=True, httpResponse="")
    assert report.differences({"13.5.1": OK}) == {}


def test_a_second_run_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()
    report = write_report(first, "3.2", Verdict("FAILED", "OK"), [])
    report.update(write_report(second, "3.2", OK, []))
    assert report.differences({"3.2": OK}) == {}


async def test_cases_in_which_the_machine_stood_still_are_known(tmp_path: Path) -> None:
    pauses = PauseWatch()
    watch = asyncio.create_task(pauses.watch())
    await asyncio.sleep(0)
    began = time.time()
    time.sleep(NOTICEABLE + 0.1)  # noqa: ASYNC251  # everything stands still
    ended = time.time()
    await asyncio.sleep(TICK)
    watch.cancel()
    assert pauses.during(began, ended) >= NOTICEABLE
    assert pauses.during(began - 10, began - 5) == 0
    assert pauses.during(ended + 5, ended + 10) == 0
    started = dt.datetime.fromtimestamp(began, dt.UTC).isoformat().replace("+00:00", "Z")
    report = write_report(tmp_path, "3.2", OK, [], started=started, duration=1500)
    assert report.span("3.2") == pytest.approx((began, began + 1.5))


def test_cases_are_selected_by_patterns() -> None:
    cases = ["1.1.1", "1.1.2", "9.1.1", "12.1.1", "13.7.18"]
    assert select(cases, []) == cases
    assert select(cases, [], base=True) == ["1.1.1", "1.1.2"]
    assert select(cases, ["1.*"]) == ["1.1.1", "1.1.2"]
    assert select(cases, ["13.*", "1.1.2"]) == ["1.1.2", "13.7.18"]
    with pytest.raises(ValueError, match=r"no case is like '8\.\*'"):
        select(cases, ["8.*"])
