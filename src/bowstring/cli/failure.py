"""Why a command failed, in one line."""

from __future__ import annotations

import os
import re
import socket
import ssl
import unicodedata

__all__ = ["Failure", "os_error_text", "printable"]

_ERRNO = re.compile(r"\[Errno (\d+)\]")


class Failure(Exception):
    """A command cannot do what it was asked to. The message is one line; ``status`` the exit code."""

    def __init__(self, message: str, *, status: int = 1) -> None:
        super().__init__(printable(message))
        self.status = status


def printable(text: str) -> str:
    """The text with everything escaped that a terminal might act on; what others have sent is never trusted."""
    return "".join(
        character if unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} else ascii(character)[1:-1]
        for character in text
    )


def os_error_text(error: OSError) -> str:
    """What the operating system has to say, without the numbers and addresses that asyncio puts around it."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"the server's certificate is not trusted: {error.verify_message}"
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
            return "it does not speak TLS (is it ws:// and not wss://?)"
        case ssl.SSLError():
            return f"TLS failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
        case socket.gaierror():
            return (error.strerror or "the name cannot be resolved").lower()
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
    # Several addresses were tried, and the errors of all of them are joined in one text.
    numbers = dict.fromkeys(map(int, _ERRNO.findall(str(error))))
    return ", ".join(os.strerror(number).lower() for number in numbers) or str(error) or type(error).__name__
