# SPDX-License-Identifier: Apache-2.0
"""What a restore replaced: kept, shown, brought back, and gone when its time is over, at the front door."""
import os
import re
import shutil
import threading

import pytest

from harness import CLASSIC, EXTENDED, wait_until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
OLD = {"a.txt": b"one", "d/b": b"b" * 100_000, "link": "a.txt"}
NEW = {"a.txt": b"two", "later": b"later"}


@pytest.fixture(scope="module", params=["directory", "entries"])
def roost(make, request):
    """As in conftest.py, once for each way to exchange."""
    roost = make({"restore.exchange": request.param})
    yield roost
    roost.stop()


@pytest.fixture
def restored(server):
    """A server whose tree was NEW, and is OLD by a restore; with the backup."""
    server.write(OLD)
    server.old = server.tree()
    server.good = server.backup()["uuid"]
    (server.directory / "link").unlink()
    server.write(NEW)
    server.new = server.tree()
    assert server.restore(server.good, truncate=True).status_code == 204
    assert server.tree() == server.old
    return server


def undo(server, accept=CLASSIC, key=None, wait=True):
    answer = server.client(accept, key).post(f"{server.api}/backups/restore/undo")
    if wait and answer.status_code in (202, 204):
        server.wait_restored()
    return answer


def last(server):
    return server.client().get(server.api).json()["attributes"]["last_restore"]


def kept(server):
    """Names of kept trees beside the server's directory."""
    return [name for name in os.listdir(server.directory.parent) if name.startswith(".roost-kept-")]


def events(server):
    return [row["event"] for row in server.roost.rows(
        "SELECT event FROM activity_logs l JOIN activity_log_subjects s ON s.activity_log_id = l.id "
        "WHERE s.subject_type = 'server' AND s.subject_id = ? ORDER BY l.id", server.id)]


def test_an_undo_brings_everything_back_and_can_be_undone(restored):
    for wanted in (restored.new, restored.old, restored.new):
        assert undo(restored).status_code == 204
        assert restored.tree() == wanted
        found = last(restored)
        assert TIME.fullmatch(found.pop("completed_at")) and TIME.fullmatch(found.pop("kept_until"))
        assert found == {"backup": restored.good, "is_undo": True, "is_successful": True, "error": None}
        assert len(kept(restored)) == 1 and restored.beside() == []
    assert events(restored)[-2:] == ["server:backup.restore-undo", "server:backup.restore-undo-complete"]


def test_the_extended_dialect_answers_202(restored):
    assert undo(restored, EXTENDED).status_code == 202
    assert restored.tree() == restored.new


def test_without_a_restore_there_is_nothing_to_undo(server):
    for accept in (CLASSIC, EXTENDED):
        answer = undo(server, accept)
        assert answer.status_code == 404
        error = answer.json()["errors"][0]
        assert error["status"] == "404" and "could be undone" in error["detail"]
    assert server.status() is None and last(server) is None
    assert undo(server, wait=False).status_code == 404  # nothing stays in its way


def test_a_404_leaves_what_is_known_of_the_last_restore(restored):
    assert undo(restored).status_code == 204
    before = last(restored)
    restored.roost.sql("DELETE FROM kept WHERE server = ?", restored.uuid, path=restored.roost.journal)
    assert undo(restored).status_code == 404
    assert last(restored) == before and restored.status() is None
    assert events(restored)[-1] == "server:backup.restore-undo-failed"


def test_after_single_files_an_undo_says_why_there_is_none(restored):
    """What a restore of everything before it replaced is not what one would undo, and is not kept either."""
    restored.write({"a.txt": b"three"})
    restored.restore(restored.good, files=["a.txt"])
    before = last(restored)
    assert before["is_successful"] and before["kept_until"] is None and kept(restored) == []
    for accept in (CLASSIC, EXTENDED):
        answer = undo(restored, accept)
        assert answer.status_code == 404
        detail = answer.json()["errors"][0]["detail"]
        assert "single files" in detail and "from another backup" in detail
        assert last(restored) == before and restored.status() is None
    env = {"ROOST_URL": restored.roost.url, "ROOST_API_KEY": restored.key}
    assert "single files" in restored.roost.run("restore", "undo", restored.uuid, status=1, env=env).stderr
    assert restored.tree() == restored.old

    # One that failed took nothing away; one of everything can be undone again.
    restored.write({"a.txt": b"four"})
    restored.restore(restored.good)
    restored.restore(restored.good, files=["is/not/there"])
    assert not last(restored)["is_successful"] and undo(restored).status_code == 204
    assert restored.tree()["a.txt"] == b"four"


def test_the_kept_tree_is_in_no_backup_and_no_business_of_the_tenants(restored):
    box = restored.directory.parent / kept(restored)[0]
    assert box.stat().st_mode & 0o7777 == 0o700
    backup = restored.backup()
    assert backup["is_successful"]
    listed = restored.roost.run("archive", "list", restored.archive(backup["uuid"])).stdout
    assert "roost" not in listed and "later" not in listed


def test_the_backup_may_be_gone(restored):
    assert restored.client().delete(f"{restored.api}/backups/{restored.good}").status_code == 204
    assert undo(restored).status_code == 204
    assert restored.tree() == restored.new and last(restored)["is_successful"]


def test_after_a_merge_the_kept_tree_is_what_it_was(restored):
    """What stays live is in both trees: the game's next write goes to one of them."""
    restored.write({"world": b"w" * 70_000})
    before = restored.tree()
    restored.restore(restored.good, truncate=False)
    with open(restored.directory / "world", "r+b") as file:
        file.write(b"X")
    after = restored.tree()
    undo(restored)
    assert restored.tree() == before
    undo(restored)
    assert restored.tree() == after


def test_only_who_may_restore_may_undo(restored):
    may_not = restored.roost.add_subuser(restored, ["backup.read", "backup.create", "backup.delete"])
    assert undo(restored, key=may_not).status_code == 403
    assert undo(restored, key=restored.roost.add_user(f"stranger{restored.id}").key).status_code == 404
    assert restored.tree() == restored.old
    assert undo(restored, key=restored.roost.add_subuser(restored, ["backup.restore"])).status_code == 204
    assert restored.tree() == restored.new


@pytest.mark.parametrize("status,code", [("suspended", 409), ("installing", 409), ("restoring_backup", 409),
                                         ("reinstall_failed", 400)])
def test_states_forbid_it_as_they_forbid_a_restore(restored, status, code):
    restored.set(status=status)
    assert undo(restored, wait=False).status_code == code
    restored.set(status=None)
    assert undo(restored).status_code == 204


def test_one_at_a_time(restored):
    """Restores and undos of a server exclude each other; what loses says so."""
    answers = []

    def act(number):
        call = undo(restored, wait=False) if number % 2 else restored.restore(restored.good, wait=False)
        answers.append(call.status_code)

    threads = [threading.Thread(target=act, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    restored.wait_restored()
    assert set(answers) <= {204, 409, 400} and 204 in answers
    assert restored.tree() in (restored.old, restored.new)
    assert restored.beside() == [] and len(kept(restored)) == 1


def test_the_command_undoes_and_waits(restored):
    env = {"ROOST_URL": restored.roost.url, "ROOST_API_KEY": restored.key}
    restored.roost.run("restore", "undo", restored.short, "--wait", env=env)
    assert restored.tree() == restored.new
    restored.roost.sql("DELETE FROM kept WHERE server = ?", restored.uuid, path=restored.roost.journal)
    done = restored.roost.run("restore", "undo", restored.uuid, status=1, env=env)
    assert "could be undone" in done.stderr


def test_a_kept_tree_goes_when_its_time_is_over(make):
    server = make({"restore.keep": "2 s"}).add_server(OLD)
    good = server.backup()["uuid"]
    server.write(NEW)
    server.restore(good)
    assert len(kept(server)) == 1
    wait_until("its time to be over", lambda: not kept(server), 15)
    assert undo(server).status_code == 404
    assert last(server)["kept_until"] is None
    assert server.tree()["a.txt"] == b"one"


def test_zero_keeps_nothing_and_links_what_a_merge_leaves(make):
    server = make({"restore.keep": "0"}).add_server(OLD)
    good = server.backup()["uuid"]
    server.write(NEW)
    inode = (server.directory / "later").stat().st_ino
    server.restore(good, truncate=False)
    assert (server.directory / "later").stat().st_ino == inode
    assert last(server)["kept_until"] is None and kept(server) == [] and server.beside() == []


def test_a_kept_tree_makes_room_for_a_restore(make, make_disk):
    """Its own first, then others' on that disk; the tree that is live is never in danger."""
    disk = make_disk(50)
    roost = make()
    big = {"big": os.urandom(14 << 20)}
    servers = [roost.add_server(big) for _ in range(2)]
    for server in servers:
        elsewhere = disk.path / server.uuid
        server.directory.rename(disk.path.parent / f"moved-{server.uuid}")
        shutil.copytree(disk.path.parent / f"moved-{server.uuid}", elsewhere)
        roost.attach(server, elsewhere)
    backups = [server.backup()["uuid"] for server in servers]
    for _ in range(2):  # two live trees and a kept one, of 14 MiB each, on 50 MiB
        for server, backup in zip(servers, backups):
            server.restore(backup)
            assert last(server)["is_successful"], roost.log_text()[-3000:]
            assert server.tree() == big
            assert last(server)["kept_until"]
    assert "kept trees are removed to make room" in roost.log_text()
    wait_until("one kept tree to be left", lambda: len(roost.node_rows("kept")) == 1)


def test_a_mount_point_is_restored_and_undone(make, make_disk):
    disk = make_disk(32)
    server = make().add_server(OLD)
    for name, content in OLD.items():
        path = disk.path / name
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(content) if isinstance(content, str) else path.write_bytes(content)
    server.roost.attach(server, disk.path)
    before, inode = server.tree(), disk.path.stat().st_ino
    good = server.backup()["uuid"]
    server.write(NEW)
    changed = server.tree()
    server.restore(good, truncate=True)

    def tree():
        return {name: content for name, content in server.tree().items() if not name.startswith(".roost-")}
    wait_until("the replaced tree to get its name", lambda: any(
        name.startswith(".roost-kept-") for name in os.listdir(disk.path)))
    assert tree() == before and disk.path.stat().st_ino == inode
    backup = server.backup()["uuid"]
    assert "roost" not in server.roost.run("archive", "list", server.archive(backup)).stdout
    assert undo(server).status_code == 204
    assert tree() == changed
    server.restore(good, truncate=False)
    assert tree() == {**changed, **before}


def test_a_kept_tree_goes_with_its_directory(restored, tmp_path):
    before = restored.directory
    restored.roost.attach(restored, tmp_path)
    assert undo(restored).status_code == 404
    restored.roost.restart()
    restored.directory = before
    wait_until("the tree to go", lambda: not kept(restored))
