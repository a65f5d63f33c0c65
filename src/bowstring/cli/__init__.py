"""The command line: ``python -m bowstring`` and the script ``bowstring``.

Exit codes: 0 as wished; 1 something failed, with one line on stderr that says what; 2 a mistake in the arguments;
130 and 143 ended by Ctrl-C or SIGTERM, which for a server is its regular end and gives 0; 141 nobody reads the output.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from .arguments import parse
from .failure import Failure

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: as in ``sys.argv[1:]``, which they are if not given.

    Returns:
        The exit code.
    """
    try:
        options = parse(arguments)
        # A command is imported when it is called, and what it needs when it is used: `report` has to work where the
        # others cannot even be imported.
        try:
            status: int = importlib.import_module(f"bowstring.cli.{options.command}").run(options)
        except ImportError as exc:
            raise Failure(str(exc)) from exc
        sys.stdout.flush()
    except Failure as failure:
        print(f"bowstring: {failure}", file=sys.stderr)
        return failure.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The interpreter flushes stdout once more at its end: that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status
