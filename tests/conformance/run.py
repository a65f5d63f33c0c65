"""Runs Autobahn|Testsuite against bowstring, and compares every verdict with the expected one.

Without arguments: all 517 cases, as server and as client, over both twins. What is needed of Python 2.7 packages is
installed into .cache/autobahn of the checkout at the first run; reports and logs are kept in .cache/autobahn/reports.

  run.py                             everything, some minutes
  run.py --base                      without the groups 9, 12 and 13, some seconds
  run.py --role server --twin cython '6.4.*' 7.1.5
                                     some cases, for debugging
  run.py --peer websockets --peer ws
                                     other libraries, for comparison: their verdicts are listed, not judged

Where there is no Python 2.7 it says MISSING and succeeds, but fails with CI_FULL=1. One can be named in PYTHON27. With
CI or CI_FULL set it also tries to get one, by apt-get (as root) or pyenv. The exit status is 0 when all is as expected,
1 when something is not, 2 when nothing could be run. The last line is "N passed, N failed".
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from environment import InstallationError, NoPython27, install, suite_versions
from pauses import PauseWatch
from subjects import PEERS, ROLES, TWINS, bowstring_program, peer_program
from verdicts import Report, Verdict, load_expected, select
from wstest import Program, RunError, fuzz_client, fuzz_server

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "autobahn"


@dataclass(frozen=True)
class Run:
    """One program in one role, and how long its cases took; ``error`` says why they did not come to their end."""

    role: str
    name: str
    report: Report
    seconds: float
    description: str = ""
    error: str = ""


async def run(wstest: Path, role: str, name: str, program: Program, cases: list[str], pauses: PauseWatch) -> Run:
    """Runs the cases against one program. Those that differ, and in which the machine stood still, are run again."""
    directory = CACHE / "reports" / f"{role}-{name}"
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "again").mkdir(parents=True)
    fuzz = fuzz_server if role == "server" else fuzz_client
    began = time.monotonic()
    description = error = ""
    try:
        description = await fuzz(wstest, program, cases, name, directory)
    except RunError as failure:
        error = str(failure)
    report = Report(directory, name)
    differing = report.differences({case: verdict for case, verdict in load_expected().items() if case in cases})
    spoiled = [case for case in differing if case in report.verdicts and pauses.during(*report.span(case))]
    if spoiled and not error:
        print(f"{role} {name}: the machine stood still, again: {' '.join(spoiled)}", flush=True)
        try:
            await fuzz(wstest, program, spoiled, name, directory / "again")
        except RunError as failure:
            error = str(failure)
        report.update(Report(directory / "again", name))
    return Run(role, name, report, time.monotonic() - began, description, error)


def judge(run: Run, expected: dict[str, Verdict]) -> int:
    """Prints what differs from the expected verdicts and a line that sums up; returns how many cases failed."""
    title = f"{run.role} {run.name}"
    report = run.report
    error = run.error
    if not error and run.description != run.name:
        error = f"it ran over the twin {run.description!r}"
    if error:
        print(f"{title}: {error}")
    failures = report.differences(expected)
    for case, failure in failures.items():
        if case in report.verdicts or not error:
            print(f"{title}: {case}: {failure}")
    verdicts = [str(verdict) for verdict in report.verdicts.values()]
    ok, informational = verdicts.count("OK"), verdicts.count("INFORMATIONAL")
    print(
        f"{title}: {ok} OK, {informational} INFORMATIONAL, {len(verdicts) - ok - informational} other"
        f" ({len(verdicts)} cases, {run.seconds:.0f} s)",
        flush=True,
    )
    return len(expected) if error else len(failures)


def describe(run: Run) -> int:
    """Prints a peer's verdicts: how many of each kind, and which cases are neither OK nor INFORMATIONAL."""
    title = f"{run.role} {run.description or run.name}"
    if run.error:
        print(f"{title}: {run.error}", flush=True)
        return 1
    verdicts = run.report.verdicts
    kinds: dict[str, list[str]] = {}
    for case in filter(verdicts.__contains__, load_expected()):
        kinds.setdefault(verdicts[case].behavior, []).append(case)
        if verdicts[case].behavior_close not in ("OK", "INFORMATIONAL"):
            kinds.setdefault(f"close {verdicts[case].behavior_close}", []).append(case)
    summary = ", ".join(f"{len(cases)} {kind}" for kind, cases in kinds.items())
    print(f"{title}: {summary} ({len(verdicts)} cases, {run.seconds:.0f} s)")
    for kind, cases in kinds.items():
        if kind not in ("OK", "INFORMATIONAL"):
            print(f"  {kind}: {' '.join(cases)}")
    sys.stdout.flush()
    return 0


async def run_all(
    programs: dict[tuple[str, str], Program], wstest: Path, cases: list[str], jobs: int, tell: Callable[[Run], int]
) -> int:
    """Runs the programs, ``jobs`` at a time, and tells of each when it has ended; returns the sum of what that gave."""
    turns = asyncio.Semaphore(jobs)
    pauses = PauseWatch()

    async def in_turn(role: str, name: str, program: Program) -> int:
        async with turns:
            return tell(await run(wstest, role, name, program, cases, pauses))

    # What is under way ends its programs, and nothing more is started.
    if (main_task := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main_task.cancel)
    watch = asyncio.create_task(pauses.watch())
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(in_turn(role, name, program)) for (role, name), program in programs.items()]
    watch.cancel()
    return sum(task.result() for task in tasks)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="a case or a pattern; default: all")
    parser.add_argument("--base", action="store_true", help="leave out the groups 9, 12 and 13")
    parser.add_argument("--role", choices=ROLES, action="append", help="default: both")
    parser.add_argument(
        "--twin", choices=TWINS, action="append", help="default: both, or python with BOWSTRING_NO_EXTENSIONS=1"
    )
    parser.add_argument("--peer", choices=PEERS, action="append", help="run another library instead; may be repeated")
    parser.add_argument("--jobs", type=int, metavar="N", help="runs at a time; default: 4 with --base, otherwise 2")
    parser.add_argument("--install", action="store_true", help="only install wstest, and print its versions")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    options = parse_arguments(arguments)
    full_ci = os.environ.get("CI_FULL") == "1"
    roles = options.role or ROLES
    twins = options.twin or (TWINS if os.environ.get("BOWSTRING_NO_EXTENSIONS") != "1" else TWINS[1:])
    try:
        cases = select(load_expected(), options.cases, base=options.base)
        wstest = install(CACHE, obtain=full_ci or "CI" in os.environ)
        if options.install:
            print(suite_versions(wstest))
            return 0
        if options.peer:
            programs = {(role, peer): peer_program(role, peer, CACHE) for peer in options.peer for role in roles}
        else:
            programs = {(role, twin): bowstring_program(role, twin) for role in roles for twin in twins}
    except NoPython27:
        print("MISSING: Autobahn|Testsuite (no Python 2.7)")
        print(f"0 passed, {int(full_ci)} failed")
        return 2 if full_ci else 0
    except (ValueError, InstallationError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2

    expected = {case: verdict for case, verdict in load_expected().items() if case in cases}
    tell = describe if options.peer else functools.partial(judge, expected=expected)
    jobs = options.jobs or (4 if options.base else 2)
    print(f"{suite_versions(wstest)}; Python {platform.python_version()}; reports in {CACHE / 'reports'}", flush=True)
    try:
        failed = asyncio.run(run_all(programs, wstest, cases, jobs, tell))
    except (asyncio.CancelledError, KeyboardInterrupt):
        print("run.py: interrupted", file=sys.stderr)
        return 130
    if not options.peer:
        print(f"{len(cases) * len(programs) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
