# SPDX-License-Identifier: Apache-2.0
"""Many at once: limits hold, rows and files agree."""
import concurrent.futures
import os

import pytest

from harness import wait_until


def at_once(count, act):
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(act, range(count)))


def test_fifty_creates_make_exactly_one(roost):
    server = roost.add_server({f"f{n}": os.urandom(500_000) for n in range(60)}, limit=1)
    statuses = at_once(50, lambda _: server.create().status_code)
    assert statuses.count(200) == 1 and set(statuses) <= {200, 400, 409}, statuses
    data = server.list()["data"]
    assert len(data) == 1
    assert server.wait(data[0]["attributes"]["uuid"])["is_successful"]
    assert len(server.stored()) == 1


def test_the_limit_holds_at_its_edge(roost):
    server = roost.add_server(limit=3)
    for _ in range(2):
        server.put_backup()
    statuses = at_once(30, lambda _: server.create().status_code)
    assert statuses.count(200) == 1
    assert server.list()["meta"]["backup_count"] == 3


def test_the_throttle_holds(make):
    roost = make({"panel.throttle.limit": 2, "panel.throttle.period": "600 s"})
    server = roost.add_server()
    statuses = []
    for _ in range(8):
        statuses += at_once(8, lambda _: server.create().status_code)
        for view in server.list()["data"]:
            server.wait(view["attributes"]["uuid"])
    assert statuses.count(200) == 2 and 429 in statuses
    roost.stop()


def test_deleted_backups_count_for_the_throttle_and_failed_ones_do_not(make):
    roost = make({"panel.throttle.limit": 2, "panel.throttle.period": "600 s"})
    server = roost.add_server()
    server.put_backup("failed", created_s=-10)
    backup = server.backup()["uuid"]
    server.client().delete(f"{server.api}/backups/{backup}")
    assert server.backup()["is_successful"]
    answer = server.create()
    assert answer.status_code == 429 and 500 < int(answer.headers["Retry-After"]) <= 600
    roost.stop()


def test_many_servers_at_once(roost):
    servers = [roost.add_server({"x": os.urandom(200_000)}) for _ in range(20)]
    made = at_once(20, lambda n: servers[n].create().json()["attributes"]["uuid"])
    for server, backup in zip(servers, made):
        assert server.wait(backup, 60)["is_successful"]
        assert server.stored() == [f"{backup}.tar.gz"]


def test_locks_toggled_at_once_lose_none(roost):
    server = roost.add_server()
    backup = server.backup()["uuid"]
    statuses = at_once(31, lambda _: server.client().post(f"{server.api}/backups/{backup}/lock").status_code)
    assert set(statuses) == {200} and server.view(backup)["is_locked"] is True


def test_restores_at_once_are_one(roost):
    server = roost.add_server({f"f{n}": os.urandom(100_000) for n in range(60)})
    backup = server.backup()["uuid"]
    before = server.tree()
    statuses = at_once(20, lambda _: server.restore(backup, wait=False).status_code)
    assert 204 in statuses and set(statuses) <= {204, 409}
    server.wait_restored()
    roost.wait_node_idle()
    assert server.tree() == before and server.beside() == []


def test_deletes_at_once_are_one(roost):
    server = roost.add_server()
    backup = server.backup()["uuid"]
    statuses = at_once(20, lambda _: server.client().delete(f"{server.api}/backups/{backup}").status_code)
    assert statuses.count(204) >= 1 and set(statuses) <= {204, 404}
    assert server.stored() == []


def test_duplicate_reports_at_once_agree(roost):
    server = roost.add_server()
    backup = server.put_backup("creating")
    report = {"checksum": "ab" * 32, "checksum_type": "sha256", "size": 5, "successful": True}
    statuses = at_once(20, lambda _: roost.remote().post(f"/api/remote/backups/{backup}", json=report).status_code)
    assert set(statuses) == {204}
    events = roost.value("SELECT COUNT(*) FROM activity_logs l JOIN activity_log_subjects s ON s.activity_log_id = l.id "
                         "WHERE l.event = 'server:backup.complete' AND s.subject_type = 'server' AND s.subject_id = ?",
                         server.id)
    assert events == 1


def test_contradicting_reports_end_in_one_state(roost):
    server = roost.add_server()
    backup = server.put_backup("creating")

    def report(number):
        return roost.remote().post(f"/api/remote/backups/{backup}", json={
            "checksum": "%02x" % number * 32, "checksum_type": "sha256", "size": number, "successful": True}).status_code

    statuses = at_once(16, report)
    assert statuses.count(204) == 1 and set(statuses) == {204, 400}
    view = server.view(backup)
    assert view["checksum"] == "sha256:" + "%02x" % view["bytes"] * 32


@pytest.mark.slow
def test_everything_at_once(roost):
    """Creates, lists, restores, locks, deletes and cancels of five servers, mixed; then rows and files agree."""
    servers = [roost.add_server({"x": os.urandom(50_000)}, limit=100) for _ in range(5)]
    allowed = {200, 202, 204, 400, 404, 409}

    def act(number):
        server = servers[number % 5]
        ids = [b["attributes"]["uuid"] for b in server.list().get("data", [])] or ["none"]
        backup = ids[number % len(ids)]
        verb = number % 9
        client = server.client()
        if verb in (0, 1, 2):
            return server.create().status_code
        if verb == 3:
            return server.restore(backup, wait=False).status_code
        if verb == 4:
            return client.post(f"{server.api}/backups/{backup}/lock").status_code
        if verb == 5:
            return client.delete(f"{server.api}/backups/{backup}").status_code
        if verb == 6:
            return client.post(f"{server.api}/backups/{ids[-1]}/cancel").status_code
        if verb == 7:
            return client.post(f"{server.api}/backups/restore/cancel").status_code
        return client.get(f"{server.api}/backups/{backup}/download").status_code

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(act, range(450)))
    assert set(statuses) <= allowed, sorted(set(statuses) - allowed)
    roost.wait_node_idle(60)
    for server in servers:
        wait_until("the state to end", lambda s=server: s.status() is None)
        data = server.list(per_page=50)["data"]
        for view in data:
            assert view["attributes"]["completed_at"], "a backup is stuck"
        known = sorted(f"{b['attributes']['uuid']}.tar.gz" for b in data if b["attributes"]["is_successful"])
        assert server.stored() == known
