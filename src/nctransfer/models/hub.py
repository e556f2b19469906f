"""Whether the hub of pretrained weights can be reached: asked once, where its client would try again for most of a minute."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies

__all__ = ["disk_alone", "hub_failure"]

_SECONDS_TO_ANSWER = 5.0
_REMEMBERED = 120.0  # seconds; several networks are asked for in a row, and a connection may come back

_failures: dict[str, tuple[float, OSError]] = {}


def hub_failure() -> OSError | None:
    """Why no connection to the hub can be made; None where one can, or where a proxy stands between.

    A failure is remembered for two minutes.
    """
    from huggingface_hub import constants

    address = urlsplit(constants.ENDPOINT)
    if constants.is_offline_mode() or {address.scheme, "all"} & set(getproxies()):
        return None
    host, port = address.hostname or "", address.port or (80 if address.scheme == "http" else 443)
    known = _failures.get(f"{host}:{port}")
    if known is not None and time.monotonic() - known[0] < _REMEMBERED:
        return known[1]
    try:
        socket.create_connection((host, port), timeout=_SECONDS_TO_ANSWER).close()
    except OSError as error:
        failure = ConnectionError(f"{host}:{port} does not answer ({error.strerror or error})")
        _failures[f"{host}:{port}"] = (time.monotonic(), failure)
        return failure
    return None


@contextmanager
def disk_alone() -> Iterator[None]:
    """Within, the hub's client takes what lies on disk and asks for nothing."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
