"""Coverage-guided fuzzing with atheris: ``python tests/fuzz/run.py [--seconds N] [target …]``.

Each target runs in a process of its own, begins with its committed corpus, and keeps what it finds in
``.cache/fuzz/<target>``. An input that fails is written there too; it belongs into the corpus, with the fix.
Where atheris is not installed this says so and succeeds: it has no wheels for every platform.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOUND = HERE.parent.parent / ".cache" / "fuzz"
_CHILD = "--child"
TARGETS = ("frames", "connection", "request", "response")


def fuzz(target: str, arguments: list[str]) -> None:
    """Fuzzes in this process until libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["bowstring", "targets"]):
        sys.path.insert(0, str(HERE))
        import targets
    atheris.Setup([sys.argv[0], *arguments], targets.TARGETS[target])
    atheris.Fuzz()


def main() -> int:
    """Runs the targets, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together (default: %(default)s)")
    parser.add_argument("targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)}; default: all")
    options = parser.parse_args()
    targets = options.targets or TARGETS
    if unknown := set(targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if importlib.util.find_spec("atheris") is None:
        print("left out: fuzzing (atheris is not installed)")
        return 0
    failed = 0
    for target in targets:
        found = FOUND / target
        found.mkdir(parents=True, exist_ok=True)
        seconds = max(1, options.seconds // len(targets))
        command = [sys.executable, __file__, _CHILD, target, str(found), str(HERE / "corpus" / target)]
        command += [f"-max_total_time={seconds}", f"-artifact_prefix={found}/", "-max_len=4096", "-verbosity=0"]
        command += ["-timeout=10", "-rss_limit_mb=2048"]
        ran = subprocess.run(
            command, timeout=seconds + 120, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if ran.returncode != 0:
            failed += 1
            print(ran.stdout)
        verdict = "nothing found" if ran.returncode == 0 else f"FAILED, see above and {found}"
        print(f"{target}: {verdict} in {seconds} s, {len(list(found.iterdir()))} inputs kept", flush=True)
    print(f"{len(targets) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == [_CHILD]:  # the rest is for libFuzzer
        fuzz(sys.argv[2], sys.argv[3:])
    sys.exit(main())
