# SPDX-License-Identifier: Apache-2.0
"""A restore that fails leaves everything as it was, says so, and can be tried again."""
import functools
import io
import os
import tarfile
import threading

import pytest

from expect import TIME, check
from foreign_node import foreign_node
from harness import wait_until


def damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "one byte in the middle":
        data[len(data) // 2] ^= 0x01
    elif how == "one byte of the head":
        data[3] ^= 0xFF
    elif how == "one byte of the end":
        data[-3] ^= 0xFF
    elif how == "truncated":
        del data[len(data) // 2:]
    elif how == "the last byte missing":
        del data[-1:]
    elif how == "empty":
        data = bytearray()
    elif how == "something else":
        data = bytearray(b"<?xml version='1.0'?><Error/>" * 50)
    elif how == "something behind":
        data += b"x" * 100
    path.write_bytes(data)


DAMAGE = ["one byte in the middle", "one byte of the head", "one byte of the end", "truncated", "the last byte missing",
          "empty", "something else", "something behind"]


@pytest.mark.parametrize("truncate", [True, False])
@pytest.mark.parametrize("how", DAMAGE)
def test_a_corrupt_archive_changes_nothing(server, how, truncate):
    server.write({"noise": os.urandom(500_000)})
    backup = server.backup()["uuid"]
    server.write({"a.txt": b"newer", "later": b"later"})
    before = server.tree()
    damage(server.archive(backup), how)
    check(server.restore(backup, truncate=truncate), 204)
    assert server.tree() == before and server.beside() == []
    assert server.status() is None
    server.roost.wait_node_idle()


@pytest.mark.parametrize("truncate", [True, False])
def test_a_missing_archive_is_known_before_anything_is_touched(server, truncate):
    backup = server.backup()["uuid"]
    before = server.tree()
    server.archive(backup).unlink()
    answer = server.restore(backup, truncate=truncate)
    assert answer.status_code == 404, answer.text
    assert answer.json()["errors"][0]["code"] == "DaemonConnectionException"
    assert server.tree() == before and server.status() is None


def test_a_failed_restore_is_on_the_record(server):
    backup = server.backup()["uuid"]
    damage(server.archive(backup), "truncated")
    server.restore(backup)
    events = [row["event"] for row in server.roost.rows(
        "SELECT event FROM activity_logs l JOIN activity_log_subjects s ON s.activity_log_id = l.id "
        "WHERE s.subject_type = 'server' AND s.subject_id = ? ORDER BY l.id", server.id)]
    assert events[-2:] == ["server:backup.restore", "server:backup.restore-failed"]


def test_a_server_tells_how_its_last_restore_ended(server):
    def last():
        return server.client().get(server.api).json()["attributes"]["last_restore"]
    assert last() is None
    good, bad = server.backup()["uuid"], server.backup()["uuid"]
    damage(server.archive(bad), "truncated")
    damaged = "the archive is damaged: it is not what was stored"
    for backup, outcome, error in ((good, True, None), (bad, False, damaged), (good, True, None)):
        server.restore(backup)
        found = last()
        assert TIME.fullmatch(found.pop("completed_at"))
        assert TIME.fullmatch(found.pop("kept_until"))
        assert found == {"backup": backup, "is_undo": False, "is_successful": outcome, "error": error}


def test_after_a_failed_restore_a_good_one_works(server):
    backup, good = server.backup()["uuid"], server.backup()["uuid"]
    before = server.tree()
    damage(server.archive(backup), "truncated")
    server.write({"a.txt": b"changed"})
    server.restore(backup)
    assert server.tree()["a.txt"] == b"changed"
    server.restore(good)
    assert server.tree() == before


@pytest.mark.parametrize("truncate", [True, False])
def test_the_servers_disk_limit_holds(server, truncate):
    """As Wings counts: MiB of the server's own limit, 0 is none."""
    server.write({"big": os.urandom(3 << 20)})
    backup = server.backup()["uuid"]
    (server.directory / "big").unlink()
    before = server.tree()
    server.set(disk=2)
    server.roost.node_client().post(f"/api/servers/{server.uuid}/sync")
    server.restore(backup, truncate=truncate)
    assert server.tree() == before and server.beside() == [] and server.status() is None
    server.set(disk=64)
    server.roost.node_client().post(f"/api/servers/{server.uuid}/sync")
    server.restore(backup, truncate=truncate)
    assert "big" in server.tree()


def test_the_directory_is_old_or_new_at_every_moment(make):
    """Somebody reads while the restore goes on: both files are always of the same state."""
    server = make({"restore.exchange": "directory", "restore.keep": "0"}).add_server()
    files = {f"f{number}": b"old" * 30000 for number in range(60)}
    server.write(files)
    backup = server.backup()["uuid"]
    server.write({name: b"new" * 30000 for name in files})
    mixed, stop, looking = [], threading.Event(), threading.Lock()

    def look():
        """The states of three files of one directory; more than one is a mix."""
        states = set()
        with looking:
            fd = os.open(server.directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                for name in ("f0", "f30", "f59"):
                    with open(os.open(name, os.O_RDONLY, dir_fd=fd), "rb") as file:
                        states.add(file.read(3))
            except FileNotFoundError:
                pass  # of the old tree, which is taken down after the exchange
            finally:
                os.close(fd)
        return states

    def watch():
        while not stop.is_set():
            try:
                states = look()
            except FileNotFoundError:
                states = ("no directory",) * 2
            if len(states) > 1:
                mixed.append(states)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(5):
        server.restore(backup)
        with looking:
            server.write({name: b"new" * 30000 for name in files})
    stop.set()
    watcher.join()
    assert not mixed, mixed[:3]


def test_truncate_false_keeps_what_others_wrote_and_replaces_types(server):
    server.write({"file": b"file", "dir/x": b"x", "link": "a.txt"})
    backup = server.backup()["uuid"]
    for name in ("file", "link"):
        (server.directory / name).unlink()
    server.write({"file/now-a-directory": b"1", "link/too": b"2", "dir/y": b"y", "other/z": b"z"})
    server.restore(backup, truncate=False)
    tree = server.tree()
    assert tree["file"] == b"file" and tree["link"] == "a.txt"
    assert tree["dir/x"] == b"x" and tree["dir/y"] == b"y" and tree["other/z"] == b"z"


def test_a_directory_that_is_gone_is_made_anew(server):
    backup = server.backup()["uuid"]
    before = server.tree()
    aside = server.directory.with_name("aside")
    server.directory.rename(aside)
    server.restore(backup)
    assert server.tree() == before


def test_the_directory_keeps_its_own_mode_and_owner(server):
    os.chmod(server.directory, 0o770)
    if os.geteuid() == 0:
        os.chown(server.directory, 321, 654)
    before = server.directory.stat()
    server.restore(server.backup()["uuid"])
    after = server.directory.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")
def test_restored_files_can_belong_to_the_directorys_owner(make):
    roost = make({"node.restore_owner": "directory"})
    server = roost.add_server()
    os.chown(server.directory, 1000, 1001)
    server.restore(server.backup()["uuid"])
    st = (server.directory / "a.txt").stat()
    assert (st.st_uid, st.st_gid) == (1000, 1001)
    roost.stop()


def test_no_second_restore_or_backup_runs_into_the_first(server):
    server.write({f"f{n}": os.urandom(100_000) for n in range(100)})
    backup = server.backup()["uuid"]
    first = server.restore(backup, wait=False)
    second = server.restore(backup, wait=False)
    third = server.create()
    assert first.status_code == 204 and {second.status_code, third.status_code} <= {204, 200, 409}
    server.wait_restored()
    server.roost.wait_node_idle()
    assert server.beside() == []


# ---- hostile archives ----

def tar_bytes(*members):
    """A gzipped tar of (name, type, link or content); made by hand, so that nothing is cleaned up."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, value in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = value
                archive.addfile(info)
            elif kind == tarfile.REGTYPE:
                info.size = len(value)
                archive.addfile(info, io.BytesIO(value))
            else:
                if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
                    info.devmajor, info.devminor = 1, 3
                archive.addfile(info)
    return out.getvalue()


REG, SYM, LNK, DIR = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
HOSTILE = [
    ("dots", [("../escaped", REG, b"x")]),
    ("dots inside", [("a/../../escaped", REG, b"x")]),
    ("absolute", [("/escaped", REG, b"x")]),
    ("through a link", [("l", SYM, "OUTSIDE"), ("l/escaped", REG, b"x")]),
    ("through a relative link", [("l", SYM, "../.."), ("l/escaped", REG, b"x")]),
    ("through two links", [("a", SYM, "OUTSIDE"), ("b", SYM, "a"), ("b/escaped", REG, b"x")]),
    ("over a link", [("l", SYM, "OUTSIDE/victim"), ("l", REG, b"x")]),
    ("hard link to the host", [("h", LNK, "OUTSIDE/victim"), ("h", REG, b"x")]),
    ("hard link with dots", [("h", LNK, "../../../OUTSIDE/victim")]),
    ("hard link through a link", [("l", SYM, "OUTSIDE"), ("h", LNK, "l/victim"), ("h", REG, b"x")]),
    ("directory over a link", [("l", SYM, "OUTSIDE"), ("l", DIR, None), ("l/escaped", REG, b"x")]),
    ("devices", [("null", tarfile.CHRTYPE, None), ("disk", tarfile.BLKTYPE, None), ("pipe", tarfile.FIFOTYPE, None)]),
    ("deep", [("/".join(["d"] * 3000) + "/f", REG, b"x")]),
    ("long name", [("n" * 5000, REG, b"x")]),
    ("nul", [("a\0b", REG, b"x")]),
    ("empty name", [("", REG, b"x")]),
    ("stage name", [(".roost-stage-x/../../escaped", REG, b"x")]),
    ("link over the root", [(".", SYM, "OUTSIDE"), ("escaped", REG, b"x")]),
    ("file over the root", [(".", REG, b"x")]),
]


@pytest.mark.parametrize("truncate", [True, False])
@pytest.mark.parametrize("name,members", HOSTILE, ids=[h[0] for h in HOSTILE])
def test_a_hostile_archive_stays_inside(server, tmp_path, name, members, truncate):
    """Put on disk with a digest that is right: the archive itself must not be trusted."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"victim")
    backup = server.backup()["uuid"]
    server.put_archive(backup, tar_bytes(*[(n, k, v.replace("OUTSIDE", str(outside)) if isinstance(v, str) else v)
                                            for n, k, v in members]))
    before = server.tree()
    server.restore(backup, truncate=truncate)
    server.roost.wait_node_idle()
    assert os.listdir(outside) == ["victim"] and (outside / "victim").read_bytes() == b"victim"
    assert (outside / "victim").stat().st_nlink == 1
    assert server.beside() == []
    assert not any((server.directory.parent / x).exists() for x in ("escaped", "../escaped"))
    after = server.tree()
    assert server.directory.is_dir() and not server.directory.is_symlink()
    if after != before:
        for path in server.directory.rglob("*"):
            mode = path.lstat().st_mode
            assert os.path.stat.S_ISREG(mode) or os.path.stat.S_ISDIR(mode) or os.path.stat.S_ISLNK(mode)


def bomb(gigabytes):
    """Zeros beyond measure in a small file."""
    import gzip
    out = io.BytesIO()
    head = tarfile.TarInfo("zeros")
    head.size = gigabytes << 30
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as packed:
        packed.write(head.tobuf(tarfile.GNU_FORMAT))
    block = gzip.compress(b"\0" * (64 << 20), 9)
    return out.getvalue() + block * (gigabytes * 16)


@pytest.mark.slow
def test_a_bomb_meets_the_disk_limit(server):
    backup = server.backup()["uuid"]
    server.put_archive(backup, bomb(3))
    before = server.tree()
    server.set(disk=50)
    server.roost.node_client().post(f"/api/servers/{server.uuid}/sync")
    peak = server.roost.program.memory_kib()
    server.restore(backup)
    assert server.tree() == before and server.beside() == []
    assert server.roost.program.memory_kib() - peak < 32 * 1024


def test_a_cancelled_job_leaves_nothing(server):
    """Deleting while it is made is refused; deleting all on the node cancels."""
    server.write({f"f{n}": os.urandom(1_000_000) for n in range(60)})
    backup = server.create().json()["attributes"]["uuid"]
    server.roost.node_client().delete(f"/api/servers/{server.uuid}/deleteAllBackups")
    wait_until("the job to end", lambda: not server.roost.node_rows("jobs"))
    server.roost.wait_node_idle()
    names = server.stored()
    assert names in ([], [f"{backup}.tar.gz"])
    if server.view(backup)["completed_at"] and not server.view(backup)["is_successful"]:
        assert names == []


# ---- selections ----

WORLD = {"world/level.dat": b"old", "world/region/r.0.0.mca": b"old", "world/region/r.1.0.mca": b"old",
         "world/session.lock": b"old", "plugins/Essentials/config.yml": b"old", "plugins/other.jar": b"old",
         "server.properties": b"old"}
CHANGED = {"world/level.dat": b"new", "world/region/r.0.0.mca": b"new", "world/region/r.9.9.mca": b"new",
           "world/session.lock": b"new", "plugins/Essentials/config.yml": b"new", "server.properties": b"new"}


@pytest.fixture
def changed(roost):
    """A server with a backup of WORLD that looks otherwise now."""
    server = roost.add_server(WORLD)
    backup = server.backup()["uuid"]
    server.write(CHANGED)
    (server.directory / "world/region/r.1.0.mca").unlink()
    os.chmod(server.directory / "world", 0o710)
    return server, backup


def last_error(server):
    return server.client().get(server.api).json()["attributes"]["last_restore"]["error"]


@pytest.mark.parametrize("files", [["world/level.dat", "world/region"], ["/world/level.dat", "//world/region/"],
                                   ["world/region/r.0.0.mca", "world/region", "./world/level.dat", "world/level.dat"]])
@pytest.mark.parametrize("truncate", [True, False])
def test_only_what_is_selected_is_restored(changed, truncate, files):
    server, backup = changed
    wanted = dict(server.tree(), **{"world/level.dat": b"old", "world/region/r.0.0.mca": b"old",
                                    "world/region/r.1.0.mca": b"old"})
    if truncate:
        del wanted["world/region/r.9.9.mca"]
    untouched = server.directory / "server.properties"
    before = untouched.stat().st_ino
    check(server.restore(backup, truncate=truncate, files=files), 204)
    assert server.tree() == wanted and server.beside() == []
    assert untouched.stat().st_ino == before
    assert (server.directory / "world").stat().st_mode & 0o7777 == 0o710


def test_the_root_selects_everything(changed):
    server, backup = changed
    check(server.restore(backup, files=["/", "world/level.dat"]), 204)
    assert server.tree() == read_tree_of(WORLD, server)


def read_tree_of(files, server):
    """What tree() would tell of a directory with these files."""
    other = server.roost.add_server(files)
    return other.tree()


@pytest.mark.parametrize("truncate", [True, False])
def test_what_is_not_in_the_backup_fails_before_anything_is_touched(changed, truncate):
    server, backup = changed
    before = server.tree()
    check(server.restore(backup, truncate=truncate, files=["world/level.dat", "world/nothing"]), 204)
    assert server.tree() == before and server.beside() == [] and server.status() is None
    assert "'world/nothing' is not in the backup" in last_error(server)


def test_a_link_on_the_way_is_not_lost(changed, base):
    server, backup = changed
    os.rename(server.directory / "world", server.directory / "elsewhere")
    os.symlink("elsewhere", server.directory / "world")
    before = server.tree()
    check(server.restore(backup, files=["world/level.dat"]), 204)
    assert server.tree() == before and server.beside() == []
    assert "'world' is no directory there" in last_error(server)


VIOLATIONS = [("world", "files", "array"), ([], "files", "array"), ({}, "files", "array"), ([1], "files.0", "path"),
              (["a", "../b"], "files.1", "path"), (["a/../../etc"], "files.0", "path"), (["a\0b"], None, None),
              (["x" * 4097], "files.0", "path"), (["x" * 256], "files.0", "path"), (["a"] * 1001, "files", "array")]


@pytest.mark.parametrize("files,field,rule", VIOLATIONS, ids=[repr(files)[:24] for files, _, _ in VIOLATIONS])
def test_a_selection_that_makes_no_sense_is_refused(changed, files, field, rule):
    server, backup = changed
    before = server.tree()
    answer = server.restore(backup, files=files)
    if field is None:
        check(answer, 400)
    else:
        check(answer, 422)
        assert answer.json()["errors"][0]["meta"] == {"source_field": field, "rule": rule}
    assert server.tree() == before and server.status() is None


def test_wings_is_not_asked_to_select(changed, make):
    """It would pass over the field and restore everything."""
    server, backup = changed
    before = server.tree()
    with foreign_node(server.roost) as wings:
        answer = server.restore(backup, files=["world"])
        check(answer, 400)
        assert "as a whole" in answer.json()["errors"][0]["detail"]
        assert wings.asked == ["GET /api/system"]
    assert server.tree() == before and server.status() is None


def test_a_second_name_of_what_is_not_selected_is_a_file(roost):
    server = roost.add_server({"a/file": b"old"})
    os.link(server.directory / "a/file", server.directory / "b")
    backup = server.backup()["uuid"]
    (server.directory / "b").unlink()
    server.write({"a/file": b"new"})
    check(server.restore(backup, files=["b"]), 204)
    tree = server.tree()
    assert tree["b"] == b"old" and tree["a/file"] == b"new"
    check(server.restore(backup, files=["a", "b"]), 204)
    assert (server.directory / "b").stat().st_ino == (server.directory / "a/file").stat().st_ino


def test_the_command_line_selects(changed):
    server, backup = changed
    env = {"ROOST_API_KEY": server.key, "ROOST_URL": server.roost.url}
    run = functools.partial(server.roost.run, env=env)
    run("backup", "restore", server.uuid, backup, "--only", "world/level.dat", "--only", "/plugins/", "--wait")
    tree = server.tree()
    assert tree["world/level.dat"] == b"old" and tree["plugins/Essentials/config.yml"] == b"old"
    assert tree["server.properties"] == b"new" and tree["world/region/r.9.9.mca"] == b"new"
    failed = run("backup", "restore", server.uuid, backup, "--only", "nothing", "--wait", status=1)
    assert "'nothing' is not in the backup" in failed.stderr
    assert "'..'" in run("backup", "restore", server.uuid, backup, "--only", "../x", status=2).stderr
