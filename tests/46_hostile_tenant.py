# SPDX-License-Identifier: Apache-2.0
"""A tenant who owns the server's directory, and more than that, against backups and restores of it."""
import contextlib
import gzip
import io
import os
import subprocess
import tarfile
import threading
import time

import pytest

from harness import SANITIZED, wait_until

SECRET = b"SECRET-OF-THE-HOST"
MEMORY_KIB = 64 * 1024


@pytest.fixture
def outside(tmp_path):
    """What a tenant would like to read, and to change."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "a.txt").write_bytes(SECRET * 100)
    return directory


@contextlib.contextmanager
def meanwhile(act):
    """Again and again in a thread; what is in the way at the moment does not matter."""
    stop = threading.Event()

    def loop():
        while not stop.is_set():
            with contextlib.suppress(OSError):
                act()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def stores_no_secret(server):
    for name in server.stored():
        with gzip.open(server.roost.backups / server.uuid / name) as plain:
            if SECRET in plain.read():
                return False
    return True


def outcome(server, timeout_s=None):
    """Whether a new backup succeeded."""
    return server.wait(server.create().json()["attributes"]["uuid"], timeout_s)["is_successful"]


def test_a_server_directory_that_became_a_link_is_neither_read_nor_replaced(roost, outside):
    """Its parent belongs to the tenant, too."""
    server = roost.add_server({"a.txt": b"mine"})
    good = server.backup()["uuid"]
    server.directory.rename(server.directory.with_name("aside"))
    server.directory.symlink_to(outside)
    assert not outcome(server)
    for truncate in (True, False):
        server.restore(good, truncate=truncate)
        assert server.directory.is_symlink()
    assert stores_no_secret(server)
    assert os.listdir(outside) == ["a.txt"]


def test_a_parent_that_became_a_link_is_not_followed(roost, outside):
    server = roost.add_server({"a.txt": b"mine"})
    good = server.backup()["uuid"]
    parent = server.directory.parent
    (outside / "world").mkdir()
    (outside / "world" / "a.txt").write_bytes(SECRET)
    parent.rename(parent.with_name(parent.name + ".aside"))
    parent.symlink_to(outside)
    assert not outcome(server)
    server.restore(good, truncate=True)
    assert stores_no_secret(server)
    assert sorted(os.listdir(outside)) == ["a.txt", "world"]
    assert (outside / "world" / "a.txt").read_bytes() == SECRET


@pytest.mark.parametrize("truncate", [True, False])
def test_a_server_directory_that_is_swapped_all_the_time(roost, outside, truncate):
    server = roost.add_server({"a.txt": b"mine", "d/b": b"b" * 50_000})
    good = server.backup()["uuid"]
    live, aside, link = (server.directory.with_name(name) for name in ("world", "aside", "link"))
    link.symlink_to(outside)

    def swap():
        live.rename(aside)
        link.rename(live)
        live.rename(link)
        aside.rename(live)

    with meanwhile(swap):
        for _ in range(10):
            outcome(server)
            server.restore(good, truncate=truncate)
    assert stores_no_secret(server)
    assert (outside / "a.txt").read_bytes() == SECRET * 100 and os.listdir(outside) == ["a.txt"]
    assert not [name for name in server.beside() if name.startswith(".roost-stage-")]


def test_names_that_change_their_type_all_the_time_do_not_hang_it(roost, outside):
    """A file, a FIFO, a link, a directory: whatever it is when it is opened."""
    server = roost.add_server({f"f{n}": b"x" * 2000 for n in range(300)})
    name = server.directory / "f150"

    def change():
        name.unlink()
        os.mkfifo(name)
        name.unlink()
        name.symlink_to(outside / "a.txt")
        name.unlink()
        name.mkdir()
        name.rmdir()
        name.write_bytes(b"y" * 1000)

    with meanwhile(change):
        assert all(outcome(server) for _ in range(15))
    assert stores_no_secret(server)


def test_a_tree_without_a_bottom_is_replaced_and_removed(roost):
    server = roost.add_server({"a.txt": b"mine"})
    good = server.backup()["uuid"]
    at = os.open(server.directory, os.O_RDONLY)
    for _ in range(10_000):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    try:
        assert server.backup()["is_successful"]
        server.restore(good, truncate=True)
        assert server.tree() == {"a.txt": b"mine"}
        wait_until("the old tree to go", lambda: server.beside() == [], 60)
    finally:  # pytest cannot remove such a tree
        subprocess.run(["rm", "-rf", *server.directory.parent.glob(".roost-*")], check=True)


@pytest.mark.skipif(SANITIZED, reason="measures the program, not the sanitizer")
@pytest.mark.slow
def test_memory_is_bounded_whatever_the_tree(fresh):
    """Names of 250 bytes, and files whose second names come last."""
    server = fresh.add_server({"a.txt": b"mine"})
    for folder in ("a", "b", "z"):
        (server.directory / folder).mkdir()
    for number in range(120_000):
        path = server.directory / "a" / f"{number:08}{'x' * 200}"
        path.touch()
        os.link(path, server.directory / "z" / f"{number:08}")
        (server.directory / "b" / f"{number:08}{'y' * 240}").touch()
    assert outcome(server, 180)
    assert fresh.program.memory_kib() < MEMORY_KIB


# ---- while a restore is at work ----

def state_of(directory):
    """Everything that a stranger could have changed in what is outside."""
    return sorted((str(path.relative_to(directory)), path.lstat().st_mode, path.lstat().st_uid, path.lstat().st_size,
                   path.lstat().st_mtime_ns, path.lstat().st_nlink) for path in [directory, *directory.rglob("*")])


@pytest.mark.parametrize("truncate", [True, False])
def test_links_that_are_planted_in_the_stage_lead_nowhere(fresh, outside, truncate):
    """S1, S2, S4: staged, merged, given modes and removed again while somebody swaps directories in it for links."""
    roost = fresh
    (outside / "d").mkdir(mode=0o700)
    (outside / "d" / "b").write_bytes(SECRET)
    (outside / "d" / "b").chmod(0o600)
    files = {f"{letter}/d/b{number}": b"b" * 3000 for letter in "pqrs" for number in range(40)}
    server = roost.add_server({**files, "a.txt": b"mine", "d/b": b"mine"})
    for path in server.directory.rglob("*"):
        path.chmod(0o777)
    good = server.backup()["uuid"]
    before = state_of(outside)
    parent, planted = server.directory.parent, []

    def plant():
        for stage in parent.glob(".roost-*"):
            for path in stage.rglob("*"):
                with contextlib.suppress(OSError):
                    target = outside if path.is_dir() else outside / "d" / "b"
                    path.rename(parent / f"aside{len(planted)}")
                    path.symlink_to(target)
                    planted.append(path)

    with meanwhile(plant):
        for _ in range(12):
            assert server.restore(good, truncate=truncate).status_code in (204, 409, 507)
            roost.wait_node_idle(60)
            if not server.directory.is_dir():  # its own doing: it moved the tree away
                server.write({"a.txt": b"mine"})
    assert planted, "nobody was in time"
    assert state_of(outside) == before
    for aside in parent.glob("aside*"):
        subprocess.run(["rm", "-rf", aside], check=True)


@pytest.mark.parametrize("body", [{"truncate": True}, {"truncate": False},
                                  {"truncate": True, "leave_ignored": True, "ignored": ["link", "0", "1*", "a.txt"]}],
                         ids=["True", "False", "leave_ignored"])
def test_links_in_the_live_tree_are_neither_merged_nor_emptied(roost, outside, body):
    """S1: a directory of the live tree that is a link, and then is none, while it is merged, replaced and removed."""
    server = roost.add_server({f"d/{number}": b"mine" for number in range(200)})
    good = server.backup()["uuid"]
    (outside / "kept").mkdir()
    (outside / "kept" / "0").write_bytes(SECRET)
    before = state_of(outside)

    def swap():
        link = server.directory / "link"
        link.symlink_to(outside)
        for name in ("d", "link"):
            (server.directory / name).rename(server.directory / "other")
            (server.directory / ("link" if name == "d" else "d")).rename(server.directory / name)
            (server.directory / "other").rename(server.directory / ("link" if name == "d" else "d"))
        link.unlink()

    with meanwhile(swap):
        for _ in range(12):
            server.restore(good, **body)
            roost.wait_node_idle(60)
    wait_until("replaced trees to go", lambda: not [n for n in server.beside() if n.startswith(".roost-")], 60)
    assert state_of(outside) == before


# ---- bombs ----

def header(name, size=0, kind=tarfile.REGTYPE, pax=None):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    info.pax_headers = pax or {}
    return info.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT)


def packed(head, block=b"", times=0, tail=b""):
    """Gzip of a head, a block so many times, and a tail."""
    out = io.BytesIO()
    out.write(gzip.compress(head, 1))
    if times:
        run = max(1, (4 << 20) // len(block))
        out.write(gzip.compress(block * run, 9) * (times // run))
    out.write(gzip.compress(tail + bytes(1024), 1))
    return out.getvalue()


def nested(levels):
    data = bytes(8 << 20)
    for _ in range(levels):
        data = gzip.compress(data * 2, 9)
    return data


HUGE = (1 << 63) - 1
BOMBS = {
    "a file of 8 EiB": lambda: packed(header("f", HUGE), bytes(4096), 100_000),
    "holes of 8 EiB": lambda: packed(header("f", 512, pax={
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "f",
        "GNU.sparse.realsize": str(HUGE)}) + b"0\n".ljust(512, b"\0")),
    "a map of holes without end": lambda: packed(header("f", HUGE, pax={
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "f", "GNU.sparse.realsize": str(HUGE)}) +
        b"999999999\n".ljust(512, b"\n"), b"1\n" * 256, 400_000),
    "files over and over each other": lambda: packed(b"", b"".join(header(f"f{n}") for n in range(8192)), 12),
    "more empty files than the disk limit has blocks": lambda: packed(b"", b"".join(
        header(f"f{n}") for n in range(270_000)), 1),
    "a name of a megabyte": lambda: packed(header("././@LongLink", 1 << 20, tarfile.GNUTYPE_LONGNAME) +
                                           b"n" * (1 << 20) + header("f")),
    "a pax path of a megabyte": lambda: packed(header("f", pax={"path": "p/" * (1 << 19)})),
    "a pax header of 8 GiB": lambda: packed(header("x", 8 << 30, tarfile.XHDTYPE), b"9" * 4096, 400_000),
    "pax headers without end": lambda: packed(b"", header("f", pax={"comment": "x" * 400})[:-512], 500_000),
    "a name's name's name": lambda: packed(b"", header("././@LongLink", 512, tarfile.GNUTYPE_LONGNAME) + b"n" * 512,
                                           500_000),
    "empty gzip members": lambda: gzip.compress(b"", 1) * 1_000_000 + packed(header("f")),
    "zeros behind the end": lambda: packed(header("f"), bytes(4096), 500_000),
    "gzip in gzip": lambda: packed(header("f", len(nested(3))) + nested(3).ljust(-(-len(nested(3)) // 512) * 512,
                                                                                b"\0")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_in_words_and_the_old_tree(fresh, name):
    """S10, S11: limits hold while it is written, in memory, disk and time."""
    server = fresh.add_server({"a.txt": b"mine"})
    backup = server.backup()["uuid"]
    server.put_archive(backup, BOMBS[name]())
    server.set(disk=50)
    fresh.node_client().post(f"/api/servers/{server.uuid}/sync")
    before = server.tree()
    began = time.monotonic()
    answer = server.restore(backup, wait=False)
    assert answer.status_code in (204, 507)
    server.wait_restored(90)
    fresh.wait_node_idle(60)
    assert time.monotonic() - began < 90
    if server.tree() != before:  # harmless after all: nothing but what the disk limit allows
        assert all(found.startswith("f") for found in server.tree())
        assert sum(path.lstat().st_blocks for path in server.directory.rglob("*")) * 512 < 50 << 20
    else:
        assert "restore failed" in fresh.log_text()
    wait_until("what was staged to go", lambda: server.beside() == [], 90)
    if not SANITIZED:
        assert fresh.program.memory_kib() < MEMORY_KIB
