"""One Node for all tests, and a certificate for 127.0.0.1."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import trustme

from .node import Node


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.stop()


@dataclass(frozen=True, kw_only=True)
class Tls:
    """Both sides' halves, for ours and for Node's."""

    server_context: ssl.SSLContext
    client_context: ssl.SSLContext
    node_server: dict[str, str]
    node_client: dict[str, Any]


@pytest.fixture(scope="session")
def tls() -> Tls:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    return Tls(
        server_context=server_context,
        client_context=client_context,
        node_server={
            "key": certificate.private_key_pem.bytes().decode(),
            "cert": "".join(pem.bytes().decode() for pem in certificate.cert_chain_pems),
        },
        node_client={"ca": authority.cert_pem.bytes().decode()},
    )
