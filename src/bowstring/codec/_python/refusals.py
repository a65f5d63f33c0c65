"""What the classes of this twin refuse, as classes written in C do."""

from __future__ import annotations

from typing import NoReturn


def refuse_subclass(cls: type) -> NoReturn:
    base = cls.__bases__[0]
    raise TypeError(f"type '{base.__module__}.{base.__qualname__}' is not an acceptable base type")


def refuse_pickle(self: object) -> NoReturn:
    raise TypeError(f"cannot pickle {type(self).__name__!r} object")
