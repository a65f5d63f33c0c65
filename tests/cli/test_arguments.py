"""What can be said on the command line, and what is answered to the rest."""

from __future__ import annotations

import pytest

from bowstring import __version__
from bowstring.cli import main
from bowstring.cli.arguments import parse
from bowstring.cli.failure import Failure, os_error_text, printable

pytestmark = pytest.mark.one_twin

COMMANDS = ["connect", "serve", "demo", "report"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "required: command"),
        (["dance"], "invalid choice: 'dance'"),
        (["connect"], "required: url"),
        (["connect", "ws://a", "--ping", "0"], "'0' is not a number of 1 or more"),
        (["connect", "ws://a", "--ping", "x"], "'x' is not a number of 1 or more"),
        (["connect", "ws://a", "--wait", "-1"], "'-1' is not a number of seconds"),
        (["connect", "ws://a", "--timeout", "nan"], "'nan' is not a number of seconds"),
        (["connect", "ws://a", "-H", "no colon"], "'no colon' is not of the form 'Name: value'"),
        (["connect", "ws://a", "-H", ": value"], "is not of the form"),
        (["connect", "http://a"], "'http://a' is not a WebSocket URI"),
        (["connect", "ws://"], "is not a WebSocket URI"),
        (["connect", "ws://a", "-H", "a b: c"], "'a b'"),
        (["connect", "ws://a", "--subprotocol", "a b"], "'a b'"),
        (["connect", "ws://a", "--origin", "a\nb"], "origin"),
        (["connect", "ws://a", "--cafile", "x"], "for wss:// URLs"),
        (["connect", "ws://a", "--insecure"], "for wss:// URLs"),
        (["serve"], "--echo is required"),
        (["serve", "--echo", "--port", "65536"], "'65536' is not a port"),
        (["serve", "--echo", "--port", "http"], "'http' is not a port"),
        (["serve", "--echo", "--key", "x"], "--key needs --cert"),
        (["serve", "--echo", "--ec"], "unrecognized arguments: --ec"),
        (["demo", "--port", "-1"], "'-1' is not a port"),
        (["report", "more"], "unrecognized arguments: more"),
    ],
)
def test_mistakes(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("bowstring: ")
    assert err.count("\n") == 1
    assert complaint in err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert not ended.value.code
    assert capsys.readouterr().out == f"bowstring {__version__}\n"


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert not ended.value.code
    out = capsys.readouterr().out
    assert "examples:" in out or command == ["report"]
    for line in out.split("examples:", 1)[-1].splitlines():
        if line.startswith("  bowstring "):  # what help shows is understood
            words = line.split("   ")[0].split("<")[0].replace('"Authorization: Bearer abc"', "A:b").split()[1:]
            assert parse(words).command in COMMANDS


def test_what_help_lists(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(f"  {command} " in out for command in COMMANDS)


def test_a_command_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(name: str) -> None:
        raise ImportError("the extension cannot be loaded:\nsomething")

    monkeypatch.setattr("bowstring.cli.importlib.import_module", broken)
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == "bowstring: the extension cannot be loaded:\\nsomething\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 🏹", "plain é 🏹"),
        ("\x1b[2J\r\n", "\\x1b[2J\\r\\n"),
        ("\u202e\u2028\ud800", "\\u202e\\u2028\\ud800"),
    ],
)
def test_nothing_reaches_the_terminal_that_it_would_act_on(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert str(Failure(text)) == shown


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)"), "connection refused"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 9), [Errno 111] Connect call failed"),
            "connection refused",
        ),
        (OSError("no number at all"), "no number at all"),
        (ConnectionResetError(), "ConnectionResetError"),
    ],
)
def test_errors_of_the_system_without_numbers_and_addresses(error: OSError, text: str) -> None:
    assert os_error_text(error) == text
