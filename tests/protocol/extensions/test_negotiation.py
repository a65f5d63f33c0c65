"""The parameters of permessage-deflate, each in both roles (RFC 7692 §7.1)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from bowstring import codec
from bowstring.constants import RSV1, RSV2
from bowstring.exceptions import NegotiationError, Violation
from bowstring.protocol.extensions.negotiation import Parameters
from bowstring.protocol.extensions.permessage_deflate import Compression, CompressionPool

from .peer import TEXT, make

pytestmark = pytest.mark.one_twin

SNCT, CNCT = "server_no_context_takeover", "client_no_context_takeover"
SMWB, CMWB = "server_max_window_bits", "client_max_window_bits"
BITS = range(8, 16)


class Taken:
    """An extension that has other bits."""

    name = "x-taken"
    all_messages = False

    def __init__(self, rsv: int) -> None:
        self.rsv = rsv

    encode = decode = close = None


def respond(settings: Compression, *offer: tuple[str, str | None]) -> tuple[list[tuple[str, str | None]], Any] | None:
    answer = settings.respond(list(offer), [])
    return answer and (answer[0], answer[1].terms)


# ---------------------------------------------------------------------- grammar

WRONG = [
    [("unknown", None)],
    [("unknown", "12")],
    [("Server_No_Context_Takeover", None)],  # RFC 7692 §7.1: names are as registered
    [(SNCT, "1")],
    [(SNCT, "")],
    [(CNCT, "true")],
    [(SMWB, None)],
    *([(name, value)] for name in (SMWB, CMWB) for value in ("", "7", "16", "08", "012", "+9", "-9", "9.0", "٩")),
    *([(name, value), (name, value)] for name, value in ((SNCT, None), (CNCT, None), (SMWB, "10"), (CMWB, "10"))),
    [(CMWB, None), (CMWB, "10")],
]


@pytest.mark.parametrize("parameters", WRONG)
def test_a_server_declines_what_is_not_valid(parameters: list[tuple[str, str | None]]) -> None:
    assert Compression().respond(parameters, []) is None


@pytest.mark.parametrize("parameters", [*WRONG, [(CMWB, None)]])
def test_a_client_fails_on_what_is_not_valid(parameters: list[tuple[str, str | None]]) -> None:
    with pytest.raises(NegotiationError, match=r"not offered like that: permessage-deflate: ") as caught:
        Compression().accept(parameters, [])
    assert caught.value.violation is Violation.EXTENSION_NOT_OFFERED
    assert parameters[0][0] in str(caught.value)


@pytest.mark.parametrize("bits", BITS)
def test_parameters_survive_the_wire(bits: int) -> None:
    for flags in itertools.product([False, True], repeat=2):
        parameters = Parameters(
            server_no_context_takeover=flags[0],
            client_no_context_takeover=flags[1],
            server_max_window_bits=bits,
            client_max_window_bits=bits,
        )
        assert Parameters.parse(parameters.build(), answer=False) == parameters
    assert Parameters().build() == []


# ---------------------------------------------------------------------- as a server


@pytest.mark.parametrize("mine", range(9, 16))
@pytest.mark.parametrize("offered", [None, *BITS])
def test_server_max_window_bits_as_a_server(mine: int, offered: int | None) -> None:
    offer = [] if offered is None else [(SMWB, str(offered))]
    answer = respond(Compression(server_max_window_bits=mine, client_max_window_bits=15), *offer)
    if offered == 8:
        assert answer is None  # zlib cannot
        return
    assert answer is not None
    parameters, terms = answer
    bits = min(mine, offered or 15)
    assert terms.compress_bits == bits
    # An offer that has it is answered with it; what we save tells the client anyway.
    assert parameters == ([(SMWB, str(bits))] if offered or bits < 15 else [])


@pytest.mark.parametrize("mine", BITS)
@pytest.mark.parametrize("offered", [None, *BITS])
def test_client_max_window_bits_as_a_server(mine: int, offered: int | None) -> None:
    offer = (CMWB, None if offered is None else str(offered))
    answer = respond(Compression(server_max_window_bits=15, client_max_window_bits=mine), offer)
    assert answer is not None
    bits = min(mine, offered or 15)
    assert answer[0] == ([(CMWB, str(bits))] if bits < 15 else [])
    assert (answer[1].inflate_bits, answer[1].inflate_takeover) == (bits, True)


@pytest.mark.parametrize("mine", BITS)
def test_a_client_that_cannot_be_limited_keeps_no_context(mine: int) -> None:
    answer = respond(Compression(server_max_window_bits=15, client_max_window_bits=mine))
    assert answer is not None
    assert answer[0] == ([(CNCT, None)] if mine < 15 else [])
    # RFC 7692 §7.1.2.2: without the parameter in its offer the client may use all of 32 KiB.
    assert (answer[1].inflate_bits, answer[1].inflate_takeover) == (15, mine == 15)


@pytest.mark.parametrize(("mine", "offered"), list(itertools.product([False, True], repeat=2)))
def test_no_context_takeover_as_a_server(mine: bool, offered: bool) -> None:
    for name, attribute in ((SNCT, "compress_takeover"), (CNCT, "inflate_takeover")):
        settings: dict[str, Any] = {name: mine, SMWB: 15, CMWB: 15}
        answer = respond(Compression(**settings), *([(name, None)] if offered else []))
        assert answer is not None
        assert answer[0] == ([(name, None)] if mine or offered else [])
        assert getattr(answer[1], attribute) is not (mine or offered)


def test_a_server_that_can_only_have_8_bits_declines() -> None:
    assert respond(Compression(server_max_window_bits=8), (CMWB, None)) is None


def test_what_browsers_get() -> None:
    chromium = respond(Compression(), (CMWB, None))
    firefox = respond(Compression())
    assert chromium is not None
    assert firefox is not None
    assert chromium[0] == [(SMWB, "12"), (CMWB, "12")]
    assert firefox[0] == [(CNCT, None), (SMWB, "12")]


def test_a_server_declines_when_rsv1_is_taken() -> None:
    assert Compression().respond([], [Taken(RSV2), make()]) is None
    assert Compression().respond([], [Taken(RSV2)]) is not None


# ---------------------------------------------------------------------- as a client


@pytest.mark.parametrize(
    ("settings", "offers"),
    [
        ({}, [[(SMWB, "12"), (CMWB, "12")], [(CMWB, None)]]),
        ({SMWB: 15, CMWB: 15}, [[(CMWB, None)]]),
        ({SMWB: 8, CMWB: 15}, [[(SMWB, "8"), (CMWB, None)], [(CMWB, None)]]),
        ({SMWB: 15, CMWB: 9}, [[(CMWB, "9")], [(CMWB, None)]]),
        ({SNCT: True, SMWB: 15, CMWB: 15}, [[(SNCT, None), (CMWB, None)]]),
        ({CNCT: True}, [[(CNCT, None), (SMWB, "12"), (CMWB, "12")], [(CNCT, None), (CMWB, None)]]),
    ],
)
def test_offers(settings: dict[str, Any], offers: list[Any]) -> None:
    assert Compression(**settings).offers() == offers


def test_a_client_cannot_compress_with_8_bits() -> None:
    with pytest.raises(ValueError, match=r"^client_max_window_bits must be 9 to 15 for a client, not 8: zlib"):
        Compression(client_max_window_bits=8).offers()


@pytest.mark.parametrize("mine", BITS)
@pytest.mark.parametrize("answered", [None, *BITS])
def test_server_max_window_bits_as_a_client(mine: int, answered: int | None) -> None:
    answer = [] if answered is None else [(SMWB, str(answered))]
    terms = Compression(server_max_window_bits=mine).accept(answer, []).terms
    # More than was asked for fits the offer behind the preferred one, which leaves it open.
    assert terms.inflate_bits == (answered or 15)
    assert terms.compress_bits == 12


@pytest.mark.parametrize("mine", range(9, 16))
@pytest.mark.parametrize("answered", [None, *BITS])
def test_client_max_window_bits_as_a_client(mine: int, answered: int | None) -> None:
    answer = [] if answered is None else [(CMWB, str(answered))]
    terms = Compression(client_max_window_bits=mine).accept(answer, []).terms
    assert terms.compress_bits == (0 if answered == 8 else min(mine, answered or 15))
    assert terms.inflate_bits == 15


@pytest.mark.parametrize(("mine", "answered"), list(itertools.product([False, True], repeat=2)))
def test_no_context_takeover_as_a_client(mine: bool, answered: bool) -> None:
    client = Compression(client_no_context_takeover=mine).accept([(CNCT, None)] if answered else [], [])
    assert client.terms.compress_takeover is not (mine or answered)
    settings = Compression(server_no_context_takeover=mine)
    if mine and not answered:
        # RFC 7692 §7.1.1.1: a server accepts the offer by repeating the parameter.
        with pytest.raises(NegotiationError, match="server_no_context_takeover is missing"):
            settings.accept([], [])
    else:
        server = settings.accept([(SNCT, None)] if answered else [], [])
        assert server.terms.inflate_takeover is not answered


def test_a_client_fails_when_rsv1_is_taken() -> None:
    with pytest.raises(NegotiationError, match="RSV1 is taken by another extension"):
        Compression().accept([], [make()])
    assert Compression().accept([], [Taken(RSV2)]).rsv == RSV1


# ---------------------------------------------------------------------- both


@pytest.mark.parametrize("server", [{}, {SNCT: True}, {CNCT: True}, {SMWB: 9}, {CMWB: 8}, {SMWB: 15, CMWB: 15}])
@pytest.mark.parametrize("client", [{}, {SNCT: True}, {CNCT: True}, {SMWB: 9}, {CMWB: 9}, {SMWB: 15, CMWB: 15}])
def test_both_sides_mean_the_same(server: dict[str, Any], client: dict[str, Any]) -> None:
    offering = Compression(**client)
    for offer in offering.offers():
        answer = Compression(**server).respond(list(offer), [])
        assert answer is not None
        parameters, theirs = answer
        ours = offering.accept(parameters, [])
        assert theirs.terms.inflate_takeover >= ours.terms.compress_takeover
        assert theirs.terms.inflate_bits >= ours.terms.compress_bits
        assert ours.terms.inflate_takeover == theirs.terms.compress_takeover
        assert ours.terms.inflate_bits == theirs.terms.compress_bits


def test_connections_on_the_same_terms_share_them() -> None:
    one, other = (Compression().accept([(SMWB, "12")], []) for _ in range(2))
    assert one.terms is other.terms
    assert one.terms is not Compression(level=1).accept([(SMWB, "12")], []).terms


# ---------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("name", "value", "error", "text"),
    [
        (SNCT, 1, TypeError, "server_no_context_takeover must be a bool, not 'int'"),
        (CNCT, None, TypeError, "client_no_context_takeover must be a bool, not 'NoneType'"),
        ("binary", "yes", TypeError, "binary must be a bool, not 'str'"),
        (SMWB, None, TypeError, "server_max_window_bits must be an int, not 'NoneType'"),
        (SMWB, 7, ValueError, "server_max_window_bits must be 8 to 15, not 7"),
        (CMWB, 16, ValueError, "client_max_window_bits must be 8 to 15, not 16"),
        (CMWB, "12", TypeError, "client_max_window_bits must be an int, not 'str'"),
        ("level", 10, ValueError, "level must be -1 to 9, not 10"),
        ("level", -2, ValueError, "level must be -1 to 9, not -2"),
        ("mem_level", 0, ValueError, "mem_level must be 1 to 9, not 0"),
        ("mem_level", 10, ValueError, "mem_level must be 1 to 9, not 10"),
        ("threshold", -1, ValueError, "threshold must be at least 0, not -1"),
        ("threshold", 1.5, TypeError, "threshold must be an int, not 'float'"),
        ("pool", 128, TypeError, "pool must be a CompressionPool or None, not 'int'"),
    ],
)
def test_wrong_settings_are_named(name: str, value: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        Compression(**{name: value})  # type: ignore[arg-type]
    assert str(caught.value) == text


def test_settings_are_values() -> None:
    assert Compression() == Compression()
    assert hash(Compression()) == hash(Compression())
    assert Compression(level=1) != Compression()
    assert "pool" not in repr(Compression())


def test_a_pool_of_ones_own_or_a_given_one() -> None:
    frame = codec.Frame(TEXT, b"some text")
    pool = CompressionPool()
    settings = Compression(threshold=0)
    given = settings.with_pool(pool)
    assert (settings.pool, given.pool) == (None, pool)
    assert given == settings

    for expected in (1, 2):
        settings.accept([], []).encode(frame)
        given.accept([], []).encode(frame)
        assert pool.live == expected
