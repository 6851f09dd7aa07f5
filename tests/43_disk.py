# SPDX-License-Identifier: Apache-2.0
"""A full disk: the job fails with words, nothing is left, and with space it works again."""
import os

import pytest

from harness import write_tree

pytestmark = pytest.mark.root


def test_a_backup_on_a_full_store_fails_and_leaves_nothing(small_disk):
    server = small_disk.add_server({"noise": os.urandom(6_000_000)})
    good = server.backup()["uuid"]
    small_disk.disk.fill(2_000_000)
    answer = server.create()
    if answer.status_code == 200:  # the estimate was hopeful; then the write finds out
        failed = server.wait(answer.json()["attributes"]["uuid"])
        assert not failed["is_successful"] and failed["checksum"] is None
    else:
        assert answer.status_code == 507
    assert server.stored() == [f"{good}.tar.gz"]
    small_disk.disk.unfill()
    assert server.backup()["is_successful"]


def test_a_disk_that_fills_up_while_it_is_written(small_disk):
    """More than fits, but holes and zeros make the estimate small."""
    server = small_disk.add_server({f"noise{n}": os.urandom(1_000_000) for n in range(60)})
    answer = server.create()
    if answer.status_code == 200:
        assert not server.wait(answer.json()["attributes"]["uuid"])["is_successful"]
    assert server.stored() == []
    assert os.statvfs(small_disk.disk.path).f_bavail > 0


def test_a_restore_onto_a_full_disk_leaves_the_tree(make, make_disk):
    disk = make_disk(24)
    roost = make()
    server = roost.add_server()
    write_tree(disk.path / "world", {"big": os.urandom(8_000_000), "small": b"small"})
    roost.attach(server, disk.path / "world")
    backup = server.backup()["uuid"]
    (server.directory / "big").write_bytes(b"changed")
    before = server.tree()
    disk.fill(3_000_000)
    for truncate in (True, False):
        answer = server.restore(backup, truncate=truncate)
        assert answer.status_code in (204, 507)
        assert server.tree() == before
        assert server.beside() == ["filler"]
        assert server.status() is None
    disk.unfill()
    server.restore(backup)
    assert len(server.tree()["big"]) == 8_000_000
    roost.stop()


def test_a_full_state_directory_loses_no_promise(make, make_disk):
    """The journal cannot be written: orders are refused, and what was there stays."""
    disk = make_disk(16)
    roost = make({"node.state_directory": str(disk.path / "state")}, start=False)
    roost.journal = disk.path / "state" / "node.db"
    roost.start()
    server = roost.add_server()
    good = server.backup()["uuid"]
    disk.fill()
    answers = [server.create().status_code for _ in range(3)]
    disk.unfill()
    for status in answers:
        assert status in (200, 409, 500, 502, 503, 504, 507)
    for view in server.list()["data"]:
        done = server.wait(view["attributes"]["uuid"], 60)
        if done["is_successful"]:
            roost.run("archive", "verify", server.archive(done["uuid"]))
    assert f"{good}.tar.gz" in server.stored()
    assert server.backup()["is_successful"]
    roost.stop()


def test_a_directory_that_is_a_mount_point_is_not_exchanged_but_not_lost(make, make_disk):
    disk = make_disk(24)
    roost = make()
    server = roost.add_server()
    write_tree(disk.path, {"a": b"a"})
    roost.attach(server, disk.path)
    backup = server.backup()["uuid"]
    (disk.path / "a").write_bytes(b"changed")
    server.restore(backup)
    assert server.tree()["a"] in (b"a", b"changed") and server.status() is None
    roost.stop()
