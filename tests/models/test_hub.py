"""A hub that does not answer: said at once, by the hub's own address, for every network that is asked for."""

import socket
import time

import pytest
from huggingface_hub import constants

from nctransfer.errors import SetupError
from nctransfer.models import load_network
from nctransfer.models.hub import hub_failure


@pytest.fixture
def port(monkeypatch, tmp_path):
    """A port of this machine that nothing listens on, as the hub's address, and no weights on disk."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{number}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return number


def test_missing_weights_are_named_at_once(port, monkeypatch):
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)  # the client sleeps between its retries: most of a minute each
    for name in ("resnet18", "resnet26", "resnet34"):
        with pytest.raises(SetupError, match=rf"weights of {name} .* cannot be downloaded") as found:
            load_network(name)
        assert f"127.0.0.1:{port} does not answer" in found.value.where
    assert waits == []
    assert not constants.HF_HUB_OFFLINE


def test_a_hub_that_listens_is_no_failure(port):
    with socket.create_server(("127.0.0.1", port)):
        assert hub_failure() is None


def test_a_failure_is_remembered_for_the_networks_after(port):
    assert f":{port} does not answer" in str(hub_failure())
    with socket.create_server(("127.0.0.1", port)):
        assert hub_failure() is not None


def test_a_proxy_is_left_to_the_client(port, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert hub_failure() is None
