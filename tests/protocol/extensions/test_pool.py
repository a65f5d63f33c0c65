"""The pool of live compressors."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from bowstring import codec
from bowstring.protocol.extensions.permessage_deflate import CompressionPool, PerMessageDeflate

from .peer import TEXT, Peer, make

pytestmark = pytest.mark.one_twin


def send(extension: PerMessageDeflate, plain: bytes = b"some text") -> bytes:
    return extension.encode(codec.Frame(TEXT, plain)).payload


def test_the_least_recently_used_is_put_out() -> None:
    pool = CompressionPool(2)
    a, b, c = (make(pool) for _ in range(3))
    for extension in (a, b, a, c):
        send(extension)
    assert pool.live == 2
    kept = [extension for extension in (a, b, c) if pool.take(extension)]
    assert kept == [a, c]
    assert pool.live == 0


@pytest.mark.parametrize("size", [0, 1, 3])
def test_never_more_than_its_size(size: int) -> None:
    pool = CompressionPool(size)
    assert pool.max_compressors == size
    for extension in [make(pool) for _ in range(5)] * 2:
        send(extension)
        assert pool.live <= size
    assert pool.live == size


def test_an_ended_connection_leaves() -> None:
    pool = CompressionPool()
    a, b = make(pool), make(pool)
    send(a)
    send(b)
    a.close()
    assert pool.live == 1
    a = make(pool)
    a.close()  # never used
    assert pool.live == 1


def test_without_takeover_nothing_is_kept() -> None:
    pool = CompressionPool()
    send(make(pool, compress_takeover=False))
    assert pool.live == 0


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"max_compressors": -1}, ValueError, "max_compressors must be at least 0, not -1"),
        ({"max_compressors": None}, TypeError, "max_compressors must be an int, not 'NoneType'"),
        ({"lock": 1}, TypeError, "lock must be a context manager or None, not 'int'"),
    ],
)
def test_wrong_arguments_are_named(arguments: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        CompressionPool(**arguments)
    assert str(caught.value) == text


def test_the_lock_is_held_only_while_the_pool_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[bool] = []
    lock = threading.Lock()
    pool = CompressionPool(1, lock=lock)
    extension = make(pool)
    send(extension)

    class Compressor:
        def compress(self, data: bytes) -> bytes:
            held.append(lock.locked())
            return b""

        def flush(self, mode: int) -> bytes:
            held.append(lock.locked())
            return b"...."

    pool.put(extension, Compressor())  # type: ignore[arg-type]
    send(extension)
    assert held == [False, False]
    assert not lock.locked()


def test_threads_share_a_pool_that_has_a_lock() -> None:
    pool = CompressionPool(2, lock=threading.Lock())
    failures: list[BaseException] = []

    def talk(number: int) -> None:
        try:
            ours, theirs = make(pool), Peer()
            for i in range(150):
                plain = f"thread {number} says message {i} ".encode() * 9
                assert theirs.inflate(send(ours, plain)) == plain
            ours.close()
        except BaseException as exc:
            failures.append(exc)
            raise

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert pool.live == 0
