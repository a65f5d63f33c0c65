"""What can be said on the command line."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from typing import NoReturn

from bowstring._version import __version__

from .failure import Failure

__all__ = ["parse"]

_DESCRIPTION = "WebSocket from the command line."

_EXAMPLES = """\
examples:
  bowstring demo                                 a chat to open in two browser windows
  bowstring serve --echo                         a server that sends back what it gets
  bowstring connect ws://localhost:8765          talk to it: lines go out, messages come in
  echo hello | bowstring connect ws://localhost:8765
  bowstring connect wss://example.com --ping 5   how long is the way there and back?
  bowstring report                               which codec is at work, and why
"""

_CONNECT_EXAMPLES = """\
Each line of stdin goes out as a text message, each message that comes is a line of stdout; binary messages are shown
in hexadecimal. What there is to say about the connection goes to stderr.

examples:
  bowstring connect ws://localhost:8765/chat
  bowstring connect wss://localhost:8443 --cafile ca.pem -H "Authorization: Bearer abc"
  printf '{"op":"ping"}\\n' | bowstring connect wss://example.com/ws --wait 5
  bowstring connect ws://localhost:8765 --binary < lines.bin > answers.bin

exit code: 0 closed with 1000, 1001 or an empty Close; 1 it failed or was closed otherwise; 2 wrong arguments
"""

_SERVE_EXAMPLES = """\
examples:
  bowstring serve --echo                         on localhost
  bowstring serve --echo --host 0.0.0.0 --port 9000
  bowstring serve --echo --cert server.pem --key server.key
  bowstring serve --echo --origin any            also for pages from elsewhere
"""

_DEMO_EXAMPLES = """\
examples:
  bowstring demo --open                          opens the page in your browser
  bowstring demo --host 0.0.0.0                  also for the phone in the same network
"""


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        raise Failure(f"{message} (see {self.prog} --help)", status=2)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the arguments; ``command`` of the result names the module that does it.

    Raises:
        Failure: they do not fit.
        SystemExit: after ``--help`` and ``--version``.
    """
    parser = _Parser(
        prog="bowstring",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"bowstring {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)

    def command(name: str, summary: str, epilog: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    _connect(command("connect", "talk to a WebSocket server", _CONNECT_EXAMPLES))
    _serve(command("serve", "run a server", _SERVE_EXAMPLES))
    _demo(command("demo", "run a chat, page included", _DEMO_EXAMPLES))
    report = command("report", "show which codec is at work, why, and the versions of all that matters")
    report.add_argument("--json", action="store_true", help="for programs")
    return parser.parse_args(arguments)


def _connect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", help="ws:// or wss:// address; a user and password in it go as basic authentication")
    request = parser.add_argument_group("request")
    request.add_argument(
        "-H", "--header", metavar="'NAME: VALUE'", type=_header, action="append", default=[], help="may be repeated"
    )
    request.add_argument("--origin", metavar="ORIGIN", help="as a page from there would send it")
    request.add_argument(
        "--subprotocol", metavar="NAME", action="append", help="to offer; may be repeated, the preferred one first"
    )
    request.add_argument("--no-compression", action="store_true", help="do not offer permessage-deflate")
    tls = parser.add_argument_group("TLS")
    tls.add_argument("--cafile", metavar="FILE", help="trust the certificates in this PEM file, and no others")
    tls.add_argument("--insecure", action="store_true", help="do not check the server's certificate")
    talk = parser.add_argument_group("talk")
    talk.add_argument(
        "--binary", action="store_true", help="send lines as binary messages, and write binary messages as they are"
    )
    talk.add_argument("--max-size", metavar="BYTES", type=_count, default=1 << 20, help="of a message (1 MiB)")
    talk.add_argument(
        "--wait",
        metavar="SECONDS",
        type=_seconds,
        help="at the end of stdin, close when nothing has come for so long; 'inf' leaves it to the server (1; 0 when "
        "typing)",
    )
    talk.add_argument(
        "--ping", metavar="COUNT", type=_count, help="send pings, a second apart, show each round trip, and close"
    )
    talk.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds, default=10.0, help="to connect, and for a pong (10)"
    )
    talk.add_argument("-q", "--quiet", action="store_true", help="nothing on stderr but errors")


def _serve(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--echo", action="store_true", help="send every message back")
    _address(parser, 8765)
    parser.add_argument("--cert", metavar="FILE", help="serve wss:// with this PEM certificate (chain)")
    parser.add_argument("--key", metavar="FILE", help="its private key, if it is not in the same file")
    parser.add_argument(
        "--origin",
        metavar="ORIGIN",
        action="append",
        help="let pages from there connect, such as https://example.com; 'any' for all (only from the same host)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no line for each connection")


def _demo(parser: argparse.ArgumentParser) -> None:
    _address(parser, 8000)
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def _address(parser: argparse.ArgumentParser, port: int) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=_port, default=port, help=f"0 takes a free one ({port})")


def _number(text: str, kind: type[int | float], accepts: Callable[[float], bool], wanted: str) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not accepts(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return value


def _port(text: str) -> int:
    return int(_number(text, int, lambda value: 0 <= value <= 65535, "a port, which is 0 to 65535"))


def _count(text: str) -> int:
    return int(_number(text, int, lambda value: value >= 1, "a number of 1 or more"))


def _seconds(text: str) -> float:
    return _number(text, float, lambda value: value >= 0, "a number of seconds")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 'Name: value'")
    return name.strip(), value.strip()
