"""Executor ``ray`` on a cluster of two nodes, both on this machine: loopback addresses, started and ended here."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from earwitness import ConfigError
from earwitness.study.run import Summary
from test_execution import study_beside, tables
from test_study import do, dump, make_clips

# nobody else on this machine is to send it work; Ray looks when it is imported
os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
pytest.importorskip("ray", reason="the executor ray needs: pip install 'earwitness[ray]'")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 and .3 are loopback on Linux alone")

HEAD, SECOND = "127.0.0.2", "127.0.0.3"
#: seconds a node gets to come up or to end
PATIENCE = 90.0


def start(*options: str) -> subprocess.Popen[str]:
    """A node in the foreground: it ends its own processes when it is told to end."""
    words = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1", "--disable-usage-stats",
             "--object-store-memory=80000000", *options]  # fmt: skip
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def await_line(node: subprocess.Popen[str], words: str) -> None:
    assert node.stdout is not None
    lines = []
    for line in node.stdout:
        lines.append(line)
        if words in line:
            return
    raise AssertionError(f"the node ended: {''.join(lines)}")


def left_behind(folder: str) -> list[int]:
    """Processes that name the cluster's own folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if folder.encode() in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two nodes with a CPU each."""
    with socket.socket() as free:
        free.bind((HEAD, 0))
        address = f"{HEAD}:{free.getsockname()[1]}"
    folder = tempfile.mkdtemp(prefix="ew-ray-")  # short: Ray's sockets lie in it
    nodes = []
    try:
        port = address.rpartition(":")[2]
        nodes.append(start("--head", f"--port={port}", f"--node-ip-address={HEAD}", f"--temp-dir={folder}",
                           "--include-dashboard=false"))  # fmt: skip
        await_line(nodes[0], "Ray runtime started")
        nodes.append(start(f"--address={address}", f"--node-ip-address={SECOND}"))
        await_line(nodes[1], "Ray runtime started")
        yield address
    finally:
        for node in reversed(nodes):
            node.terminate()
            with suppress(subprocess.TimeoutExpired):
                node.communicate(timeout=PATIENCE)
        for process in left_behind(folder):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def test_an_address_where_no_cluster_answers_is_refused(tmp_path: Path) -> None:
    # before there is a cluster that `auto` finds
    make_clips(tmp_path / "clips", 1)
    study = study_beside(tmp_path, "low", executor="ray", workers=1, address="auto")
    with pytest.raises(ConfigError, match="no Ray cluster answers"):
        do(study, tmp_path / "ray.db")


def test_two_ray_workers_give_the_same_tables_as_one_process(cluster: str, tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 4)
    do(study_beside(tmp_path, "low", "high"), tmp_path / "one.db")
    study = study_beside(tmp_path, "low", "high", executor="ray", workers=2, address=cluster)
    assert do(study, tmp_path / "ray.db") == Summary(8, 8, 0)
    assert dump(tmp_path / "ray.db") == dump(tmp_path / "one.db")
    assert tables(tmp_path / "ray.db") == tables(tmp_path / "one.db")


def test_a_ray_worker_killed_half_way_changes_nothing(cluster: str, tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 4)
    study = study_beside(tmp_path, "low", "mortal", executor="ray", workers=2, address=cluster)
    assert do(study, tmp_path / "ray.db") == Summary(8, 8, 0)
    assert (tmp_path / "died").exists()
    do(study_beside(tmp_path, "low", "mortal"), tmp_path / "one.db")
    assert dump(tmp_path / "ray.db") == dump(tmp_path / "one.db")
    assert tables(tmp_path / "ray.db") == tables(tmp_path / "one.db")


def test_more_workers_than_the_cluster_has_room_for_are_refused(cluster: str, tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 1)
    study = study_beside(tmp_path, "low", executor="ray", workers=3, address=cluster)
    with pytest.raises(ConfigError, match="the cluster has 2 CPUs"):
        do(study, tmp_path / "ray.db")
