# SPDX-License-Identifier: Apache-2.0
"""The n-th system call fails, or comes back short, for every n: whole, or named, or refused with words.

The shim in shim/fault.c does it to calls on things below one directory.  A first run without a fault counts them; then
each of them is the faulty one (or, where there are more than ROOST_CRASH_POINTS, so many, evenly; `all` tries every one).
"""
import errno
import json
import mmap
import os
import struct
import subprocess
import tarfile

import pytest

from harness import ROOST, SANITIZED, program_env, read_tree, wait_until, write_tree

KINDS = {name: 1 << bit for bit, name in enumerate(
    ("read", "write", "sync", "open", "rename", "link", "mkdir", "truncate", "close", "unlink", "list", "attribute"))}
PATIENCE_S = 60

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(900)]


class Control:
    """The shim's page: seven numbers, the directory, and the name of the call that was faulty."""

    def __init__(self, path, below):
        path.write_bytes(bytes(4096))
        self.path = path
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)
        self.map[56:56 + len(os.fsencode(below))] = os.fsencode(below)

    def arm(self, countdown, kinds="", error=0, keep=0, for_ever=False):
        """`kinds`: names, with blanks between.  `keep`: so many 256ths of a transfer."""
        bits = sum(KINDS[kind] for kind in kinds.split())
        self.map[0:56] = struct.pack("<7q", 0, 0, bits, error, keep, int(for_ever), 0)
        self.map[0:8] = struct.pack("<q", countdown)

    def number(self, index):
        return struct.unpack("<q", self.map[index * 8:index * 8 + 8])[0]

    @property
    def counted(self):
        return self.number(1)

    @property
    def hits(self):
        return self.number(6)

    def what(self):
        return self.map[1080:2104].rstrip(b"\0").decode(errors="replace")


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    if SANITIZED:
        pytest.skip("a preloaded library and sanitizers do not go together")
    built = tmp_path_factory.mktemp("shim") / "fault.so"
    source = os.path.join(os.path.dirname(__file__), "shim", "fault.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", built, source, "-ldl"],
                   check=True)
    return built


def points(total):
    wanted = os.environ.get("ROOST_CRASH_POINTS", "60")
    if wanted == "all" or total <= int(wanted):
        return list(range(1, total + 1))
    count = int(wanted)
    return sorted({1 + (total - 1) * i // (count - 1) for i in range(count)})


# What goes wrong: kinds, errno, how much of a transfer is done, whether it goes wrong from then on.
FAULTS = {
    "read EIO": ("read", errno.EIO, 0, False),
    "read EIO for ever": ("read", errno.EIO, 0, True),
    "read EINTR": ("read", errno.EINTR, 0, False),
    "read a byte": ("read", 0, 1, False),
    "read half": ("read", 0, 128, True),
    "write ENOSPC": ("write", errno.ENOSPC, 0, False),
    "write EDQUOT for ever": ("write", errno.EDQUOT, 0, True),
    "write EIO": ("write", errno.EIO, 0, False),
    "write EINTR": ("write", errno.EINTR, 0, False),
    "write half": ("write", 0, 128, True),
    "sync EIO": ("sync", errno.EIO, 0, False),
    "sync ENOSPC for ever": ("sync", errno.ENOSPC, 0, True),
    "open EIO": ("open", errno.EIO, 0, False),
    "open ENOSPC": ("open", errno.ENOSPC, 0, False),
    "open EMFILE": ("open", errno.EMFILE, 0, False),
    "open EINTR": ("open", errno.EINTR, 0, False),
    "names EDQUOT": ("rename link mkdir", errno.EDQUOT, 0, False),
    "names EIO for ever": ("rename link mkdir", errno.EIO, 0, True),
    "truncate EDQUOT": ("truncate", errno.EDQUOT, 0, False),
    "close EIO": ("close", errno.EIO, 0, False),
    "close EINTR": ("close", errno.EINTR, 0, False),
    "list EIO": ("list", errno.EIO, 0, False),
    "attribute EIO": ("attribute", errno.EIO, 0, False),
    "unlink EIO": ("unlink", errno.EIO, 0, False),
}
# Those that a program can always make good.
HARMLESS = {"read EINTR", "read a byte", "read half", "write EINTR", "write half", "close EINTR"}


def tree():
    return {"a.txt": b"one", "d/b": os.urandom(300_000), "d/deep/er/c": b"c" * 5000, "large": os.urandom(2_500_000),
            "empty": b"", "link": "a.txt", "empty directory": None}


class Bench:
    """A tree, an archive of it, and the program behind the shim; all of it below one directory."""

    def __init__(self, base, shim):
        self.place = base / "place"
        self.place.mkdir()
        self.files = tree()
        write_tree(self.place / "tree", self.files)
        os.link(self.place / "tree" / "a.txt", self.place / "tree" / "second name")
        self.files["second name"] = self.files["a.txt"]
        self.control = Control(base / "control", self.place)
        self.env = {**program_env(base / "sanitizer"), "LD_PRELOAD": str(shim),
                    "ROOST_FAULT_FILE": str(self.control.path)}
        self.control.arm(0)
        assert self.run("create", "tree", "good.tar.gz").returncode == 0
        self.before = self.names()

    def run(self, *args):
        return subprocess.run([ROOST, "archive", *args], cwd=self.place, env=self.env, capture_output=True, text=True,
                              errors="replace", timeout=PATIENCE_S, check=False, stdin=subprocess.DEVNULL)

    def names(self):
        return sorted(os.listdir(self.place))

    def leftovers(self):
        return [name for name in self.names() if name not in self.before]

    def clear(self):
        subprocess.run(["rm", "-rf", *[self.place / name for name in self.leftovers()]], check=True)

    def each(self, fault, *args):
        """The program with the fault at every point: yields its end and what happened."""
        kinds, error, keep, for_ever = FAULTS[fault]
        self.control.arm(0, kinds)
        assert self.run(*args).returncode == 0
        total = self.control.counted
        self.clear()
        for point in points(total):
            self.control.arm(point, kinds, error, keep, for_ever)
            done = self.run(*args)
            story = f"{fault} at {point} of {total}: {self.control.what()}\n{done.returncode} {done.stderr}"
            self.control.arm(0)
            yield done, story
            self.clear()


@pytest.fixture
def bench(tmp_path, shim):
    return Bench(tmp_path, shim)


def content_of(archive):
    """An archive's files as read_tree() gives a directory's, by a foreign reader."""
    found = {}
    with tarfile.open(archive) as tar:
        members = [member for member in tar.getmembers() if member.name.strip("./")]
        for member in members:
            name = member.name.removeprefix("./").rstrip("/")
            if member.issym():
                found[name] = member.linkname
            elif member.isdir():
                if not any(other.name.startswith(member.name.rstrip("/") + "/") for other in members):
                    found[name] = None
            else:
                found[name] = tar.extractfile(member).read()
    return found


def unexplained(expected, found, text):
    """Names whose content is another, and that the text does not mention, nor a directory above them."""
    wrong = [name for name in {*expected, *found} if expected.get(name, 0) != found.get(name, 0)
             and not (found.get(name, 0) is None and any(other.startswith(name + "/") for other in expected))]
    return [name for name in wrong
            if not any(f"'{part}'" in text or f" {part}:" in text or part in text.split() for part in above(name))]


def above(name):
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def says_why(done):
    """An error has words, and is no crash."""
    return done.returncode == 1 and done.stderr.startswith("roost: ") and "ssertion" not in done.stderr


@pytest.mark.parametrize("fault", FAULTS)
def test_create(bench, fault):
    outcomes = set()
    for done, story in bench.each(fault, "create", "tree", "new.tar.gz"):
        outcomes.add(done.returncode)
        left = bench.leftovers()
        if done.returncode in (0, 3):
            assert left == ["new.tar.gz"], story
            found = content_of(bench.place / "new.tar.gz")
            assert done.returncode == 3 or found == bench.files, story
            assert not unexplained(bench.files, found, done.stderr), story
        else:
            assert says_why(done), story
            assert not left or FAULTS[fault][0] == "unlink", story
        assert fault not in HARMLESS or done.returncode == 0, story
    assert read_tree(bench.place / "tree") == bench.files
    assert outcomes <= {0, 1, 3}


@pytest.mark.parametrize("fault", FAULTS)
def test_extract(bench, fault):
    for done, story in bench.each(fault, "extract", "good.tar.gz", "-C", "new"):
        left = bench.leftovers()
        if done.returncode in (0, 3):
            assert left == ["new"] or (FAULTS[fault][0] == "unlink" and "left behind" in done.stderr), story
            found = read_tree(bench.place / "new")
            assert done.returncode == 3 or found == bench.files, story
            assert not unexplained(bench.files, found, done.stderr), story
        elif "the directory of the exchange" in done.stderr:  # it has happened, and may not survive a power cut
            assert says_why(done) and read_tree(bench.place / "new") == bench.files, story
        else:
            assert says_why(done), story
            assert not left or "left behind" in done.stderr, story
        assert fault not in HARMLESS or done.returncode == 0, story


# ---- through the panel ----

@pytest.fixture
def served(make, shim):
    """An installation behind the shim, and a server of it."""
    roost = make(start=False)
    roost.control = Control(roost.base / "control", roost.base)
    roost.env = {"ROOST_FAULT_FILE": str(roost.control.path)}
    roost.preload = shim
    roost.start()
    server = roost.add_server(tree(), limit=100000)
    yield server
    roost.control.arm(0)
    roost.stop()


def aim(control, below):
    control.map[56:1080] = os.fsencode(below).ljust(1024, b"\0")


def few(total):
    """A job takes a while: so many points of each fault."""
    return sorted({1 + (total - 1) * i // 5 for i in range(6)}) if total > 6 else list(range(1, total + 1))


SERVED = ["read EIO", "read half", "write ENOSPC", "write EDQUOT for ever", "write half", "sync EIO", "open EIO",
          "names EDQUOT", "names EIO for ever", "close EIO", "list EIO"]


@pytest.mark.parametrize("fault", SERVED)
def test_a_backup_is_whole_or_failed(served, fault):
    """Faults in the store, and in the live directory: no archive that nobody knows, none that is not what it says."""
    server, control = served, served.roost.control
    kinds, error, keep, for_ever = FAULTS[fault]
    for below in (server.roost.backups, server.directory):
        aim(control, below)
        control.arm(0, kinds)
        server.backup()
        for point in few(control.counted):
            control.arm(point, kinds, error, keep, for_ever)
            answer = server.create()
            assert answer.status_code in (200, 502, 507), answer.text
            view = server.wait(answer.json()["attributes"]["uuid"]) if answer.status_code == 200 else None
            server.roost.wait_node_idle()
            story = f"{fault} at {point}: {control.what()}"
            control.arm(0)
            if view and view["is_successful"]:
                archive = server.archive(view["uuid"])
                assert archive.stat().st_size == view["bytes"], story
                row = server.roost.row("SELECT capture FROM archives WHERE backup = ?", view["uuid"],
                                       path=server.roost.journal)
                text = " ".join(f"'{item['path']}'" for item in json.loads(row["capture"])["items"])
                assert not unexplained(server.tree(), content_of(archive), text), story
            elif view:
                assert not server.archive(view["uuid"]).exists(), story
            assert not [name for name in server.stored() if name.startswith(".")], story
    assert server.backup()["is_successful"]


def stuck_exchanges(server):
    return server.roost.log_text().count("a server's directory is half exchanged")


def settle(server, control, stuck):
    """Until the job has ended.  One whose exchange can neither go on nor back ends once the disk is well again."""
    wait_until("an end, or an exchange that is stuck",
               lambda: server.roost.is_node_idle() or stuck_exchanges(server) > stuck)
    if not server.roost.is_node_idle():
        assert server.status() == "restoring_backup"
        control.arm(0)
    server.roost.wait_node_idle()


@pytest.mark.parametrize("body", [{"truncate": True}, {"truncate": False},
                                  {"truncate": True, "leave_ignored": True, "ignored": ["later"]}],
                         ids=["True", "False", "leave_ignored"])
@pytest.mark.parametrize("fault", SERVED)
def test_a_restore_is_the_old_tree_or_the_new_one(served, fault, body):
    server, control = served, served.roost.control
    kinds, error, keep, for_ever = FAULTS[fault]
    old = server.tree()
    backup = server.backup()["uuid"]
    aim(control, server.directory.parent)

    def changed():
        (server.directory / "a.txt").write_bytes(b"changed")
        (server.directory / "later").write_bytes(b"later")
        return server.tree()

    changed()
    control.arm(0, kinds)
    server.restore(backup, **body)
    restored = server.tree()
    assert restored == (old if body == {"truncate": True} else {**old, "later": b"later"})
    for point in few(control.counted):
        before, stuck = changed(), stuck_exchanges(server)
        control.arm(point, kinds, error, keep, for_ever)
        answer = server.restore(backup, wait=False, **body)
        assert answer.status_code in (204, 507), answer.text
        settle(server, control, stuck)
        server.wait_restored()
        story = f"{fault} at {point}: {control.what()}"
        control.arm(0)
        assert server.tree() in (before, restored), story
        assert server.status() is None, story
    server.restore(backup, truncate=True)
    assert server.tree() == old
    wait_until("replaced trees to go", lambda: not [n for n in os.listdir(server.directory.parent)
                                                    if n.startswith((".roost-stage", ".roost-trash"))], 60)
