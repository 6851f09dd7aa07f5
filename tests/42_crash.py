# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any instant: the old state or the new one, known within seconds, and nothing left over.

The shim in shim/ kills the program at its n-th write, fsync, rename, link or unlink.  A first run without a
crash counts them; then the program is killed at each of them (or, where there are more than
ROOST_CRASH_POINTS, at so many of them, evenly).  `all` in that variable tries every one.
"""
import contextlib
import mmap
import os
import struct
import time

import pytest
import requests

from harness import Failed, wait_until

SETTLE_S = 15


class Control:
    """The shim's page."""

    def __init__(self, path):
        path.write_bytes(bytes(4096))
        self.path = path
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)

    def arm(self, countdown, torn=False):
        self.map[0:24] = struct.pack("<qqq", 0, 0, int(torn))
        self.map[0:8] = struct.pack("<q", countdown)

    def counted(self):
        return struct.unpack("<q", self.map[8:16])[0]


def points(total):
    """Which of `total` changes to die at."""
    wanted = os.environ.get("ROOST_CRASH_POINTS", "60")
    if wanted == "all" or total <= int(wanted):
        return list(range(1, total + 1))
    count = int(wanted)
    return sorted({1 + (total - 1) * i // (count - 1) for i in range(count)})


@pytest.fixture
def crashing(make, crash_shim, base, request):
    roost = make(getattr(request, "param", None), start=False)
    control = Control(roost.base / "control")
    roost.control = control
    roost.env = {"ROOST_CRASH_FILE": str(control.path)}
    roost.preload = crash_shim
    roost.start()
    yield roost
    control.arm(0)
    roost.kill()


def survive(roost, act, countdown, torn):
    """Arm, act, and start again if that was deadly.  True where it was."""
    roost.control.arm(countdown, torn)
    try:
        act()
    except (requests.RequestException, Failed):
        pass

    def settled():
        return not roost.program.is_running() or roost.is_node_idle()
    with contextlib.suppress(Failed):
        wait_until("the death, or nothing more to die at", settled, 3)
    roost.control.arm(0)
    time.sleep(0.03)  # what was decided before that takes a moment to kill
    died = not roost.program.is_running()
    if died:
        roost.kill()
        began = time.monotonic()
        roost.start()
        wait_until("the node to settle", roost.is_node_idle, SETTLE_S)
        assert time.monotonic() - began < SETTLE_S
    return died


def leftovers(server):
    """Anything that is neither the server's directory nor an archive that somebody knows of."""
    known = {f"{row['uuid']}.tar.gz" for row in server.roost.rows(
        "SELECT uuid FROM backups WHERE is_successful = 1 AND deleted_at IS NULL")}
    strange = [name for name in server.stored() if name not in known]
    wait_until("trees to be cleared away", lambda: not server.roost.node_rows("leftovers"), SETTLE_S)
    return strange + server.beside()


@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("torn", [False, True], ids=["before", "in the middle"])
def test_backup(crashing, torn):
    files = {"a.txt": b"one", "d/b": os.urandom(300_000), "link": "a.txt"}
    server = crashing.add_server(files, limit=100000)
    crashing.control.arm(0)
    server.backup()
    crashing.wait_node_idle()
    total = crashing.control.counted()
    assert total > 10, "the shim sees nothing"
    deaths = 0
    for point in points(total + 2):
        before = {b["attributes"]["uuid"] for b in everything(server)}
        deaths += survive(crashing, server.create, point, torn)
        for view in everything(server):
            attributes = server.wait(view["attributes"]["uuid"], SETTLE_S)
            if attributes["uuid"] in before:
                continue
            if attributes["is_successful"]:
                crashing.run("archive", "verify", server.archive(attributes["uuid"]))
                assert attributes["bytes"] == server.archive(attributes["uuid"]).stat().st_size
            else:
                assert not server.archive(attributes["uuid"]).exists()
        assert server.tree() == files, f"point {point}"
        assert leftovers(server) == [], f"point {point}"
    assert deaths > min(total, len(points(total))) // 2
    server.backup()


def everything(server):
    """All backups, whatever the page."""
    data, page = [], 1
    while True:
        body = server.list(page=page, per_page=50)
        data += body["data"]
        if page >= body["meta"]["pagination"]["total_pages"]:
            return data
        page += 1


@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("truncate,leave", [(True, None), (False, None), (True, ["later", "d/c"])],
                         ids=["True", "False", "leave_ignored"])
@pytest.mark.parametrize("crashing", [{"restore.exchange": way} for way in ("directory", "entries")], indirect=True,
                         ids=["directory", "entries"])
def test_restore(crashing, truncate, leave):
    old = {"a.txt": b"one", "d/b": os.urandom(200_000), "d/c": b"c", "link": "a.txt"}
    new = {"a.txt": b"two", "d/b": b"changed", "later": b"later", "link": "d/c"}
    server = crashing.add_server(old)
    backup = server.backup()["uuid"]
    restored = old if truncate and not leave else {**old, "later": b"later"}
    body = {"truncate": truncate}
    if leave:
        body.update(leave_ignored=True, ignored=leave)
        del restored["d/c"]  # it is not there

    def changed():
        for name in ("d/c", "link"):
            (server.directory / name).unlink(missing_ok=True)
        server.write(new)
        return server.tree()

    changed()
    crashing.control.arm(0)
    assert server.restore(backup, **body).status_code == 204
    crashing.wait_node_idle()
    total = crashing.control.counted()
    assert server.tree() == restored
    deaths = outcomes = 0
    for point in points(total + 2):
        before = changed()
        deaths += survive(crashing, lambda: server.restore(backup, wait=False, **body), point, torn=False)
        wait_until("the server's state to end", lambda: server.status() is None, SETTLE_S)
        tree = server.tree()
        assert tree in (before, restored), f"point {point}: a mix"
        outcomes += tree == restored
        assert leftovers(server) == [], f"point {point}"
        assert server.archive(backup).exists()
    assert deaths > min(total, len(points(total))) // 2 and outcomes
    server.restore(backup, truncate=True)
    assert server.tree() == old


@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("crashing", [{"restore.exchange": way} for way in ("directory", "entries")], indirect=True,
                         ids=["directory", "entries"])
def test_undo(crashing):
    """One tree is live and the other kept, at any time: no crash loses either."""
    server = crashing.add_server({"a.txt": b"one", "d/b": os.urandom(200_000), "link": "a.txt"})
    backup = server.backup()["uuid"]
    old = server.tree()
    (server.directory / "link").unlink()
    server.write({"a.txt": b"two", "later": b"later"})
    new = server.tree()
    server.restore(backup, truncate=True)

    def undo():
        return server.client().post(f"{server.api}/backups/restore/undo")

    crashing.control.arm(0)
    undo()
    crashing.wait_node_idle()
    total = crashing.control.counted()
    assert total > 5 and server.tree() == new
    deaths = outcomes = 0
    for point in points(total + 2):
        before = server.tree()
        deaths += survive(crashing, undo, point, torn=False)
        wait_until("the server's state to end", lambda: server.status() is None, SETTLE_S)
        after = server.tree()
        assert after in (old, new), f"point {point}: a mix"
        outcomes += after != before
        assert leftovers(server) == [], f"point {point}"
        kept = [row["name"] for row in crashing.node_rows("kept")]
        assert len(kept) == 1 and (server.directory.parent / kept[0] / "tree").is_dir(), f"point {point}"
    assert deaths > min(total, len(points(total))) // 2 and outcomes
    before = server.tree()
    assert undo().status_code == 204
    server.wait_restored()
    assert before in (old, new) and server.tree() in (old, new) and server.tree() != before


@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_delete(crashing):
    server = crashing.add_server(limit=100000)
    kept = server.backup()["uuid"]
    victim = server.backup()["uuid"]
    crashing.control.arm(0)
    delete(server, victim)
    crashing.wait_node_idle()
    for point in points(crashing.control.counted() + 2):
        victim = server.backup()["uuid"]
        survive(crashing, lambda: delete(server, victim), point, torn=False)
        if server.view(victim) is not None:
            # It may be deleted again; whether the archive is still there is the crash's moment.
            assert delete(server, victim).status_code == 204
        assert not server.archive(victim).exists() and server.archive(kept).exists()
        assert leftovers(server) == []


def delete(server, backup):
    return server.client().delete(f"{server.api}/backups/{backup}")


def stop_in_the_middle(roost, order, has_ended, point, torn):
    """Arm, order, and start again if that was deadly.  The answer's status, or None where there was none."""
    roost.control.arm(point, torn)
    status = None
    with contextlib.suppress(requests.RequestException):
        status = order().status_code
    with contextlib.suppress(Failed):
        wait_until("the death, or the end", lambda: not roost.program.is_running() or has_ended(), 3)
    roost.control.arm(0)
    time.sleep(0.03)  # what was decided before that takes a moment to kill
    died = not roost.program.is_running()
    if died:
        roost.kill()
        roost.start()
    return status, died


@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("crashing", [{"node.write_limit": "20 KB", "node.jobs": 1}], indirect=True, ids=["slow"])
@pytest.mark.parametrize("state,torn", [("running", False), ("running", True), ("waiting", False)],
                         ids=["running", "in the middle", "waiting"])
def test_cancel(crashing, state, torn):
    """Whatever was answered holds; where nothing was, the cancel may be ordered again, and then holds."""
    server = crashing.add_server({"big": os.urandom(900_000)}, limit=100000)
    if state == "waiting":
        blocker = crashing.add_server({"big": os.urandom(30_000_000)})
        blocker.create()

    def begin():
        backup = server.create().json()["attributes"]["uuid"]
        if state == "running":
            wait_until("the backup to write", server.stored)
        return backup

    def cancel(backup):
        return server.client().post(f"{server.api}/backups/{backup}/cancel")

    def is_known(backup):
        return [row for table in ("jobs", "outbox") for row in crashing.node_rows(table) if row["backup"] == backup]

    backup = begin()
    crashing.control.arm(0)
    assert cancel(backup).status_code == 204
    server.wait(backup, SETTLE_S)
    wait_until("the end", lambda: not is_known(backup), SETTLE_S)
    total = crashing.control.counted()
    assert total > 10, "the shim sees nothing"
    deaths = 0
    for point in points(total + 2):
        backup = begin()
        status, died = stop_in_the_middle(crashing, lambda b=backup: cancel(b), lambda b=backup: not is_known(b),
                                          point, torn)
        deaths += died
        if status is None and any(not row["is_cancelled"] for row in crashing.node_rows("jobs")
                                  if row["backup"] == backup):
            assert cancel(backup).status_code == 204, f"point {point}"
        else:
            assert status in (204, None), f"point {point}"
        assert not server.wait(backup, SETTLE_S)["is_successful"], f"point {point}"
        wait_until("the end", lambda b=backup: not is_known(b), SETTLE_S)
        assert leftovers(server) == [], f"point {point}"
        assert cancel(backup).status_code == 400
        failures = crashing.value(
            "SELECT COUNT(*) FROM activity_logs l JOIN activity_log_subjects s ON s.activity_log_id = l.id "
            "WHERE l.event = 'server:backup.fail' AND s.subject_type = 'backup' AND s.subject_id = "
            "(SELECT id FROM backups WHERE uuid = ?)", backup)
        assert failures == 1, f"point {point}"
    assert deaths > min(total, len(points(total))) // 2


@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("crashing", [{"node.write_limit": "20 KB"}], indirect=True, ids=["slow"])
def test_cancel_of_a_restore(crashing):
    server = crashing.add_server({"big": b"abcdefg" * 100_000})
    backup = server.backup()["uuid"]
    server.write({"big": b"changed", "later": b"later"})
    before = server.tree()

    def begin():
        assert server.restore(backup, wait=False).status_code == 204
        wait_until("the stage", lambda: any(n.startswith(".roost-stage") for n in os.listdir(server.directory.parent)))

    def cancel():
        return server.client().post(f"{server.api}/backups/restore/cancel")

    begin()
    crashing.control.arm(0)
    assert cancel().status_code == 204
    server.wait_restored(SETTLE_S)
    crashing.wait_node_idle(SETTLE_S)
    total = crashing.control.counted()
    assert total > 10, "the shim sees nothing"
    deaths = 0
    for point in points(total + 2):
        begin()
        status, died = stop_in_the_middle(crashing, cancel, crashing.is_node_idle, point, torn=False)
        deaths += died
        assert status in (204, None), f"point {point}"
        server.wait_restored(SETTLE_S)
        crashing.wait_node_idle(SETTLE_S)
        last = server.client().get(server.api).json()["attributes"]["last_restore"]
        assert not last["is_successful"], f"point {point}"
        if status == 204:
            assert last["error"] == "it was cancelled", f"point {point}"
        assert server.tree() == before and leftovers(server) == [], f"point {point}"
        assert server.archive(backup).exists()
    assert deaths > min(total, len(points(total))) // 2


# ---- at random moments, without a shim ----

@pytest.mark.parametrize("delay_ms", [0, 20, 60, 150, 400])
def test_kill_during_a_backup(fresh, delay_ms):
    server = fresh.add_server({f"f{n}": os.urandom(400_000) for n in range(120)})
    backup = server.create().json()["attributes"]["uuid"]
    time.sleep(delay_ms / 1000)
    fresh.kill()
    fresh.start()
    view = server.wait(backup, SETTLE_S)
    fresh.wait_node_idle(SETTLE_S)
    assert server.stored() == ([f"{backup}.tar.gz"] if view["is_successful"] else [])
    if view["is_successful"]:
        fresh.run("archive", "verify", server.archive(backup))
    assert server.backup()["is_successful"]


@pytest.mark.parametrize("truncate", [True, False])
@pytest.mark.parametrize("delay_ms", [0, 20, 60, 150, 400])
def test_kill_during_a_restore(fresh, delay_ms, truncate):
    server = fresh.add_server({f"f{n}": os.urandom(200_000) for n in range(120)})
    backup = server.backup()["uuid"]
    old = server.tree()
    server.write({"f1": b"changed", "later": b"later"})
    new = server.tree()
    assert server.restore(backup, wait=False, truncate=truncate).status_code == 204
    time.sleep(delay_ms / 1000)
    fresh.kill()
    assert server.directory.exists()
    fresh.start()
    server.wait_restored(SETTLE_S)
    fresh.wait_node_idle(SETTLE_S)
    assert server.tree() in (new, old if truncate else {**old, "later": b"later"})
    assert leftovers(server) == []


def test_an_order_that_a_crash_swallowed_is_settled_within_seconds(fresh):
    """The row was committed, the node never heard of it: nobody may have to wait for a lease of minutes."""
    server = fresh.add_server()
    lost = server.put_backup("creating", created_s=0)
    fresh.kill()
    fresh.start()
    server.wait(lost, SETTLE_S)
    assert server.backup()["is_successful"]


def test_kill_while_the_queue_is_full(fresh):
    servers = [fresh.add_server({f"f{n}": os.urandom(300_000) for n in range(40)}) for _ in range(6)]
    made = [(server, server.create().json()["attributes"]["uuid"]) for server in servers]
    fresh.kill()
    fresh.start()
    for server, backup in made:
        view = server.wait(backup, 30)
        assert server.stored() == ([f"{backup}.tar.gz"] if view["is_successful"] else [])


def test_a_clean_stop_in_the_middle_is_taken_up_or_settled(fresh):
    server = fresh.add_server({f"f{n}": os.urandom(400_000) for n in range(150)})
    backup = server.create().json()["attributes"]["uuid"]
    fresh.restart()
    view = server.wait(backup, 30)
    assert server.stored() == ([f"{backup}.tar.gz"] if view["is_successful"] else [])


def test_two_programs_do_not_share_a_state_directory(fresh):
    done = fresh.run("serve", status=None)
    assert done.returncode != 0 and done.stderr
    assert fresh.add_server().backup()["is_successful"]
