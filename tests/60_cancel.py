# SPDX-License-Identifier: Apache-2.0
"""Cancelling: what is not wanted any more ends soon, leaves nothing, and is told once; queues that are fair.

`slow` writes so slowly that whatever begins in it stays until it is cancelled, one job at a time.
"""
import concurrent.futures
import os
import random
import time
import uuid as uuids

import pytest

from bad_wire import bad_wire
from expect import check, error
from foreign_node import foreign_node
from harness import EXTENDED, wait_until
from listener import Socket

SOON_S = 5
BIG = {f"f{n}": os.urandom(500_000) for n in range(8)}
ENDED = error("BadRequestHttpException", 400,
              "This backup is not being created (any more), so there is nothing to cancel.")
LATE = ("This restore cannot be cancelled any more: its files are being put in place, or it has just ended.")


@pytest.fixture(scope="module")
def slow(make):
    roost = make({"node.write_limit": "100 KB", "node.jobs": 1})
    yield roost
    roost.stop()


def begin(server):
    """A backup that has begun to write."""
    answer = server.create()
    assert answer.status_code == 200, answer.text
    backup = answer.json()["attributes"]["uuid"]
    wait_until("the backup to write", server.stored)
    return backup


def cancel(server, backup, accept="application/json", key=None):
    return server.client(accept, key).post(f"{server.api}/backups/{backup}/cancel")


def cancel_restore(server, accept="application/json", key=None):
    return server.client(accept, key).post(f"{server.api}/backups/restore/cancel")


def events(server):
    return [row["event"] for row in server.roost.rows(
        "SELECT event FROM activity_logs l JOIN activity_log_subjects s ON s.activity_log_id = l.id "
        "WHERE s.subject_type = 'server' AND s.subject_id = ? ORDER BY l.id", server.id)]


def last(server):
    return server.client().get(server.api).json()["attributes"]["last_restore"]


def expect_cancelled(server, backup, *others):
    """It ended as failed, once, and nothing of it is left; `others` are archives that were there before."""
    view = server.wait(backup, SOON_S)
    assert not view["is_successful"] and view["checksum"] is None and view["bytes"] == 0
    wait_until("the node to be idle", lambda: not [row for table in ("jobs", "outbox") for row in
                                                   server.roost.node_rows(table) if row["backup"] == backup], SOON_S)
    assert server.stored() == sorted(f"{other}.tar.gz" for other in others)


# ---- backups ----

def test_a_backup_that_is_made_is_stopped_and_leaves_nothing(slow):
    server = slow.add_server(BIG)
    backup = begin(server)
    socket = Socket(server)
    socket.until("auth success")
    began = time.monotonic()
    assert cancel(server, backup).status_code == 204
    expect_cancelled(server, backup)
    assert time.monotonic() - began < SOON_S
    message = socket.until(f"backup completed:{backup}", "backup completed")[f"backup completed:{backup}"]
    socket.close()
    assert '"is_successful":false' in message["args"][0] and '"file_size":0' in message["args"][0]
    found = events(server)
    assert order(slow, server, backup) == 409  # an order that comes twice, or late, does not make it again
    assert sorted(found[1:]) == ["server:backup.cancel", "server:backup.fail"] and found[0] == "server:backup.start"
    check(cancel(server, backup), 400, ENDED)
    assert cancel(server, begin(server)).status_code == 204  # the server is free again


def test_the_extended_dialect_answers_202(slow):
    server = slow.add_server(BIG)
    backup = begin(server)
    assert cancel(server, backup, EXTENDED).status_code == 202
    expect_cancelled(server, backup)
    check(cancel(server, backup, EXTENDED), 400, ENDED)


def test_a_backup_that_waits_ends_at_once(slow):
    first, second = slow.add_server(BIG), slow.add_server(BIG)
    running = begin(first)
    waiting = second.create().json()["attributes"]["uuid"]
    assert cancel(second, waiting).status_code == 204
    expect_cancelled(second, waiting)
    assert first.view(running)["completed_at"] is None
    assert cancel(first, running).status_code == 204
    expect_cancelled(first, running)


def test_earlier_archives_and_the_directory_are_as_they_were(make):
    roost = make({"node.write_limit": "400 KB"})
    server = roost.add_server({"small": os.urandom(10_000)})
    kept = server.backup()["uuid"]
    server.write(BIG)
    before = server.tree()
    backup = server.create().json()["attributes"]["uuid"]
    wait_until("the backup to write", lambda: len(server.stored()) > 1)
    assert cancel(server, backup).status_code == 204
    expect_cancelled(server, backup, kept)
    assert server.tree() == before
    roost.run("archive", "verify", server.archive(kept))
    roost.stop()


@pytest.mark.parametrize("limit,value", [("node.read_limit", "20 KB"), ("node.write_limit", "20 KB"),
                                         ("node.cpu_limit", 1)])
def test_a_wait_for_the_pace_is_no_hindrance(make, limit, value):
    """A few bytes a second: the next step would be minutes away."""
    roost = make({limit: value})
    server = roost.add_server({"big": os.urandom(30_000_000)})
    backup = begin(server)
    time.sleep(0.5)
    began = time.monotonic()
    assert cancel(server, backup).status_code == 204
    expect_cancelled(server, backup)
    assert time.monotonic() - began < 3
    roost.stop()


def test_what_has_ended_cannot_be_cancelled(roost):
    server = roost.add_server()
    done = server.backup()["uuid"]
    failed = server.put_backup("failed")
    before = events(server)
    for backup in (done, failed):
        for accept in ("application/json", EXTENDED):
            check(cancel(server, backup, accept), 400, ENDED)
    assert cancel(server, str(uuids.uuid4())).status_code == 404
    assert server.view(done)["is_successful"] and server.archive(done).exists()
    assert events(server) == before


def test_cancels_at_once_are_one(slow):
    server = slow.add_server(BIG)
    backup = begin(server)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: cancel(server, backup).status_code, range(16)))
    assert 204 in statuses and set(statuses) <= {204, 400}
    expect_cancelled(server, backup)
    assert events(server).count("server:backup.fail") == 1


def test_an_order_that_was_lost_is_cancelled_too(roost):
    """The node has never heard of it: the row need not wait for the end of its lease."""
    server = roost.add_server()
    backup = server.put_backup("creating")
    assert cancel(server, backup).status_code == 204
    expect_cancelled(server, backup)
    assert order(roost, server, backup) == 409  # it was only late: still nobody wants it
    other = server.backup()
    assert other["is_successful"] and server.stored() == [f"{other['uuid']}.tar.gz"]
    assert not server.view(backup)["is_successful"]


def test_who_may_cancel(slow):
    server, other = slow.add_server(BIG), slow.add_server()
    backup = begin(server)
    reader = slow.add_subuser(server, {"backup.read", "backup.create", "backup.restore"})
    deleter = slow.add_subuser(server, {"backup.delete"})
    check(cancel(server, backup, key=reader), 403,
          error("AccessDeniedHttpException", 403, "This action is unauthorized."))
    assert cancel(server, backup, key=slow.stranger_key()).status_code == 404
    check(cancel(other, backup), 404,
          error("NotFoundHttpException", 404, "The requested resource was not found for this server."))
    server.set(status="suspended")
    assert cancel(server, backup).status_code == 409
    server.set(status=None)
    assert server.view(backup)["completed_at"] is None
    assert cancel(server, backup, key=deleter).status_code == 204
    expect_cancelled(server, backup)


def test_a_cancel_under_another_servers_name_touches_nothing(make):
    """At the node itself, where no panel has looked whose backup it is."""
    roost = make({"node.write_limit": "1 MB", "node.jobs": 1})
    server, other = roost.add_server(BIG), roost.add_server()
    backup = begin(server)
    path = f"/api/servers/{other.uuid}/backup/{backup}/cancel"
    assert roost.node_client().post(path).status_code == 409
    assert roost.rows("SELECT * FROM void_orders", path=roost.journal) == [] == roost.node_rows("outbox")
    assert order(roost, server, backup) == 202
    assert server.wait(backup)["is_successful"] and server.archive(backup).exists()
    assert roost.node_client().post(path).status_code == 409
    assert server.archive(backup).exists()
    assert "server:backup.fail" not in events(server)
    roost.stop()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cancel_races_with_the_end_and_one_of_them_wins(roost):
    """204: failed and no archive.  400: it was completed before, and stays so.  Nothing else, whenever it comes."""
    server = roost.add_server({"a": os.urandom(20_000)}, limit=10_000)
    outcomes = {204: 0, 400: 0}
    known = []
    chance = random.Random(4)
    took_s = 0.03
    for number in range(150):
        backup = server.create().json()["attributes"]["uuid"]
        time.sleep(chance.random() * took_s)
        answer = cancel(server, backup)
        outcomes[answer.status_code] += 1
        view = server.wait(backup)
        assert view["is_successful"] == (answer.status_code == 400), number
        if view["is_successful"]:
            known.append(f"{backup}.tar.gz")
        # Aim at where both happen.
        took_s = max(0.001, took_s * (0.9 if view["is_successful"] else 1.1))
    roost.wait_node_idle()
    assert server.stored() == sorted(known)
    archives = {row["backup"] for row in roost.node_rows("archives") if row["server"] == server.uuid}
    assert archives == {name[:36] for name in known}
    assert outcomes[204] > 15 and outcomes[400] > 15, outcomes
    assert events(server).count("server:backup.fail") == outcomes[204]
    assert events(server).count("server:backup.complete") == outcomes[400]


def test_a_daemon_that_cannot_cancel_is_said_so(slow):
    server = slow.add_server(BIG)
    backup = begin(server)
    before = events(server)
    with foreign_node(slow, unknown=("/cancel",)) as node:
        check(cancel(server, backup), 400, error("BadRequestHttpException", 400,
                                                 "The node of this server cannot cancel what it has begun."))
        assert node.asked == [f"POST /api/servers/{server.uuid}/backup/{backup}/cancel"]
    assert server.view(backup)["completed_at"] is None and events(server) == before
    assert cancel(server, backup).status_code == 204
    expect_cancelled(server, backup)


# ---- restores ----

@pytest.fixture
def restoring(make):
    """A server whose restore takes its time; with the backup."""
    roost = make()
    server = roost.add_server(BIG)
    server.good = server.backup()["uuid"]
    roost.stop()
    roost.configure({"node.write_limit": "200 KB"})
    roost.start()
    server.write({"f0": b"changed", "later": b"later"})
    server.new = server.tree()
    assert server.restore(server.good, wait=False).status_code == 204
    yield server
    roost.stop()


def expect_uncancelled_tree(server, tree):
    wait_until("the restore to end", lambda: server.status() is None, SOON_S)
    server.roost.wait_node_idle(SOON_S)
    assert server.tree() == tree
    assert server.beside() == [], "something is left of it"


def test_a_restore_is_stopped_before_it_changes_anything(restoring):
    wait_until("the stage", lambda: [n for n in os.listdir(restoring.directory.parent) if n.startswith(".roost-")])
    check(cancel(restoring, restoring.good), 409, error(
        "ServerStateConflictException", 409,
        "This server is currently restoring from a backup, please try again later."))
    assert cancel_restore(restoring).status_code == 204
    expect_uncancelled_tree(restoring, restoring.new)
    found = last(restoring)
    assert found["backup"] == restoring.good and not found["is_successful"] and found["error"] == "it was cancelled"
    assert sorted(events(restoring)[-2:]) == ["server:backup.restore-cancel", "server:backup.restore-failed"]
    check(cancel_restore(restoring), 400, error(
        "BadRequestHttpException", 400, "This server is not being restored, so there is nothing to cancel."))
    assert restoring.archive(restoring.good).exists()


@pytest.mark.parametrize("body", [{"truncate": False}, {"files": ["f1", "f2", "f3"]},
                                  {"leave_ignored": True, "ignored": ["later"]}], ids=lambda body: next(iter(body)))
def test_a_restore_that_leaves_something_is_stopped_too(restoring, body):
    assert cancel_restore(restoring).status_code == 204
    expect_uncancelled_tree(restoring, restoring.new)
    assert restoring.restore(restoring.good, wait=False, **body).status_code == 204
    time.sleep(1.5)
    assert restoring.status() == "restoring_backup"
    assert cancel_restore(restoring).status_code == 204
    expect_uncancelled_tree(restoring, restoring.new)
    assert last(restoring)["error"] == "it was cancelled"


def test_who_may_cancel_a_restore(restoring):
    reader = restoring.roost.add_subuser(restoring, {"backup.read", "backup.create", "backup.delete"})
    restorer = restoring.roost.add_subuser(restoring, {"backup.restore"})
    assert cancel_restore(restoring, key=reader).status_code == 403
    assert restoring.status() == "restoring_backup"
    assert cancel_restore(restoring, EXTENDED, restorer).status_code == 202
    expect_uncancelled_tree(restoring, restoring.new)


@pytest.mark.parametrize("kind", ["restore", "undo"])
def test_one_that_waits_ends_at_once(make, kind):
    roost = make()
    server, other = roost.add_server(), roost.add_server(BIG)
    good = server.backup()["uuid"]
    server.restore(good)
    server.write({"a.txt": b"changed"})
    before = server.tree()
    roost.stop()
    roost.configure({"node.write_limit": "100 KB", "node.jobs": 1})
    roost.start()
    running = begin(other)
    if kind == "restore":
        assert server.restore(good, wait=False).status_code == 204
    else:
        assert server.client().post(f"{server.api}/backups/restore/undo").status_code == 204
    assert cancel_restore(server).status_code == 204
    wait_until("the restore to end", lambda: server.status() is None, SOON_S)
    assert server.tree() == before and last(server)["is_undo"] == (kind == "undo") and not last(server)["is_successful"]
    assert other.view(running)["completed_at"] is None
    assert cancel(other, running).status_code == 204
    expect_cancelled(other, running)
    if kind == "undo":  # what was kept still is, and can be brought back
        assert server.client().post(f"{server.api}/backups/restore/undo").status_code == 204
        server.wait_restored()
        assert last(server)["is_successful"]
    roost.stop()


def test_once_it_exchanges_it_is_too_late(restoring):
    """The phase is what the journal says: the cancel is refused by it, and the restore completes."""
    wait_until("the stage", lambda: any(row["phase"] == "staging" for row in restoring.roost.node_rows("jobs")))
    restoring.roost.sql("UPDATE jobs SET phase = 'exchanging'", path=restoring.roost.journal)
    check(cancel_restore(restoring), 409, error("ServerStateConflictException", 409, LATE))
    check(cancel_restore(restoring, EXTENDED), 409, error("ConflictingServerStateException", 409, LATE))
    restoring.wait_restored(60)
    assert restoring.tree() == BIG and last(restoring)["is_successful"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", ["directory", "entries"])
def test_a_cancel_races_with_a_restore(make, way):
    """204: the old tree.  409 or 400: the restored one.  Never a mix, never both."""
    roost = make({"restore.exchange": way})
    server = roost.add_server({"a.txt": b"one", "d/b": os.urandom(30_000), "link": "a.txt"})
    backup, restored = server.backup()["uuid"], server.tree()
    outcomes = {204: 0, 409: 0, 400: 0}
    chance = random.Random(5)
    took_s = 0.03
    for number in range(100):
        server.write({"a.txt": b"%d" % number, "later": b"later"})
        changed = server.tree()
        assert server.restore(backup, wait=False).status_code == 204
        time.sleep(chance.random() * took_s)
        status = cancel_restore(server).status_code
        outcomes[status] += 1
        server.wait_restored()
        was_cancelled = server.tree() == changed
        assert was_cancelled or server.tree() == restored, number
        assert was_cancelled == (status == 204) == (not last(server)["is_successful"]), number
        took_s = max(0.001, took_s * (1.1 if was_cancelled else 0.9))
    roost.wait_node_idle()
    assert server.beside() == []
    assert outcomes[204] > 10 and outcomes[409] + outcomes[400] > 10, outcomes
    roost.stop()


def test_a_daemon_that_cannot_cancel_a_restore_is_said_so(restoring):
    with foreign_node(restoring.roost, unknown=("/cancel",)):
        check(cancel_restore(restoring), 400, error("BadRequestHttpException", 400,
                                                    "The node of this server cannot cancel what it has begun."))
    assert restoring.status() == "restoring_backup"
    assert cancel_restore(restoring).status_code == 204
    expect_uncancelled_tree(restoring, restoring.new)


# ---- one of both is not there ----

@pytest.fixture
def apart(make):
    roost = make({"node.write_limit": "100 KB", "node.jobs": 1}, apart=True)
    yield roost
    roost.stop()


def test_a_node_that_is_down_is_504_and_nothing_has_changed(apart):
    server = apart.add_server(BIG)
    backup = begin(server)
    apart.node.kill()
    assert cancel(server, backup).status_code == 504
    assert server.view(backup)["completed_at"] is None and "server:backup.cancel" not in events(server)
    apart.start_node()
    wait_until("the backup to be made again", lambda: apart.node_rows("jobs") and server.stored())
    assert cancel(server, backup).status_code == 204
    expect_cancelled(server, backup)


@pytest.mark.parametrize("state", ["running", "waiting"])
def test_a_node_that_dies_after_it_has_taken_the_order(apart, state):
    server, other = apart.add_server(BIG), apart.add_server(BIG)
    running = begin(server)
    backup = other.create().json()["attributes"]["uuid"] if state == "waiting" else running
    of = other if state == "waiting" else server
    assert apart.node_client().post(f"/api/servers/{of.uuid}/backup/{backup}/cancel").status_code == 202
    apart.node.kill()
    apart.start_node()
    expect_cancelled(of, backup)
    if state == "waiting":
        assert cancel(server, running).status_code == 204
        expect_cancelled(server, running)
    assert events(of).count("server:backup.fail") == 1


def test_a_cancel_while_the_panel_is_away(apart):
    """The order was on its way as the panel died: the end waits for it."""
    server = apart.add_server(BIG)
    backup = begin(server)
    apart.panel.kill()
    order = f"/api/servers/{server.uuid}/backup/{backup}/cancel"
    assert apart.node_client().post(order).status_code == 202
    wait_until("the job to end", lambda: not apart.node_rows("jobs"), SOON_S)
    assert server.stored() == [] and len(apart.node_rows("outbox")) == 1
    assert apart.node_client().post(order).status_code == 409  # it has ended
    apart.start_panel()
    expect_cancelled(server, backup)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
def test_on_a_wire_that_loses_delays_and_doubles(make, seed):
    """Orders and reports alike.  A cancel that was answered holds, also against an order that comes once more."""
    roost = make({"node.jobs": 2}, apart=True, start=False)
    chance = random.Random(seed)
    with bad_wire(roost.node_port, seed) as to_node, bad_wire(roost.port, seed + 100) as to_panel:
        roost.configure({"node.panel_url": f"http://127.0.0.1:{to_panel.server_port}"})
        roost.start()
        roost.sql("UPDATE nodes SET daemonListen = ?", to_node.server_port)
        servers = [roost.add_server({"a": os.urandom(2_000_000)}, limit=10_000) for _ in range(3)]
        promised = set()

        def being_made(server):
            return [row["uuid"] for row in roost.rows(
                "SELECT uuid FROM backups WHERE server_id = ? AND completed_at IS NULL", server.id)]

        def cancel_some(server, share):
            for backup in being_made(server):
                if chance.random() < share and cancel(server, backup).status_code == 204:
                    promised.add(backup)

        for number in range(300):
            server = servers[number % 3]
            assert server.create().status_code in (200, 409, 504)
            time.sleep(chance.random() * 0.02)
            cancel_some(server, 0.9)
        to_node.settle()
        to_panel.settle()
        roost.wait_node_idle(60)
        for server in servers:  # those whose order was lost would wait for the end of their lease
            cancel_some(server, 1)
            wait_until("the rest to end", lambda s=server: not being_made(s))
        roost.wait_node_idle(60)
        successes = 0
        for server in servers:
            rows = roost.rows("SELECT uuid, is_successful FROM backups WHERE server_id = ?", server.id)
            good = {row["uuid"] for row in rows if row["is_successful"]}
            assert server.stored() == sorted(f"{backup}.tar.gz" for backup in good)
            assert not good & promised, "a cancel that was answered did not hold"
            successes += len(good)
        assert len(promised) > 10 and successes > 5, (len(promised), successes)
        assert min(to_node.done.values()) > 2, to_node.done
        roost.sql("UPDATE nodes SET daemonListen = ?", roost.node_port)
        roost.stop()


# ---- queues ----

def order(roost, server, backup):
    return roost.node_client().post(f"/api/servers/{server.uuid}/backup",
                                    json={"adapter": "wings", "uuid": backup, "ignore": ""}).status_code


def test_servers_take_turns(make):
    """One that has ordered many lets the others go between; of each, the order is that of arrival.

    Orders come from a panel that does not refuse a second one, as Pterodactyl's and its schedules.
    """
    roost = make({"node.jobs": 1, "node.write_limit": "1 MB"})
    first, second, third = servers = [roost.add_server({"a": os.urandom(200_000)}) for _ in range(3)]
    wanted = {server.uuid: [server.put_backup("creating") for _ in range(4)] for server in servers}
    blocker = roost.add_server({"a": os.urandom(1_500_000)})
    begin(blocker)
    for server in servers:
        for backup in wanted[server.uuid]:
            assert order(roost, server, backup) == 202
            assert order(roost, server, backup) == 202  # the same is one job
    assert len(roost.node_rows("jobs")) == 13
    roost.wait_node_idle(60)
    ended = [row for row in roost.rows("SELECT * FROM archives ORDER BY created_at_us", path=roost.journal)
             if row["server"] in wanted]
    assert [row["server"] for row in ended] == [first.uuid, second.uuid, third.uuid] * 4
    for server in servers:
        assert [row["backup"] for row in ended if row["server"] == server.uuid] == wanted[server.uuid]
        assert all(server.wait(backup)["is_successful"] for backup in wanted[server.uuid])
    roost.stop()


def test_no_more_at_once_than_may_and_one_of_a_server(make):
    roost = make({"node.jobs": 2, "node.write_limit": "300 KB"})
    servers = [roost.add_server({"a": os.urandom(300_000)}) for _ in range(3)]
    for server in servers:
        for _ in range(2):
            assert order(roost, server, server.put_backup("creating")) == 202
    seen = set()

    def look():
        running = [job["backup"] for server in servers for job in
                   roost.node_client().get(f"/api/servers/{server.uuid}").json()["jobs"] if job["is_running"]]
        drafts = [len([n for n in server.stored() if not n.endswith(".tar.gz")]) for server in servers]
        seen.add(len(running))
        assert len(running) <= 3 and max(drafts) <= 1 and sum(drafts) <= 2
        return roost.is_node_idle()
    wait_until("all to be made", look, 60)
    assert 2 in seen
    roost.stop()


# ---- servers that are deleted ----

def test_a_deleted_servers_jobs_end_and_its_archives_stay(make):
    roost = make({"node.write_limit": "400 KB", "node.jobs": 1})
    server, other = roost.add_server({"a": os.urandom(10_000)}), roost.add_server(BIG)
    kept = server.backup()["uuid"]
    server.write(BIG)
    server.create()
    wait_until("the backup to write", lambda: len(server.stored()) > 1)
    waiting = other.create().json()["attributes"]["uuid"]
    done = roost.run("server", "delete", server.uuid)
    assert "deleted" in done.stdout and done.stderr == ""
    assert [row["backup"] for row in roost.node_rows("jobs")] == [waiting]
    assert server.stored() == [f"{kept}.tar.gz"] and server.tree().keys() >= BIG.keys()
    assert cancel(other, waiting).status_code == 204
    roost.stop()


def test_a_deleted_servers_archives_go_where_that_is_configured(make):
    roost = make({"node.delete_archives": True})
    server, other = roost.add_server(), roost.add_server()
    server.backup()
    kept = other.backup()["uuid"]
    server.restore(server.list()["data"][0]["attributes"]["uuid"])
    before = server.tree()
    roost.run("server", "delete", server.uuid)
    assert server.stored() == [] and server.tree() == before and server.beside() == []
    assert not [row for row in roost.node_rows("archives") if row["server"] == server.uuid]
    assert other.archive(kept).exists() and other.view(kept)["is_successful"]
    roost.stop()


def test_a_panel_that_deletes_the_server_at_its_node_first(slow):
    """As Pterodactyl's does.  Should it keep the server after all, it knows what became of the job."""
    server, other = slow.add_server(BIG), slow.add_server(BIG)
    backup = begin(server)
    waiting = other.create().json()["attributes"]["uuid"]
    assert slow.node_client().delete(f"/api/servers/{server.uuid}").status_code == 204
    expect_cancelled(server, backup)
    assert slow.node_client().delete(f"/api/servers/{server.uuid}").status_code == 204  # again
    assert slow.node_client().delete("/api/servers/nonsense").status_code == 404
    wait_until("the other's turn", other.stored)
    assert server.tree() == BIG
    assert cancel(other, waiting).status_code == 204
    expect_cancelled(other, waiting)
    assert cancel(server, begin(server)).status_code == 204


@pytest.mark.parametrize("features", [None, ["files", "leave_ignored"]])
def test_a_daemon_that_would_delete_the_directory_is_not_told(make, features):
    """Wings removes all of the server's files on that order; the command says that they stay."""
    roost = make()
    server = roost.add_server()
    with foreign_node(roost, features) as node:
        done = roost.run("server", "delete", server.uuid)
        assert "could not be told" in done.stderr and "keep the server's directory" in done.stderr
        assert node.asked == ["GET /api/system"]
    roost.stop()


def test_a_node_that_was_not_told_learns_it(apart):
    server, other = apart.add_server(BIG), apart.add_server(BIG)
    begin(server)
    waiting = other.create().json()["attributes"]["uuid"]
    apart.node.kill()
    done = apart.run("server", "delete", server.uuid)
    assert "could not be told" in done.stderr
    apart.start_node()
    wait_until("the jobs to end", lambda: {row["server"] for row in apart.node_rows("jobs")} == {other.uuid}, 20)
    wait_until("the other's turn", other.stored)
    assert server.stored() == []
    assert cancel(other, waiting).status_code == 204
    expect_cancelled(other, waiting)


# ---- the command line ----

def test_the_commands(restoring):
    roost, server = restoring.roost, restoring
    env = {"ROOST_URL": roost.url, "ROOST_API_KEY": server.key}
    done = roost.run("restore", "cancel", server.uuid, "--wait", env=env)
    assert "cancelled" in done.stdout and server.status() is None and server.tree() == server.new
    assert "nothing to cancel" in roost.run("restore", "cancel", server.uuid, status=1, env=env).stderr
    assert "no backup of this server is being made" in roost.run("backup", "cancel", server.uuid, status=1,
                                                                 env=env).stderr
    for arguments in ([], ["--wait"]):
        backup = server.create().json()["attributes"]["uuid"]
        name = [backup[:13]] if arguments else []
        assert "cancelled" in roost.run("backup", "cancel", server.uuid, *name, *arguments, env=env).stdout
        if arguments:
            assert not server.view(backup)["is_successful"] and server.view(backup)["completed_at"]
        expect_cancelled(server, backup, server.good)
    assert "nothing to cancel" in roost.run("backup", "cancel", server.uuid, server.good, status=1, env=env).stderr
