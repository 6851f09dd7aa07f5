# SPDX-License-Identifier: Apache-2.0
"""Every kind of thing through `roost archive` alone, to and from the other tools: what comes back is what was there."""
import errno
import hashlib
import os
import shutil
import socket
import stat
import subprocess
import tarfile

import pytest

from harness import PATIENCE_S, ROOST, program_env

ROOT = os.geteuid() == 0
SECOND_NS = 10**9


def put(base, name, content=b"", mode=0o644, mtime_ns=1_600_000_000_123_456_789):
    path = os.path.join(base, name)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def regular(base):
    for size in (1, 511, 512, 513, 4096, 1 << 20, (1 << 20) + 1, 3_000_001):
        put(base, b"%d" % size, os.urandom(size))


def empty(base):
    put(base, b"empty")
    os.mkdir(base + b"/directory")


def sparse(base):
    with open(put(base, b"pieces"), "r+b") as file:
        for place in (5000, 1 << 20, 50 << 20):
            file.seek(place)
            file.write(b"piece" * 999)
    os.truncate(put(base, b"hole"), 30 << 20)
    os.truncate(put(base, b"hole at the end", b"begin"), 3 << 20)


def over_8_gib(base):
    with open(put(base, b"large"), "r+b") as file:
        file.seek((9 << 30) - 3)
        file.write(b"end")


def hard_links(base):
    put(base, b"z", b"linked" * 1000)
    os.mkdir(base + b"/a")
    for name in (b"/a/1", b"/a/2", b"/zz"):
        os.link(base + b"/z", base + name)


def symlinks(base):
    put(base, b"target")
    for name, target in ((b"good", b"target"), (b"dangling", b"missing"), (b"absolute", b"/etc/passwd"),
                         (b"up", b"../../.."), (b"bytes", b"\xff\xfe"), (b"long", b"t" * 1000)):
        os.symlink(target, os.path.join(base, name))


def directory_modes(base):
    for mode in (0o000, 0o111, 0o333, 0o500, 0o700, 0o755, 0o1777, 0o777):
        path = base + b"/%o" % mode
        os.mkdir(path)
        put(path, b"inside", b"x")
        os.utime(path, ns=(1_500_000_000_000_000_001, 1_500_000_000_000_000_001))
        os.chmod(path, mode)


def file_modes(base):
    for mode in (0o000, 0o001, 0o044, 0o200, 0o444, 0o555, 0o600, 0o777, 0o1644):
        put(base, b"%o" % mode, b"x" * mode, mode)


def names_of_255_bytes(base):
    for letter in (b"n", b"\xc3\xa4"):
        put(base, (letter * 255)[:254 if len(letter) == 2 else 255], b"long")


def paths_of_4000_bytes(base):
    # Made step by step, as no path so long may be said at once together with where it lies.
    here = os.open(base, os.O_RDONLY)
    name, length = b"d" * 249, 0
    while length + 250 < 4000:
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here, length = below, length + 250
    file = os.open(b"f" * (4000 - length), os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here)
    os.write(file, b"deep")
    os.close(file)
    os.close(here)


def odd_bytes(base):
    for name in (b"latin1-\xe9\xff\xfe", b"new\nline \t tab", b"-rf", b" blanks ", b"back\\slash", b"quote'\"$`",
                 "ünïcödé-\U0001f30d".encode(), b"\x01\x7f", b"=%3D%"):
        put(base, name, name)


def times(base):
    for number, when in enumerate((0, 1, -1, -SECOND_NS, -86400 * SECOND_NS - 5, 1_700_000_000_000_000_001,
                                   4_300_000_000 * SECOND_NS + 999_999_999)):
        put(base, b"%d" % number, b"t", mtime_ns=when)


def owners(base):
    for number, owner in enumerate(((0, 0), (1234, 5678), (4_000_000, 70_000))):
        os.chown(put(base, b"%d" % number, b"o"), *owner)


KINDS = [regular, empty, sparse, over_8_gib, hard_links, symlinks, directory_modes, file_modes, names_of_255_bytes,
         paths_of_4000_bytes, odd_bytes, times] + ([owners] if ROOT else [])

# What a tool cannot do itself, whoever wrote the archive.
CANNOT = {
    ("bsdtar", "times"): "rounds times before 1970 to the other side",
    ("python", "times"): "has times in binary fractions",
    ("python", "over_8_gib"): "takes minutes for a large hole",
}
READERS = {
    "tar": ["tar", "--numeric-owner", "-xpf"],
    "bsdtar": ["bsdtar", "--numeric-owner", "-xpf"],
    "python": ["/usr/bin/python3", "-c", "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(numeric_owner=True)"],
}
# Wings and Pelican write what Go's archive/tar does: pax where ustar does not suffice, as Python's.
PYTHON_WRITES = ("import sys, tarfile\nwith tarfile.open(sys.argv[1], 'w:gz', format=tarfile.%s) as archive:"
                 "\n    archive.add('.')")
WRITERS = {
    "gnu": ["tar", "--format=gnu", "--sparse", "-czf"],
    "pax": ["tar", "--format=pax", "--sparse", "-czf"],
    "bsdtar": ["bsdtar", "--format=pax", "-czf"],
    "python-pax": ["/usr/bin/python3", "-c", PYTHON_WRITES % "PAX_FORMAT"],
    "python-gnu": ["/usr/bin/python3", "-c", PYTHON_WRITES % "GNU_FORMAT"],
}
WHOLE_SECONDS = ("gnu", "python-gnu")


def roost(tmp_path, *args, status=0):
    done = subprocess.run([ROOST, "archive", *map(str, args)], capture_output=True, text=True, timeout=PATIENCE_S,
                          env=program_env(tmp_path / "san"), check=False, errors="surrogateescape")
    assert done.returncode == status, done.stderr
    return done


def content_of(name, directory):
    """Size, room on disk and digest; of a large one only of its ends."""
    fd = os.open(name, os.O_RDONLY, dir_fd=directory)
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if status.st_size < 100 << 20:
            return status.st_size, hashlib.sha256(file.read()).hexdigest()
        assert status.st_blocks * 512 < 1 << 20
        begin = file.read(4096)
        file.seek(-4096, os.SEEK_END)
        return status.st_size, begin, file.read()


def describe(root):
    """Everything below that must be equal afterwards, by path."""
    result, inodes = {}, {}
    for path, folders, files, directory in os.fwalk(os.fsencode(root)):
        folders.sort()
        for name in sorted(folders + files):
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            key = os.path.relpath(os.path.join(path, name), os.fsencode(root))
            what = {"kind": stat.S_IFMT(status.st_mode), "mtime": status.st_mtime_ns,
                    "owner": (status.st_uid, status.st_gid) if ROOT else None}
            if stat.S_ISLNK(status.st_mode):
                what["target"] = os.readlink(name, dir_fd=directory)
            else:
                what["mode"] = stat.S_IMODE(status.st_mode)
            if stat.S_ISREG(status.st_mode):
                what["content"] = content_of(name, directory)
                what["same as"] = inodes.setdefault(status.st_ino, key)
            result[key] = what
    return result


def assert_same(before, after, tolerance_ns=0):
    assert sorted(before) == sorted(after)
    for path, what in before.items():
        other = after[path]
        assert abs(what.pop("mtime") - other.pop("mtime")) <= tolerance_ns, path
        assert what == other, path


def needs_root(kind):
    if not ROOT and kind in (directory_modes, file_modes):
        pytest.skip("only root reads what nobody may read")


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def made(request, tmp_path_factory):
    """A tree of one kind, and our archive of it."""
    needs_root(request.param)
    path = tmp_path_factory.mktemp(request.param.__name__)
    tree = path / "tree"
    tree.mkdir()
    request.param(os.fsencode(tree))
    roost(path, "create", tree, path / "ours.tar.gz")
    yield request.param.__name__, tree, path / "ours.tar.gz"
    subprocess.run(["rm", "-rf", path], check=True)


def test_it_comes_back_as_it_was(made, tmp_path):
    _, tree, archive = made
    roost(tmp_path, "extract", archive, tmp_path / "out")
    assert_same(describe(tree), describe(tmp_path / "out"))


@pytest.mark.parametrize("reader", READERS)
def test_others_read_ours(made, tmp_path, reader):
    kind, tree, archive = made
    if (reader, kind) in CANNOT:
        pytest.skip(CANNOT[reader, kind])
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run([*READERS[reader], archive], cwd=out, check=True, timeout=PATIENCE_S)
    before, after = describe(tree), describe(out)
    if reader == "python":  # which sets no times of links
        for what in (*before.values(), *after.values()):
            what["mtime"] = 0 if "target" in what else what["mtime"]
    assert_same(before, after, 1000 if reader == "python" else 0)


@pytest.mark.parametrize("writer", WRITERS)
def test_we_read_others(made, tmp_path, writer):
    kind, tree, _ = made
    tool = writer.split("-")[0]
    if (tool, kind) in CANNOT:
        pytest.skip(CANNOT[tool, kind])
    archive = tmp_path / "theirs.tar.gz"
    arguments = [archive] if writer.startswith("python") else [archive, "."]
    done = subprocess.run([*WRITERS[writer], *arguments], cwd=tree, capture_output=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    roost(tmp_path, "extract", archive, tmp_path / "out")
    assert_same(describe(tree), describe(tmp_path / "out"),
                SECOND_NS if writer in WHOLE_SECONDS else 1000 if writer.startswith("python") else 0)


# ---- what is left out, and named ----

def test_sockets_fifos_and_devices_are_never_made(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("f")
    os.mkfifo(tree / "fifo")
    # Bound by a short name: addresses of sockets have little room.
    listening, here = socket.socket(socket.AF_UNIX), os.getcwd()
    os.chdir(tree)
    listening.bind("socket")
    os.chdir(here)
    done = roost(tmp_path, "create", tree, tmp_path / "a.tar.gz", status=3)
    assert "socket" in done.stderr and "fifo" in done.stderr
    assert tarfile.open(tmp_path / "a.tar.gz").getnames() == [".", "file"]

    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as archive:
        for name, kind in (("fifo", tarfile.FIFOTYPE), ("block", tarfile.BLKTYPE), ("char", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.devmajor, info.devminor = kind, 1, 3
            archive.addfile(info)
        archive.addfile(tarfile.TarInfo("file"))
    done = roost(tmp_path, "extract", tmp_path / "b.tar.gz", tmp_path / "out", status=3)
    assert all(name in done.stderr for name in ("fifo", "block", "char"))
    assert os.listdir(tmp_path / "out") == ["file"]


def test_set_id_bits_go_unless_asked_for(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    put(os.fsencode(tree), b"uid", b"x" * 700_000, 0o4755)
    put(os.fsencode(tree), b"gid", b"x", 0o2755)
    (tree / "directory").mkdir()
    (tree / "directory").chmod(0o2775)
    roost(tmp_path, "create", tree, tmp_path / "a.tar.gz")
    done = roost(tmp_path, "extract", tmp_path / "a.tar.gz", tmp_path / "without")
    assert done.stderr.count("set-id") == 3
    assert not any(os.stat(tmp_path / "without" / name).st_mode & 0o6000 for name in ("uid", "gid", "directory"))
    roost(tmp_path, "extract", "--keep-set-id", tmp_path / "a.tar.gz", tmp_path / "with")
    assert_same(describe(tree), describe(tmp_path / "with"))


# ---- extended attributes ----

VALUES = {"user.text": b"value", "user.empty": b"", "user.bytes": b"\0\n=%\xff" * 40, "user.a=b%3D": b"odd name",
          "user.large": b"l" * 2000}


def attributes(root):
    result = {}
    for directory, folders, files in os.walk(root):
        for path in [os.path.join(directory, name) for name in folders + files] + [directory]:
            result[os.path.relpath(path, root)] = {
                name: os.getxattr(path, name, follow_symlinks=False)
                for name in os.listxattr(path, follow_symlinks=False) if not name.startswith("security.selinux")}
    return result


@pytest.fixture
def marked(tmp_path):
    """A tree with extended attributes and access control lists."""
    tree = tmp_path / "tree"
    (tree / "directory").mkdir(parents=True)
    put(os.fsencode(tree), b"file", b"content", 0o444)
    put(os.fsencode(tree), b"large", b"large" * 300_000)
    put(os.fsencode(tree / "directory"), b"inside", b"i")
    try:
        for name, value in VALUES.items():
            for path in (tree, tree / "file", tree / "directory"):
                if path.is_file() or len(value) < 1000:
                    os.setxattr(path, name, value)
        os.setxattr(tree / "large", "user.large", b"file past the page cache")
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            pytest.skip("the file system has no extended attributes")
        raise
    subprocess.run(["setfacl", "-m", "u:1234:rw,g:77:r", tree / "file"], check=True)
    subprocess.run(["setfacl", "-m", "u:1234:rwx", "-m", "d:u:1234:rx", tree / "directory"], check=True)
    return tree


def test_attributes_and_acls_survive(marked, tmp_path):
    roost(tmp_path, "create", "--xattrs", marked, tmp_path / "a.tar.gz")
    roost(tmp_path, "extract", "--xattrs", tmp_path / "a.tar.gz", tmp_path / "out")
    assert attributes(marked) == attributes(tmp_path / "out")
    assert_same(describe(marked), describe(tmp_path / "out"))
    # A file that lies in a directory with a default list gets nothing from it.
    assert attributes(tmp_path / "out")["directory/inside"] == {}


def test_attributes_are_nobodys_business_unless_asked_for(marked, tmp_path):
    roost(tmp_path, "create", marked, tmp_path / "without.tar.gz")
    assert b"SCHILY" not in subprocess.run(["gzip", "-dc", tmp_path / "without.tar.gz"], check=True,
                                           capture_output=True).stdout
    roost(tmp_path, "create", "--xattrs", marked, tmp_path / "with.tar.gz")
    roost(tmp_path, "extract", tmp_path / "with.tar.gz", tmp_path / "out")
    assert not any(attributes(tmp_path / "out").values())


def test_gnu_tar_agrees_on_attributes(marked, tmp_path):
    flags = ["--xattrs", "--xattrs-include=*"]
    roost(tmp_path, "create", "--xattrs", marked, tmp_path / "ours.tar.gz")
    (tmp_path / "theirs").mkdir()
    subprocess.run(["tar", *flags, "-xpf", tmp_path / "ours.tar.gz", "-C", tmp_path / "theirs"], check=True)
    assert attributes(marked) == attributes(tmp_path / "theirs")
    subprocess.run(["tar", *flags, "-czf", tmp_path / "a.tar.gz", "-C", marked, "."], check=True)
    roost(tmp_path, "extract", "--xattrs", tmp_path / "a.tar.gz", tmp_path / "out")
    assert attributes(marked) == attributes(tmp_path / "out")


def test_bsdtar_agrees_on_attributes(marked, tmp_path):
    """It keeps lists of access as text, which is named and left out; and takes `%` in a name as it stands."""
    def plain(root):
        return {path: {name: value for name, value in found.items() if name.startswith("user.") and "%" not in name}
                for path, found in attributes(root).items()}
    roost(tmp_path, "create", "--xattrs", marked, tmp_path / "ours.tar.gz")
    (tmp_path / "theirs").mkdir()
    subprocess.run(["bsdtar", "--xattrs", "-xpf", tmp_path / "ours.tar.gz", "-C", tmp_path / "theirs"], check=True)
    wanted = plain(marked)
    got = plain(tmp_path / "theirs")
    assert {path: {n: v for n, v in found.items() if n in VALUES} for path, found in got.items()} == wanted
    subprocess.run(["bsdtar", "--xattrs", "--acls", "-czf", tmp_path / "a.tar.gz", "-C", marked, "."], check=True)
    done = roost(tmp_path, "extract", "--xattrs", tmp_path / "a.tar.gz", tmp_path / "out")
    assert "access control list" in done.stderr
    assert plain(tmp_path / "out") == wanted


@pytest.mark.parametrize("keep", ["24 h", "0"])
@pytest.mark.parametrize("exchange", ["directory", "entries"])
def test_what_a_restore_leaves_keeps_its_attributes(marked, make, keep, exchange):
    """Whatever node.xattrs says, which is about backups: what is live stays as it is, and what is kept, too."""
    server = make({"restore.keep": keep, "restore.exchange": exchange}).add_server({"in/backup": b"old"})
    good = server.backup()["uuid"]
    for path in marked.iterdir():
        shutil.move(path, server.directory)
    before, tree = attributes(server.directory), describe(server.directory)
    assert before["file"] and before["directory"] and before["directory/inside"] == {}
    (server.directory / "in/backup").write_bytes(b"new")
    for body in ({"truncate": False}, {"files": ["in/backup"]}):
        server.restore(good, **body)
        assert (server.directory / "in/backup").read_bytes() == b"old"
        assert attributes(server.directory) == before, body
        after = describe(server.directory)
        for path in (b"file", b"large", b"directory", b"directory/inside"):
            assert after[path] == tree[path]
    if keep != "0":
        server.restore(good, truncate=False)
        assert server.client().post(f"{server.api}/backups/restore/undo").status_code == 204
        server.wait_restored()
        assert attributes(server.directory) == before


def test_attributes_that_a_merge_cannot_keep_are_told(make, marked):
    server = make({"node.xattrs": "true"}).add_server({"d/f": b"old"})
    for name in ("archived", "live"):
        for number in range(150):
            os.setxattr(server.directory / "d", f"user.{name[0]}{number}", b"")
        if name == "archived":
            good = server.backup()["uuid"]
            for number in range(150):
                os.removexattr(server.directory / "d", f"user.a{number}")
    server.restore(good, truncate=False)
    assert len(os.listxattr(server.directory / "d")) > 150
    assert "restore has omissions" in server.roost.log_text()


def hostile(tmp_path, records):
    info = tarfile.TarInfo("file")
    info.pax_headers = records
    with tarfile.open(tmp_path / "h.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    return tmp_path / "h.tar.gz"


@pytest.mark.parametrize("records", [
    {f"SCHILY.xattr.user.{i}": "x" for i in range(300)}, {"SCHILY.xattr.user.large": "x" * 65536},
    {"SCHILY.xattr.user." + "n" * 300: "x"}, {"LIBARCHIVE.xattr.user.bad": "!not base64!"},
    {"SCHILY.xattr.security.selinux": "x"}, {"SCHILY.xattr.trusted.overlay.opaque": "y"},
    {"SCHILY.xattr.security.capability": "c"}, {"SCHILY.xattr.system.posix_acl_access": "no list"}],
    ids=["too many", "too large", "long name", "bad base64", "label", "trusted", "capability", "bad list"])
def test_attributes_that_may_not_be_are_left_out_and_named(tmp_path, records):
    done = roost(tmp_path, "extract", "--xattrs", hostile(tmp_path, records), tmp_path / "out")
    assert "extended attribute" in done.stderr
    names = os.listxattr(tmp_path / "out" / "file")
    assert all(name.startswith("user.") for name in names) and len(names) <= 256
