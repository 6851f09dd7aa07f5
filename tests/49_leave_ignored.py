# SPDX-License-Identifier: Apache-2.0
"""Restores that leave alone what the ignore rules match: afterwards it is as it was live, whatever the backup has."""
import json
import os
import stat
import subprocess

import pytest

from expect import check
from foreign_node import foreign_node
from harness import program_env, wait_until

PATTERNS = "logs/\nplugins/dynmap\n*.tmp\n!keep.tmp\n"
FIRST = {"level": b"old", "keep.tmp": b"old", "plugins/a.jar": b"old", "logs/old.log": b"old", "plugins/dynmap/t0": b"old",
         "x.tmp": b"old"}
LATER = {"level": b"new", "keep.tmp": b"new", "plugins/a.jar": b"new", "logs/now.log": b"new",
         "logs/deep/er/1.log": b"new", "logs/empty": None, "plugins/dynmap/t1": b"new", "world/deep/y.tmp": b"new",
         "world/lost": b"new", "latest": "logs/now.log"}
IGNORED = ("logs/", "plugins/dynmap/", "x.tmp", "world/deep/y.tmp")


def left(tree):
    """What of the tree the patterns match."""
    return {path: content for path, content in tree.items() if path.startswith(IGNORED)}


@pytest.fixture(params=["listed", "before the list"])
def changed(server, request):
    """A server that changed since its backup, which was made with the list, or before there was one."""
    server.write(FIRST)
    if request.param == "listed":
        server.backup_uuid = server.backup(ignored=PATTERNS)["uuid"]
        server.ask = {"leave_ignored": True}
    else:
        server.backup_uuid = server.backup()["uuid"]
        server.ask = {"leave_ignored": True, "ignored": PATTERNS.split("\n")}
    server.write(LATER)
    (server.directory / "logs" / "old.log").unlink()
    return server


def attributes(root):
    """Of everything below: mode, owner, time."""
    found = {}
    for folder, names, files in os.walk(root):
        for path in [folder] + [os.path.join(folder, name) for name in names + files]:
            info = os.lstat(path)
            found[os.path.relpath(path, root)] = (info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns)
    return found


def undo(server):
    check(server.client().post(f"{server.api}/backups/restore/undo"), 204)
    server.wait_restored()


def last_error(server):
    return server.client().get(server.api).json()["attributes"]["last_restore"]["error"] or ""


def test_truncating_it_keeps_nothing_else(changed):
    before = changed.tree()
    old = {"level": b"old", "keep.tmp": b"old", "plugins/a.jar": b"old", "a.txt": before["a.txt"]}
    rest = {path: content for path, content in changed_files(changed).items() if path not in old}
    check(changed.restore(changed.backup_uuid, truncate=True, **changed.ask), 204)
    assert changed.tree() == {**rest, **old, **left(before)}
    assert "world/lost" not in changed.tree() and "latest" not in changed.tree()
    assert changed.beside() == []


def changed_files(server):
    """What the server's backup holds besides, which the tests did not write."""
    listed = server.roost.run("archive", "list", server.archive(server.backup_uuid)).stdout
    return {path: content for path, content in server.tree().items()
            if path in listed and not path.startswith(("logs", "plugins", "world", "latest")) and ".tmp" not in path}


def test_merging_it_replaces_what_is_not_ignored(changed):
    before = changed.tree()
    check(changed.restore(changed.backup_uuid, truncate=False, **changed.ask), 204)
    old = {"level": b"old", "keep.tmp": b"old", "plugins/a.jar": b"old"}
    assert changed.tree() == {**before, **old}


@pytest.mark.parametrize("truncate", [True, False])
def test_directories_keep_mode_owner_and_time(changed, truncate):
    backups = os.lstat(changed.directory / "logs").st_mode
    for number, name in enumerate(("logs/deep/er", "logs/deep", "logs", "plugins/dynmap", "world/deep", "world")):
        os.chmod(changed.directory / name, 0o701 + number)
        os.utime(changed.directory / name, ns=(0, 123_456_789_000 + number))
    before = {name: attributes(changed.directory / name) for name in ("logs/deep", "plugins/dynmap", "world/deep")}
    check(changed.restore(changed.backup_uuid, truncate=truncate, **changed.ask), 204)
    assert {name: attributes(changed.directory / name) for name in before} == before
    assert os.lstat(changed.directory / "logs").st_mode == backups  # "logs/" is what is in it
    assert os.lstat(changed.directory / "world").st_mode & 0o7777 == 0o706  # on the way, and not in the backup


@pytest.mark.parametrize("truncate", [True, False])
def test_an_undo_brings_everything_back(changed, truncate):
    before, owners = changed.tree(), attributes(changed.directory)
    check(changed.restore(changed.backup_uuid, truncate=truncate, **changed.ask), 204)
    after = changed.tree()
    assert after != before
    with open(changed.directory / "logs" / "now.log", "r+b") as file:
        file.write(b"X")  # what the game writes next goes to one of the two trees
    undo(changed)
    assert changed.tree() == before and attributes(changed.directory) == owners
    undo(changed)
    assert changed.tree() == {**after, "logs/now.log": b"Xew"}


def test_without_it_nothing_is_left_alone(server):
    server.write(FIRST)
    backup = server.backup(ignored=PATTERNS)["uuid"]
    server.write(LATER)
    check(server.restore(backup, truncate=True), 204)
    assert left(server.tree()) == {}
    check(server.restore(backup, truncate=True, leave_ignored=False), 204)


def test_an_own_list_stands_for_the_backups(server):
    server.write(FIRST)
    backup = server.backup(ignored="logs")["uuid"]
    server.write(LATER)
    check(server.restore(backup, truncate=True, leave_ignored=True, ignored="/world/, *.jar"), 204)
    tree = server.tree()
    assert tree["plugins/a.jar"] == b"new" and tree["world/lost"] == b"new" and "logs/now.log" not in tree


def write_rules(server, text):
    (server.directory / ".pteroignore").write_text(text)


def test_without_a_list_the_backups_own_pteroignore_and_the_live_one_count(server):
    server.write(FIRST)
    write_rules(server, "logs\n")
    backup = server.backup()["uuid"]
    server.write(LATER)
    write_rules(server, "!logs\nworld\n")  # each by itself
    check(server.restore(backup, truncate=True, leave_ignored=True), 204)
    tree = server.tree()
    assert tree["logs/now.log"] == b"new" and tree["world/lost"] == b"new"
    assert tree[".pteroignore"] == b"logs\n" and "plugins/dynmap/t1" not in tree and tree["level"] == b"old"
    (server.directory / ".pteroignore").unlink()
    server.write({"later": b"", "logs/later": b"new"})
    check(server.restore(backup, truncate=True, leave_ignored=True), 204)
    assert server.tree()["logs/later"] == b"new" and "later" not in server.tree()


@pytest.mark.parametrize("what", ["link", "long", "many"])
def test_a_pteroignore_that_is_none_has_no_effect(server, what):
    server.write(FIRST)
    backup = server.backup()["uuid"]
    server.write(LATER)
    path = server.directory / ".pteroignore"
    if what == "link":
        path.symlink_to("/etc/passwd")
    else:
        path.write_text("logs\n" * (10_000 if what == "long" else 300))
    check(server.restore(backup, truncate=True, leave_ignored=True), 204)
    assert "logs/now.log" not in server.tree() and server.tree()["level"] == b"old"
    assert f".pteroignore has no effect server={server.uuid}" in server.roost.log_text()


def test_of_selected_paths_too(server):
    server.write(FIRST)
    backup = server.backup(ignored=PATTERNS)["uuid"]
    server.write(LATER)
    before = server.tree()
    check(server.restore(backup, truncate=True, leave_ignored=True, files=["plugins"]), 204)
    assert server.tree() == {**before, "plugins/a.jar": b"old"}


def test_selected_paths_go_by_the_list_in_the_backup(server):
    """It is not among what is restored, and the live one is lost."""
    server.write({**FIRST, ".pteroignore": b"plugins/dynmap\n"})
    backup = server.backup()["uuid"]
    (server.directory / ".pteroignore").unlink()
    server.write({"plugins/dynmap/tile": b"mine", "plugins/a.jar": b"new"})
    check(server.restore(backup, truncate=True, leave_ignored=True, files=["plugins"]), 204)
    assert server.tree()["plugins/dynmap/tile"] == b"mine" and server.tree()["plugins/a.jar"] == b"old"


def test_links_out_of_it_stay_links(server, tmp_path):
    """An ignored path may be anything: what it leads to is nobody's business."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "now.log").write_bytes(b"outside")
    outside.chmod(0o751)
    before = attributes(outside)
    server.write(FIRST)
    backup = server.backup()["uuid"]
    for name in ("old.log",):
        (server.directory / "logs" / name).unlink()
    (server.directory / "logs").rmdir()
    (server.directory / "logs").symlink_to(outside)
    (server.directory / "way").symlink_to(outside)
    for truncate in (True, False):
        check(server.restore(backup, truncate=truncate, leave_ignored=True, ignored=["logs", "now.log"]), 204)
        assert os.readlink(server.directory / "logs") == str(outside)
        assert (server.directory / "way").is_symlink() == (not truncate)
        if truncate:
            (server.directory / "way").symlink_to(outside)
        assert attributes(outside) == before and (outside / "now.log").read_bytes() == b"outside"
        assert sorted(os.listdir(outside)) == ["now.log"]


def test_pipes_and_hard_links_stay_what_they_are(server):
    server.write({"logs/now.log": b"new", "level": b"old"})
    backup = server.backup(ignored="logs\n/fifo")["uuid"]
    os.mkfifo(server.directory / "fifo")
    os.link(server.directory / "logs/now.log", server.directory / "also.log")
    server.write({"level": b"new"})
    check(server.restore(backup, truncate=False, leave_ignored=True), 204)
    assert stat.S_ISFIFO(os.lstat(server.directory / "fifo").st_mode)
    assert os.stat(server.directory / "also.log").st_ino == os.stat(server.directory / "logs/now.log").st_ino
    assert (server.directory / "level").read_bytes() == b"old"
    (server.directory / "fifo").unlink()


@pytest.mark.parametrize("truncate", [True, False])
def test_what_cannot_be_both_is_an_error(server, truncate):
    (server.directory / "plugins").write_bytes(b"a file")
    (server.directory / "data").mkdir()
    (server.directory / "data" / "x").write_bytes(b"x")
    backup = server.backup()["uuid"]
    (server.directory / "plugins").unlink()
    server.write({"plugins/dynmap/tile": b"new", "level": b"new"})
    before = server.tree()
    check(server.restore(backup, truncate=truncate, leave_ignored=True, ignored="dynmap"), 204)
    assert server.tree() == before and server.beside() == []
    assert "'plugins/dynmap' is left alone, and 'plugins' no directory in the backup" in last_error(server)
    (server.directory / "data" / "x").unlink()
    (server.directory / "data").rmdir()
    server.write({"data": b"new"})
    before = server.tree()
    check(server.restore(backup, truncate=truncate, leave_ignored=True, ignored=["data", "!x"]), 204)
    assert server.tree() == before and server.status() is None
    assert "'data' is left alone, and a directory in the backup" in last_error(server)
    check(server.restore(backup, truncate=truncate, leave_ignored=True, ignored="level"), 204)
    assert server.tree()["plugins"] == b"a file" and server.tree()["level"] == b"new"


REFUSED = [({"leave_ignored": "maybe"}, 422, "leave_ignored"), ({"ignored": ["a"]}, 422, "ignored"),
           ({"leave_ignored": True, "ignored": 5}, 422, "ignored"),
           ({"leave_ignored": True, "ignored": ["a", 5]}, 422, "ignored.1"),
           ({"leave_ignored": True, "ignored": ["x" * 40_000]}, 422, "ignored"),
           ({"leave_ignored": True, "ignored": ["a"] * 257}, 400, None),
           ({"leave_ignored": True, "ignored": ["*a" * 17]}, 400, None)]


@pytest.mark.parametrize("body,code,field", REFUSED, ids=[f"{code}-{field}-{number}" for number, (_, code, field)
                                                        in enumerate(REFUSED)])
def test_limits_are_those_of_backups(server, body, code, field):
    backup = server.backup()["uuid"]
    before = server.tree()
    answer = server.restore(backup, **body)
    check(answer, code)
    if field:
        assert answer.json()["errors"][0]["meta"]["source_field"] == field
    assert server.tree() == before and server.status() is None


def test_the_node_refuses_what_is_no_order(server):
    backup = server.backup()["uuid"]
    path = f"/api/servers/{server.uuid}/backup/{backup}/restore"
    order = {"adapter": "wings", "truncate_directory": True}
    for wrong in ({"leave_ignored": 1}, {"leave_ignored": True, "ignore": ["a"]},
                  {"leave_ignored": True, "ignore": "a\n" * 300}, {"leave_ignored": True, "ignore": "x" * 40_000}):
        check(server.roost.node_client().post(path, json={**order, **wrong}), 400)
    assert server.status() is None


def test_a_foreign_panels_list_is_read_for_what_it_is(server):
    """Rows may hold anything: what is no list of lines leaves nothing alone."""
    backup = server.backup()["uuid"]
    for text, stays in (('["logs","x\\nworld"]', True), ("", False), ("logs", False), ('{"a":1}', False), ("[1]", False)):
        server.write({"logs/a": b"", "world/b": b""})
        server.roost.sql("UPDATE backups SET ignored_files = ? WHERE uuid = ?", text, backup)
        check(server.restore(backup, truncate=True, leave_ignored=True), 204)
        assert ("logs/a" in server.tree(), "world/b" in server.tree()) == (stays, stays)


def test_in_mode_git_rules_are_gits(make):
    roost = make({"node.ignore_mode": "git"})
    server = roost.add_server(files=FIRST)
    backup = server.backup(ignored="/logs\n!keep.log\nplugins/*\n!plugins/a.jar\n")["uuid"]
    server.write({**LATER, "logs/keep.log": b"new", "world/logs/lost": b"new"})
    check(server.restore(backup, truncate=True, leave_ignored=True), 204)
    tree = server.tree()
    assert tree["logs/keep.log"] == b"new"  # nothing is taken back below a directory that is left out
    assert tree["plugins/dynmap/t1"] == b"new" and tree["plugins/a.jar"] == b"old"
    assert "world/logs/lost" not in tree and tree["x.tmp"] == b"old"
    roost.stop()


@pytest.mark.parametrize("way", ["entries", "directory"])
def test_both_ways_to_exchange(make, way):
    roost = make({"restore.exchange": way, "restore.keep": "0"})
    server = roost.add_server(files=FIRST)
    backup = server.backup(ignored=PATTERNS)["uuid"]
    server.write(LATER)
    inode = os.stat(server.directory / "logs" / "now.log").st_ino
    before = server.tree()
    check(server.restore(backup, truncate=True, leave_ignored=True), 204)
    assert left(server.tree()) == left(before) and "world/lost" not in server.tree()
    assert os.stat(server.directory / "logs" / "now.log").st_ino == inode  # it was not copied
    roost.stop()


def test_a_crash_leaves_one_or_the_other(make):
    """The order outlives the process; a restore that had not come to its end is reported as failed."""
    roost = make()
    server = roost.add_server(files={**FIRST, **{f"f{number}": os.urandom(30_000) for number in range(300)}})
    backup = server.backup(ignored=PATTERNS)["uuid"]
    server.write(LATER)
    before = server.tree()
    check(server.restore(backup, wait=False, truncate=True, leave_ignored=True), 204)
    orders = roost.node_rows("jobs")
    roost.kill()
    assert not orders or json.loads(orders[0]["request"])["ignore"] == PATTERNS
    roost.start()
    wait_until("the restore to end", lambda: server.status() is None)
    assert left(server.tree()) == left(before)
    assert server.tree() == before or "world/lost" not in server.tree()
    roost.stop()


def test_a_node_that_cannot_is_not_asked(server):
    """It would pass over the field and remove what is to stay."""
    server.write(FIRST)
    backup = server.backup(ignored=PATTERNS)["uuid"]
    before = server.tree()
    with foreign_node(server.roost) as wings:
        for wings.features in (None, [], ["files"], ["files", "leave"]):
            answer = server.restore(backup, leave_ignored=True)
            check(answer, 400)
            assert "cannot leave ignored paths alone" in answer.json()["errors"][0]["detail"]
        assert wings.asked == ["GET /api/system"] * 4
    assert server.tree() == before and server.status() is None
    assert "leave_ignored" in server.roost.node_client().get("/api/system").json()["features"]


def test_the_command_line(server):
    server.write(FIRST)
    backup = server.backup(ignored=PATTERNS)["uuid"]
    server.write(LATER)
    before = server.tree()
    run = server.roost.run
    key = {"ROOST_API_KEY": server.key}
    assert "--leave-ignored" in run("backup", "restore", server.uuid, backup, "--ignore", "a", env=key, status=2).stderr
    run("backup", "restore", server.uuid, backup, "--leave-ignored", "--wait", env=key)
    assert left(server.tree()) == left(before) and "world/lost" not in server.tree()
    run("backup", "restore", server.uuid, backup, "--leave-ignored", "-i", "plugins", "-i", "/keep.tmp", "--wait", env=key)
    assert "logs/now.log" not in server.tree() and server.tree()["plugins/dynmap/t1"] == b"new"
