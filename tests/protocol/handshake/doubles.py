"""Extensions that do nothing but negotiate, and remember what was asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bowstring.exceptions import NegotiationError, Violation
from bowstring.typing import ExtensionParameters


class FakeExtension:
    """An extension; ``closed`` counts."""

    all_messages = False

    def __init__(self, name: str, rsv: int) -> None:
        self.name = name
        self.rsv = rsv
        self.closed = 0

    def encode(self, frame: Any, *, compress: bool | None = None) -> Any:
        return frame

    def decode(self, frame: Any, *, max_size: int | None) -> Any:
        return frame

    def close(self) -> None:
        self.closed += 1


class FakeFactory:
    """Both halves of a negotiation.

    Args:
        name: of the extension.
        rsv: the bits that it claims.
        declines: parameters that are declined, or that an answer may not have.
        offered: what a client offers.
    """

    def __init__(
        self,
        name: str,
        rsv: int = 0,
        *,
        declines: str | None = None,
        offered: Sequence[ExtensionParameters] = ([],),
        error: Exception | None = None,
    ) -> None:
        self.name = name
        self.rsv = rsv
        self.declines = declines
        self.offered = offered
        self.error = error
        self.made: list[FakeExtension] = []
        self.asked: list[tuple[ExtensionParameters, list[str]]] = []

    def offers(self) -> Sequence[ExtensionParameters]:
        return self.offered

    def respond(self, parameters: ExtensionParameters, accepted: Sequence[Any]) -> Any:
        extension = self._make(parameters, accepted)
        return None if extension is None else (parameters, extension)

    def accept(self, parameters: ExtensionParameters, accepted: Sequence[Any]) -> Any:
        extension = self._make(parameters, accepted)
        if extension is None:
            raise NegotiationError(Violation.EXTENSION_NOT_OFFERED, self.name)
        return extension

    def _make(self, parameters: ExtensionParameters, accepted: Sequence[Any]) -> FakeExtension | None:
        if self.error is not None:
            raise self.error
        self.asked.append((parameters, [extension.name for extension in accepted]))
        if any(name == self.declines for name, _ in parameters):
            return None
        self.made.append(FakeExtension(self.name, self.rsv))
        return self.made[-1]
