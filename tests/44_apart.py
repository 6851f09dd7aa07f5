# SPDX-License-Identifier: Apache-2.0
"""Panel and node as two processes: what happens when one of them is not there."""
import contextlib
import os
import socket
import threading
import time

import pytest
import requests

from expect import check, error
from harness import EXTENDED, free_port, utc_text, wait_until


@pytest.fixture
def apart(make):
    roost = make(apart=True)
    yield roost
    roost.stop()


def test_a_round_trip_through_two_processes(apart):
    server = apart.add_server()
    done = server.backup()
    before = server.tree()
    server.write({"a.txt": b"changed"})
    assert server.restore(done["uuid"]).status_code == 204
    assert server.tree() == before
    url = server.download_url(done["uuid"])
    assert url.startswith(apart.node_url)
    assert apart.bare().get(url).content == server.archive(done["uuid"]).read_bytes()
    assert server.client().delete(f"{server.api}/backups/{done['uuid']}").status_code == 204
    assert server.stored() == []


def test_a_node_that_is_down_is_504_and_nothing_is_left(apart):
    server = apart.add_server()
    backup = server.backup()["uuid"]
    apart.node.stop()
    for accept in ("application/json", EXTENDED):
        check(server.create(accept=accept), 504, error(
            "DaemonConnectionException", 504,
            "Could not establish a connection to the machine running this server. Please try again."))
        assert server.restore(backup, accept=accept, wait=False).status_code == 504
        assert server.client(accept).delete(f"{server.api}/backups/{backup}").status_code == 504
    assert [b["attributes"]["uuid"] for b in server.list()["data"]] == [backup] and server.status() is None
    apart.start_node()
    assert server.restore(backup).status_code == 204
    assert server.create().status_code == 200


def test_a_report_waits_for_the_panel(apart):
    """The panel is gone when the backup is done; the report reaches it when it is back."""
    server = apart.add_server({f"f{n}": os.urandom(400_000) for n in range(60)})
    backup = server.create().json()["attributes"]["uuid"]
    apart.panel.kill()
    wait_until("the backup to be made", lambda: server.archive(backup).exists(), 30)
    time.sleep(1.5)
    assert apart.node_rows("outbox")
    apart.start_panel()
    view = server.wait(backup, 30)
    assert view["is_successful"] and view["bytes"] == server.archive(backup).stat().st_size
    apart.wait_node_idle()


class Deaf:
    """Somebody on a node's port who takes an order and says nothing, until it is closed."""

    def __init__(self, port):
        self.socket = socket.create_server(("127.0.0.1", port))
        self.orders = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.orders.append((connection, connection.recv(100)))

    def close(self):
        self.socket.close()
        for connection, _ in self.orders:
            connection.close()


def lose_an_order(apart, server, order, end):
    """The node's machine takes an order for it and is gone: to the panel it may have arrived."""
    apart.sql("UPDATE nodes SET daemonListen = ?", (deaf := Deaf(free_port())).socket.getsockname()[1])
    thread = threading.Thread(target=order, daemon=True)
    thread.start()
    wait_until("the order to arrive", lambda: deaf.orders and b"POST" in deaf.orders[-1][1])
    end(deaf)
    thread.join()
    apart.sql("UPDATE nodes SET daemonListen = ?", apart.node_port)
    assert server.status() == "restoring_backup"


@pytest.mark.parametrize("how", ["the answer is lost", "the panel dies"])
@pytest.mark.parametrize("kind", ["restore", "undo"])
def test_an_order_that_never_arrived_is_settled_with_the_node(apart, kind, how):
    """The node runs on: neither a report nor its next start would end the state."""
    server = apart.add_server()
    backup = server.backup()["uuid"]
    server.restore(backup)
    before = server.tree()

    def order():
        with contextlib.suppress(requests.RequestException):
            if kind == "restore":
                server.restore(backup, wait=False)
            else:
                server.client().post(f"{server.api}/backups/restore/undo")

    def end(deaf):
        if how == "the panel dies":
            apart.panel.kill()
        deaf.close()
    lose_an_order(apart, server, order, end)
    if how == "the panel dies":
        apart.start_panel()
    for table in ("roost_restores", "roost_undos"):  # else this would take half a minute
        apart.sql(f"UPDATE {table} SET started_at = ?", utc_text(-60))
    wait_until("the state to end", lambda: server.status() is None, 30)
    assert server.tree() == before
    if kind == "restore":
        last = server.client().get(server.api).json()["attributes"]["last_restore"]
        assert not last["is_successful"] and last["error"] == "the node never got the order"
    assert server.restore(backup).status_code == 204
    assert server.client().get(server.api).json()["attributes"]["last_restore"]["is_successful"]


def test_a_restore_that_takes_its_time_is_not_settled(make):
    """However long it takes: the node says that it is at it, and then, that it has yet to report."""
    roost = make({"node.write_limit": "300 KB"}, apart=True)
    server = roost.add_server({f"f{n}": os.urandom(500_000) for n in range(10)})
    backup = server.backup()["uuid"]
    before = server.tree()
    server.write({"f0": b"changed"})
    assert server.restore(backup, wait=False).status_code == 204
    roost.sql("UPDATE roost_restores SET started_at = ?", utc_text(-60))
    began = time.monotonic()
    server.wait_restored(60)
    assert time.monotonic() - began > 11, "the panel had no reason to ask"
    assert server.client().get(server.api).json()["attributes"]["last_restore"]["is_successful"]
    assert server.tree() == before
    roost.stop()


@pytest.mark.parametrize("kind", ["backup", "restore"])
def test_a_report_outlives_panel_and_node(apart, kind):
    server = apart.add_server({f"f{n}": os.urandom(200_000) for n in range(60)})
    backup = server.backup()["uuid"] if kind == "restore" else server.create().json()["attributes"]["uuid"]
    if kind == "restore":
        assert server.restore(backup, wait=False).status_code == 204
    apart.panel.kill()
    wait_until("the job to end", lambda: not apart.node_rows("jobs"), 30)
    apart.node.kill()
    assert apart.node_rows("outbox")
    apart.start_node()
    time.sleep(0.5)
    apart.start_panel()
    if kind == "backup":
        assert server.wait(backup, 30)["is_successful"]
    else:
        server.wait_restored(30)
    apart.wait_node_idle(30)


def test_a_good_archive_is_kept_whatever_the_panel_answers(apart):
    """A panel that lost its memory answers 404: the archive stays for somebody to find."""
    server = apart.add_server({f"f{n}": os.urandom(400_000) for n in range(60)})
    backup = server.create().json()["attributes"]["uuid"]
    apart.sql("UPDATE backups SET deleted_at = created_at WHERE uuid = ?", backup)
    wait_until("the job to end", lambda: not apart.node_rows("jobs"), 30)
    time.sleep(1)
    assert server.archive(backup).exists()


def test_a_node_that_dies_is_noticed_by_its_lease(make):
    roost = make({"panel.lease": "10 s", "node.heartbeat": "1 s"}, apart=True)
    server = roost.add_server({f"f{n}": os.urandom(400_000) for n in range(200)})
    backup = server.create().json()["attributes"]["uuid"]
    roost.node.kill()
    assert server.view(backup)["completed_at"] is None
    failed = server.wait(backup, 60)
    assert not failed["is_successful"]
    roost.start_node()
    roost.wait_node_idle(60)
    final = server.view(backup)
    assert final["is_successful"] == server.archive(backup).exists()
    roost.stop()


@pytest.mark.slow
def test_heartbeats_keep_a_slow_backup_alive(make):
    roost = make({"panel.lease": "10 s", "node.heartbeat": "1 s", "node.write_limit": "1 MiB"}, apart=True)
    server = roost.add_server({f"f{n}": os.urandom(1_000_000) for n in range(18)})
    began = time.monotonic()
    done = server.wait(server.create().json()["attributes"]["uuid"], 90)
    assert done["is_successful"] and time.monotonic() - began > 12
    roost.stop()


def test_a_node_that_restarts_ends_what_was_restoring(apart):
    server = apart.add_server()
    backup = server.backup()["uuid"]
    apart.node.stop()
    server.begin_restore(backup)
    apart.start_node()
    server.wait_restored()
    assert server.client().get(f"{server.api}/backups").status_code == 200


def test_a_wrong_token_is_told_and_harms_nothing(apart):
    server = apart.add_server()
    apart.node.stop()
    token = apart.data / "node.token"
    good = token.read_text()
    token.write_text(good.split(".")[0] + "." + "x" * 64 + "\n")
    apart.start_node(wait=False)
    wait_until("a word in the log", lambda: "403" in apart.node.text() or "not authorized" in apart.node.text()
               or not apart.node.is_running())
    assert server.create().status_code in (403, 502, 504)
    assert server.list()["data"] == []
    apart.node.kill()
    token.write_text(good)
    apart.start_node()
    assert server.backup()["is_successful"]
