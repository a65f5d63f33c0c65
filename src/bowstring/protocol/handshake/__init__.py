"""The opening handshake (RFC 6455 §4), both roles, on requests and responses as values: no bytes, no I/O."""
