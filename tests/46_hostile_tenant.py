# SPDX-License-Identifier: Apache-2.0
"""A tenant who owns the server's directory, and more than that, against backups and restores of it."""
import contextlib
import gzip
import os
import subprocess
import threading

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


def outcome(server):
    """Whether a new backup succeeded."""
    return server.wait(server.create().json()["attributes"]["uuid"])["is_successful"]


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
    assert outcome(server)
    assert fresh.program.memory_kib() < MEMORY_KIB
