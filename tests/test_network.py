"""Demo, study and page with every connection forbidden."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest
from typer.testing import CliRunner

from earwitness.cli import app
from earwitness.commands import demo
from earwitness.study.store import Store

CONNECTING = ("connect", "connect_ex", "sendto")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every way out of this process; whoever tries one fails, and is noted."""
    tried: list[Any] = []

    def refuse(*arguments: Any) -> NoReturn:
        tried.append(arguments)
        raise OSError("the network is forbidden here")

    for name in CONNECTING:
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tried


def test_the_prohibition_holds(offline: list[Any]) -> None:
    with pytest.raises(OSError, match="forbidden"):
        socket.create_connection(("127.0.0.1", 9), timeout=1)
    assert len(offline) == 1


def test_the_demo_needs_no_network(offline: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = {
        "models": demo.QUICK["models"][:2], "search": {"delta": 0.5, "budget": 40},
        "robust": {"level": 0.2, "searched": 2, "verified": 2, "questions": 10},
    }  # fmt: skip
    monkeypatch.setattr(demo, "QUICK", {**demo.QUICK, **small})
    run = CliRunner().invoke(app, ["demo", "--out", str(tmp_path), "--limit", "1", "--quiet"], catch_exceptions=False)
    assert run.exit_code == 0
    assert (tmp_path / "report" / "index.html").is_file()
    with Store(tmp_path / "study.db") as store:
        assert store.count(store.settings_key())["explanations"] == 2
    assert offline == []
