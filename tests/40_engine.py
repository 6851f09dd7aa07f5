# SPDX-License-Identifier: Apache-2.0
"""Every kind of thing that a directory holds, there and back through the API."""
import gzip
import hashlib
import os
import shutil
import socket
import stat
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest

from harness import ROOST, SANITIZED, read_tree

ROOT = os.geteuid() == 0


def build_tree(root: Path):
    """One of everything."""
    base = os.fsencode(root)

    def put(name, content=b"", mode=0o644, mtime_ns=1_600_000_000_123_456_789):
        path = os.path.join(base, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, mode)
        os.utime(path, ns=(mtime_ns, mtime_ns))
        return path

    put(b"plain.txt", b"plain\n")
    put(b"empty")
    put(b"script.sh", b"#!/bin/sh\n", 0o755)
    put(b"secret", b"s", 0o600)
    put(b"readonly", b"r", 0o444)
    put(b"no-permissions", b"n", 0o000)
    put(b"old", b"o", mtime_ns=1)
    put(b"before-1970", b"o", mtime_ns=-86400 * 10**9 - 5)
    put(b"far-future", b"f", mtime_ns=4_300_000_000 * 10**9 + 7)
    put(b"latin1-\xe9\xff\xfe", b"bytes")
    put("ünïcödé-\U0001f30d".encode(), b"unicode")
    put(b"new\nline \t tab", b"x")
    put(b"-rf", b"dash")
    put(b" leading and trailing ", b"x")
    put(b"back\\slash", b"x")
    put(b"quote'\"$`", b"x")
    put(b"n" * 255, b"longest name")
    deep = b"/".join([b"d" * 100] * 12)
    put(deep + b"/deep", b"deep")
    put(b"block-512", b"x" * 512)
    put(b"block-513", b"x" * 513)
    put(b"mebibyte", os.urandom(1 << 20))
    put(b"mebibyte-and-one", os.urandom((1 << 20) + 1))
    put(b"zeros", b"\0" * 3_000_000)
    put(b"noise", os.urandom(5_000_000))
    put(b"hard/a", b"linked")
    os.link(base + b"/hard/a", base + b"/hard/b")
    os.makedirs(base + b"/other")
    os.link(base + b"/hard/a", base + b"/other/c")
    os.symlink(b"plain.txt", base + b"/link")
    os.symlink(b"missing", base + b"/dangling")
    os.symlink(b"/etc/passwd", base + b"/absolute")
    os.symlink(b"../../..", base + b"/upwards")
    os.symlink(b"\xff\xfe", base + b"/bytes-link")
    os.symlink(b"t" * 1000, base + b"/long-target")
    os.symlink(b"hard", base + b"/directory-link")
    os.makedirs(base + b"/empty-directory")
    os.makedirs(base + b"/private")
    os.chmod(base + b"/private", 0o700)
    os.makedirs(base + b"/sticky")
    os.chmod(base + b"/sticky", 0o1777)
    with open(base + b"/sparse", "wb") as file:
        file.truncate(64 << 20)
        file.seek(16 << 20)
        file.write(b"middle" * 1000)
        file.seek((64 << 20) - 5)
        file.write(b"end..")
    with open(base + b"/all-hole", "wb") as file:
        file.truncate(10 << 20)
    with open(base + b"/hole-at-end", "wb") as file:
        file.write(b"begin")
        file.truncate(8 << 20)
    if ROOT:
        os.chown(base + b"/plain.txt", 1234, 5678)
        os.chown(base + b"/empty-directory", 4_000_000, 70000)
        os.chown(base + b"/link", 1, 2, follow_symlinks=False)
    for name in (b"/hard", b"/other", b"/private", b"/empty-directory"):
        os.utime(base + name, ns=(1_500_000_000_000_000_001, 1_500_000_000_000_000_001))


def describe(root: Path):
    """Everything that must be equal afterwards, by path."""
    base = os.fsencode(root)
    names, inodes = {}, {}
    for directory, folders, files in os.walk(base):
        for name in folders + files + [b"."]:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            kind = stat.S_IFMT(st.st_mode)
            key = os.path.relpath(path, base)
            what = {"kind": kind, "mode": stat.S_IMODE(st.st_mode), "mtime": st.st_mtime_ns}
            if ROOT:
                what["owner"] = (st.st_uid, st.st_gid)
            if kind == stat.S_IFREG:
                with open(path, "rb") as file:
                    what["content"] = (st.st_size, hashlib.sha256(file.read()).hexdigest())
                inodes.setdefault(st.st_ino, []).append(key)
            elif kind == stat.S_IFLNK:
                what["target"] = os.readlink(path)
                what.pop("mode")
            names[key] = what
    groups = {tuple(sorted(group)) for group in inodes.values() if len(group) > 1}
    return names, groups


def differences(before, after):
    result = [f"missing: {name}" for name in before if name not in after]
    result += [f"new: {name}" for name in after if name not in before]
    result += [f"{name}: {before[name]} -> {after[name]}" for name in before
               if name in after and before[name] != after[name]]
    return "\n".join(result)


@pytest.fixture(scope="module")
def everything(roost):
    server = roost.add_server(files={})
    build_tree(server.directory)
    return server


def test_everything_survives_a_round_trip(everything):
    server = everything
    before, links_before = describe(server.directory)
    done = server.backup()
    assert not server.restore(done["uuid"], truncate=True).content
    after, links_after = describe(server.directory)
    assert not differences(before, after)
    assert links_after == links_before
    assert len(links_after) == 1


def test_sparse_files_stay_sparse(everything):
    server = everything
    server.restore(server.backup()["uuid"])
    for name in ("sparse", "all-hole", "hole-at-end"):
        st = (server.directory / name).stat()
        assert st.st_blocks * 512 < 1 << 20, f"{name} occupies {st.st_blocks * 512} of {st.st_size} bytes"


def test_sparse_files_cost_little_in_the_archive(roost):
    server = roost.add_server(files={})
    with open(server.directory / "sparse", "wb") as file:
        file.truncate(1 << 33)
        file.seek(1 << 32)
        file.write(b"x")
    done = server.backup()
    assert done["bytes"] < 1 << 20
    server.restore(done["uuid"])
    st = (server.directory / "sparse").stat()
    assert st.st_size == 1 << 33 and st.st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("tool", ["tar", "bsdtar"])
def test_other_tools_read_our_archives(everything, tmp_path, tool):
    server = everything
    archive = server.archive(server.backup()["uuid"])
    command = [tool, "-xpf", archive, "-C", tmp_path]
    if tool == "tar":
        command.insert(1, "--numeric-owner")
    subprocess.run(command, check=True, timeout=120)
    before, links_before = describe(server.directory)
    after, links_after = describe(tmp_path)
    for names in (before, after):
        # The directory itself is the caller's; bsdtar rounds times before 1970 differently.
        names.pop(b".")
        names.pop(b"before-1970")
        for name in list(names):
            if name.endswith(b"/."):
                del names[name]
    assert not differences(before, after)
    assert links_after == links_before


def test_the_archive_is_a_gzip_file_with_plain_tar_in_it(everything):
    archive = everything.archive(everything.backup()["uuid"])
    subprocess.run(["gzip", "-t", archive], check=True)
    with gzip.open(archive) as plain:
        assert plain.read(512)[257:262] == b"ustar"
    with tarfile.open(archive) as listing:
        assert len(listing.getmembers()) > 40


@pytest.mark.parametrize("options", [["--format=gnu"], ["--format=pax"], ["--format=ustar"],
                                     ["--format=gnu", "--sparse"], ["--format=pax", "--sparse"]],
                         ids=lambda o: " ".join(o))
def test_archives_of_gnu_tar_are_restored(roost, tmp_path, options):
    """As Wings' own would be: put in place of ours."""
    server = roost.add_server(files={})
    source = tmp_path / "source"
    source.mkdir()
    build_tree(source)
    if options == ["--format=ustar"]:
        for name in os.listdir(source):
            if len(name) > 90 or name in ("before-1970", "far-future", "long-target"):
                path = source / name
                path.unlink() if path.is_symlink() or not path.is_dir() else shutil.rmtree(path)
        if ROOT:
            os.chown(source / "empty-directory", 5, 5)
    before, links = describe(source)
    backup = server.backup()["uuid"]
    archive = server.archive(backup)
    subprocess.run(["tar", *options, "-czf", archive, "-C", source, "."], check=True, timeout=120)
    replace_digest(server, backup)
    answer = server.restore(backup)
    assert answer.status_code == 204
    after, links_after = describe(server.directory)
    if "pax" not in options[0]:
        for names in (before, after):
            for what in names.values():
                what["mtime"] //= 10**9
    before.pop(b"."), after.pop(b".")
    assert not differences(before, after)
    assert links_after == links


def replace_digest(server, backup):
    """Let panel and node know the archive that stands there now."""
    data = server.archive(backup).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    server.roost.sql("UPDATE backups SET checksum = ?, bytes = ? WHERE uuid = ?", f"sha256:{digest}", len(data), backup)
    server.roost.sql("UPDATE archives SET checksum = ?, size_bytes = ? WHERE backup = ?", digest, len(data), backup,
                     path=server.roost.journal)


@pytest.mark.skipif(not ROOT, reason="needs root, for devices")
def test_sockets_fifos_and_devices_are_named_and_left_out(roost):
    server = roost.add_server({"kept": b"kept"})
    os.mkfifo(server.directory / "fifo")
    os.mknod(server.directory / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    folder = os.open(server.directory, os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"/proc/self/fd/{folder}/socket")  # the path itself may be too long for an address
        done = server.backup()
    os.close(folder)
    server.restore(done["uuid"])
    assert server.tree() == {"kept": b"kept"}
    capture = roost.value("SELECT capture FROM archives WHERE backup = ?", done["uuid"], path=roost.journal)
    for name in ("fifo", "device", "socket"):
        assert name in capture


def test_an_empty_directory_is_a_backup(roost):
    server = roost.add_server(files={})
    done = server.backup()
    server.write({"x": b"x"})
    server.restore(done["uuid"])
    assert server.tree() == {}


def test_many_small_files(roost):
    files = {f"d{n % 97}/f{n}": b"%d" % n for n in range(10000)}
    server = roost.add_server(files)
    done = server.backup()
    server.write({"d1/f1": b"changed"})
    server.restore(done["uuid"])
    assert server.tree() == {name: content for name, content in files.items()}


# ---- ignore rules ----

IGNORE = [
    ("*.log", ["a.log", "d/b.log"]), ("/a.log", ["a.log"]), ("d/", ["d/b.log", "d/e/f.txt", "d/x"]),
    ("d", ["d/b.log", "d/e/f.txt", "d/x"]), ("*.log\n!d/b.log", ["a.log"]), ("d/e", ["d/e/f.txt"]),
    ("# comment\n\n*.txt", ["d/e/f.txt", "t.txt"]), ("**/f.txt", ["d/e/f.txt"]), ("?.txt", ["d/e/f.txt", "t.txt"]),
    ("[at].*", ["a.log", "t.txt"]), ("nothing", []), ("*", ["a.log", "d/b.log", "d/e/f.txt", "d/x", "t.txt", "k"]),
    ("*\n!k", ["a.log", "d/b.log", "d/e/f.txt", "d/x", "t.txt"]), (r"\#h", []), ("d/*.log", ["d/b.log"]),
    ("../*", []), ("/", []),
]
FILES = {"a.log": b"1", "d/b.log": b"2", "d/e/f.txt": b"3", "d/x": b"4", "t.txt": b"5", "k": b"6"}


@pytest.mark.parametrize("patterns,gone", IGNORE, ids=[repr(p) for p, _ in IGNORE])
def test_ignore_patterns(roost, patterns, gone):
    server = roost.add_server(FILES)
    done = server.backup(ignored=patterns)
    server.restore(done["uuid"])
    assert sorted(name for name, content in server.tree().items() if content is not None) == \
        sorted(set(FILES) - set(gone))


def test_pteroignore_counts_where_the_request_says_nothing(roost):
    server = roost.add_server({**FILES, ".pteroignore": b"*.log\r\n# no\nt.txt\n"})
    done = server.backup()
    assert done["ignored_files"] == []
    listed = roost.run("archive", "list", server.archive(done["uuid"])).stdout
    assert "a.log" not in listed and "t.txt" not in listed and "d/x" in listed
    other = server.backup(ignored="k")
    listed = roost.run("archive", "list", server.archive(other["uuid"])).stdout
    assert "a.log" in listed


def test_pteroignore_that_is_a_link_or_too_large_counts_for_nothing(roost):
    server = roost.add_server(FILES)
    (server.directory / ".pteroignore").symlink_to("/etc/hostname")
    assert "a.log" in roost.run("archive", "list", server.archive(server.backup()["uuid"])).stdout
    (server.directory / ".pteroignore").unlink()
    (server.directory / ".pteroignore").write_bytes(b"*.log\n" * 10000)
    assert "a.log" in roost.run("archive", "list", server.archive(server.backup()["uuid"])).stdout


# ---- a directory that moves under the reader ----

def test_a_file_that_changes_neither_fails_the_backup_nor_passes_silently(roost):
    server = roost.add_server({"steady": b"steady" * 1000})
    moving = server.directory / "moving.log"
    moving.write_bytes(b"x" * 40_000_000)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            with open(moving, "ab") as file:
                file.write(b"y" * 1000)
            (server.directory / "comes").write_bytes(b"1")
            (server.directory / "comes").unlink()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = server.backup()
    finally:
        stop.set()
        writer.join()
    capture = roost.value("SELECT capture FROM archives WHERE backup = ?", done["uuid"], path=roost.journal)
    assert "moving.log" in capture and "changed" in capture
    server.restore(done["uuid"])
    tree = server.tree()
    assert tree["steady"] == b"steady" * 1000
    content = tree["moving.log"]
    assert content.startswith(b"x" * 40_000_000) and set(content[40_000_000:]) <= set(b"y")


def test_shrinking_and_vanishing_files_do_not_fail_it(roost):
    server = roost.add_server({"steady": b"steady"})
    for number in range(200):
        (server.directory / f"f{number}").write_bytes(os.urandom(200_000))
    stop = threading.Event()

    def spoil():
        number = 0
        while not stop.is_set() and number < 200:
            path = server.directory / f"f{number}"
            if number % 2:
                os.truncate(path, 100)
            else:
                path.unlink()
            number += 1

    spoiler = threading.Thread(target=spoil)
    spoiler.start()
    done = server.backup()
    stop.set()
    spoiler.join()
    roost.run("archive", "verify", server.archive(done["uuid"]))


def test_links_that_are_swapped_in_are_never_followed(roost, tmp_path):
    """A tenant swaps a directory for a link to the host's files, again and again."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"SECRET-OF-THE-HOST" * 100)
    server = roost.add_server({"d/secret": b"mine"})
    stop = threading.Event()
    real, link = server.directory / "d", server.directory / "swap"
    link.symlink_to(outside)

    def swap():
        aside = server.directory / "aside"
        while not stop.is_set():
            real.rename(aside)
            link.rename(real)
            real.rename(link)
            aside.rename(real)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        backups = [server.backup()["uuid"] for _ in range(15)]
    finally:
        stop.set()
        swapper.join()
    for backup in backups:
        with gzip.open(server.archive(backup)) as plain:
            assert b"SECRET-OF-THE-HOST" not in plain.read()


# ---- settings ----

def test_sha1_where_the_setting_asks_for_it(make):
    roost = make({"node.checksum": "sha1"})
    server = roost.add_server()
    done = server.backup()
    digest = hashlib.sha1(server.archive(done["uuid"]).read_bytes()).hexdigest()
    assert done["checksum"] == f"sha1:{digest}" and done["sha256_hash"] is None
    server.write({"a.txt": b"changed"})
    assert server.restore(done["uuid"]).status_code == 204
    assert server.tree()["a.txt"] == b"one\n"
    roost.stop()


@pytest.mark.parametrize("compression", ["store", "fast", "best"])
def test_every_compression_is_read_by_gzip(make, compression):
    roost = make({"node.compression": compression})
    server = roost.add_server({"text": b"some text\n" * 200_000, "noise": os.urandom(2_000_000)})
    archive = server.archive(server.backup()["uuid"])
    subprocess.run(["gzip", "-t", archive], check=True)
    size = archive.stat().st_size
    assert size > 3_900_000 if compression == "store" else size < 2_300_000
    roost.stop()


def test_a_backup_over_the_nodes_limit_fails_and_leaves_nothing(make):
    roost = make({"node.backup_limit": "1 MiB"})
    server = roost.add_server({"noise": os.urandom(3_000_000)})
    failed = server.wait(server.create().json()["attributes"]["uuid"])
    assert not failed["is_successful"] and server.stored() == []
    roost.stop()


def test_set_id_bits_are_dropped_on_restore(roost):
    server = roost.add_server({"tool": b"tool"})
    os.chmod(server.directory / "tool", 0o6755)
    server.restore(server.backup()["uuid"])
    assert stat.S_IMODE((server.directory / "tool").stat().st_mode) == 0o755


def test_memory_does_not_grow_with_the_directory(fresh):
    server = fresh.add_server({"noise": os.urandom(1 << 20) * 150})
    fresh.add_server().backup()
    before = fresh.program.memory_kib()
    done = server.backup()
    server.restore(done["uuid"])
    # A sanitizer keeps what was freed for a while.
    assert fresh.program.memory_kib() - before < (160 if SANITIZED else 40) * 1024
    assert read_tree(server.directory)["noise"][:100] and ROOST.exists()
