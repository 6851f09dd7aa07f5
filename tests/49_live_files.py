# SPDX-License-Identifier: Apache-2.0
"""Backups of directories that real processes change all the while: nothing foreign, nothing silent, no loop, no hole.

Writers fill files with blocks that say which file, which place in it and which generation they are of, so that every
byte of an archive can be traced to a state that its file had.
"""
import contextlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from harness import ROOST, SANITIZED, program_env

SECRET = b"SECRET-OF-THE-HOST-"
BLOCK = 512
NOBODY = 65534
SIZES = {"small": 100 << 10, "medium": 3 << 20, "large": 66 << 20}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# A process of the tenant's: `python3 -c WRITER deed path size id canary`.
WRITER = r"""
import os, struct, sys, time, contextlib
deed, path, size, number, canary = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
BLOCK = 512

def content(first, count, generation):
    return b"".join(struct.pack("<IIQ", number, index, generation) * 32 for index in range(first, first + count))

def write(fd, generation, blocks=size // BLOCK, at=0):
    # in pieces: neither memory nor the time of a single write is large
    while blocks:
        part = min(blocks, 2048)
        os.pwrite(fd, content(at, part, generation), at * BLOCK)
        at, blocks = at + part, blocks - part

def opened():
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)

generation = 1
fd = opened()
write(fd, generation)
os.close(fd)
print("ready", flush=True)
while True:
    generation += 1
    with contextlib.suppress(OSError):
        if deed == "grow":
            fd = opened()
            end = os.fstat(fd).st_size // BLOCK
            write(fd, generation, 64, end)
            if end * BLOCK > 2 * size:
                os.ftruncate(fd, size)
            os.close(fd)
        elif deed == "rewrite":
            fd = opened()
            write(fd, generation)
            os.close(fd)
        elif deed == "shrink":
            fd = opened()
            os.ftruncate(fd, size // 4 // BLOCK * BLOCK)
            time.sleep(0.003)
            write(fd, generation)
            os.close(fd)
        elif deed == "link":
            os.symlink(canary + "/secret", path + ".link")
            os.rename(path + ".link", path)
            time.sleep(0.001)
            os.unlink(path)
            fd = opened()
            write(fd, generation)
            os.close(fd)
        elif deed == "directory":
            os.unlink(path)
            os.mkdir(path)
            os.symlink(canary, path + "/out")
            time.sleep(0.001)
            os.unlink(path + "/out")
            os.rmdir(path)
            fd = opened()
            write(fd, generation)
            os.close(fd)
        elif deed == "forbid":
            os.chmod(path, 0)
            time.sleep(0.002)
            os.chmod(path, 0o644)
        elif deed == "replace":
            fd = os.open(path + ".new", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
            write(fd, generation)
            os.close(fd)
            os.rename(path + ".new", path)
        elif deed == "vanish":
            os.unlink(path)
            time.sleep(0.002)
            fd = opened()
            write(fd, generation)
            os.close(fd)
"""
DEEDS = ("grow", "rewrite", "shrink", "link", "directory", "forbid", "replace", "vanish")
AT_TIMES = ("vanish", "directory", "link")  # there is no such name for a moment
ONE_STATE = ("replace",)  # its readers see whole generations without any fence


@pytest.fixture
def place():
    """A directory that nobody owns, below one that nobody else may change."""
    base = Path(tempfile.mkdtemp(prefix="roost-live-"))
    base.chmod(0o711)
    for name in ("tree", "out"):
        (base / name).mkdir()
        if os.geteuid() == 0:
            os.chown(base / name, NOBODY, NOBODY)
    (base / "canary").mkdir()
    (base / "canary" / "secret").write_bytes(SECRET * 100_000)
    yield base
    shutil.rmtree(base, ignore_errors=True)


def as_nobody():
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


@contextlib.contextmanager
def tenants(*argvs, source=WRITER, user=None):
    """Processes that have begun, until the end."""
    user = as_nobody() if user is None else user
    processes = [subprocess.Popen([sys.executable, "-c", source, *map(str, argv)], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, **user) for argv in argvs]
    try:
        for process in processes:
            assert process.stdout.readline() == b"ready\n", process.stderr.read()
        yield processes
        for process in processes:
            assert process.poll() is None, process.stderr.read()
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()


def create(place, number):
    """An archive of the tree, made by nobody: its path, and what the report says of each name."""
    archive = place / "out" / f"{number}.tar.gz"
    done = subprocess.run([ROOST, "archive", "create", "--compression", "store", place / "tree", archive],
                          env=program_env(place / "out" / "sanitizer"), capture_output=True, text=True,
                          errors="surrogateescape", timeout=300, check=False, cwd=place / "out", **as_nobody())
    assert done.returncode in (0, 3), done.stderr
    report = {}
    for line in done.stderr.splitlines():
        if line.startswith("archiving "):  # how far it is, every ten seconds
            continue
        match = re.fullmatch(r"roost: ([a-z ]+): ([^:]+)(?:: (.*))?", line)
        assert match, line
        kind, name, text = match.groups()
        report.setdefault(name, []).append((kind, text))
    assert (done.returncode == 3) == bool(report), done.stderr
    return archive, report


def generations(data, number):
    """The generation of each block, 0 for zeros; fails where a byte belongs to no state of the file."""
    found = []
    for start in range(0, len(data), BLOCK):
        block = data[start:start + BLOCK]
        assert len(block) == BLOCK, "not a number of blocks"
        # A block that was copied while it was written is a mix of two generations, in pieces no smaller than a record.
        for at in (0,) if block == block[:16] * 32 else range(0, BLOCK, 16):
            record = block[at:at + 16]
            if record == bytes(16):
                found.append(0)
                continue
            owner, index, generation = struct.unpack("<IIQ", record)
            assert owner == number and index == start // BLOCK, f"block {start // BLOCK}: {record!r}"
            found.append(generation)
    return found


def check(archive, report, numbers, stable):
    seen = set()
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.removeprefix("./").rstrip("/")
            seen.add(name)
            if not member.isreg():
                continue
            data = tar.extractfile(member).read()
            assert SECRET not in data, f"{name} has what is outside"
            if name in stable:
                assert data == stable[name] and name not in report
                continue
            owner = name.removesuffix(".new")
            found = generations(data, numbers[owner])
            if name in report:
                continue
            assert 0 not in found, f"{name}: zeros that nobody named"
            if owner.split("-")[0] == "grow":
                assert found == sorted(found), f"{name}: no prefix"
            elif owner.split("-")[0] in ONE_STATE and name == owner:
                assert len(set(found)) <= 1, f"{name}: {set(found)}"
    missing = [name for name in stable if name not in seen]
    assert not missing
    for name in numbers:
        assert name in seen or name in report or name.split("-")[0] in AT_TIMES, f"{name} is neither stored nor named"


@pytest.mark.parametrize("size", SIZES)
def test_every_byte_is_of_a_state_that_the_file_had(place, size):
    deeds = ("grow", "rewrite", "shrink") if size == "large" else DEEDS
    numbers = {f"{deed}-{size}": count + 1 for count, deed in enumerate(deeds)}
    stable = {f"{letter}-stays": os.urandom(200_000) for letter in "afmz"}
    for name, content in stable.items():
        (place / "tree" / name).write_bytes(content)
        (place / "tree" / name).chmod(0o644)
    argvs = [(name.split("-")[0], place / "tree" / name, SIZES[size], number, place / "canary")
             for name, number in numbers.items()]
    named = set()
    with tenants(*argvs):
        for number in range(2 if size == "large" or SANITIZED else 5):
            archive, report = create(place, number)
            check(archive, report, numbers, stable)
            named.update(report)
            archive.unlink()
    # What is written without a pause cannot have escaped where reading it takes so long.
    assert size != "large" or "rewrite-large" in named


# A process that renames: directories down into each other and up again, out of the tree and back, over and over.
MOVER = r"""
import contextlib, os, sys, time
tree, outside = sys.argv[1], sys.argv[2]
os.chdir(tree)
print("ready", flush=True)
moves = [("m", "z/m"), ("z/m", "m"), ("a/deep", "z/deep"), ("z/deep", "a/deep"), ("a", "m/a"), ("m/a", "a"),
         ("m/x", "m/y"), ("m/y", "m/x"), ("z/out", outside + "/out"), (outside + "/out", "z/out")]
while True:
    for source, target in moves:
        with contextlib.suppress(OSError):
            os.rename(source, target)
        time.sleep(0.0005)
"""


def test_directories_that_move_make_neither_a_loop_nor_silence(place):
    """Up, down, sideways and out of the tree, while it is walked."""
    tree = place / "tree"
    for name in ("a/deep/1", "a/deep/er/2", "a/3", "m/x/4", "m/x/5/6", "m/7", "z/8", "z/out/9"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        for copy in range(20):
            (tree / f"{name}.{copy}").write_bytes(f"{name}.{copy}".encode() * 50)
    leaves = {path.name: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    if os.geteuid() == 0:
        for path in tree.rglob("*"):
            os.chown(path, NOBODY, NOBODY)
    (place / "elsewhere").mkdir()
    if os.geteuid() == 0:
        os.chown(place / "elsewhere", NOBODY, NOBODY)
    with tenants((tree, place / "elsewhere"), source=MOVER):
        for number in range(6 if SANITIZED else 25):
            archive, _ = create(place, number)
            with tarfile.open(archive) as tar:
                members = [member for member in tar if member.isreg()]
                assert len(members) < 20 * len(leaves), "a loop"
                for member in members:
                    assert tar.extractfile(member).read() == leaves[os.path.basename(member.name)]
            archive.unlink()


# Whatever moves here stays below the same root, and only into directories that are still being walked.
SHUFFLER = r"""
import os, sys, time
os.chdir(sys.argv[1])
print("ready", flush=True)
while True:
    for source, target in (("world", "world.old"), ("world.old", "world")):
        os.rename(source, target)
        time.sleep(0.002)
"""


def test_a_directory_that_is_renamed_meanwhile_leaves_no_hole(place):
    world = place / "tree" / "world"
    for number in range(60):
        (world / f"d{number:02}").mkdir(parents=True)
        for count in range(20):
            (world / f"d{number:02}" / f"f{count}").write_bytes(b"x" * 2000)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", place / "tree"], check=True)
    with tenants((place / "tree",), source=SHUFFLER):
        for number in range(5 if SANITIZED else 15):
            archive, report = create(place, number)
            with tarfile.open(archive) as tar:
                found = {re.sub(r"^(\./)?world(\.old)?/", "", member.name) for member in tar if member.isreg()}
            wanted = {f"d{at:02}/f{count}" for at in range(60) for count in range(20)}
            assert found == wanted, f"{sorted(wanted - found)[:5]} {report}"
            archive.unlink()


def test_a_backup_through_the_panel_completes_and_names_them(fresh):
    server = fresh.add_server({"a-stays": b"a" * 5000, "z-stays": b"z" * 5000})
    canary = fresh.base / "canary"
    canary.mkdir()
    (canary / "secret").write_bytes(SECRET * 1000)
    numbers = {f"{deed}-medium": count + 1 for count, deed in enumerate(DEEDS)}
    numbers["rewrite-large"] = len(numbers) + 1
    argvs = [(name.split("-")[0], server.directory / name, SIZES[name.split("-")[1]], number, canary)
             for name, number in numbers.items()]
    named = set()
    with tenants(*argvs, user={}):
        for _ in range(2):
            view = server.backup()
            with tarfile.open(server.archive(view["uuid"])) as tar:
                for member in tar:
                    if member.isreg():
                        assert SECRET not in tar.extractfile(member).read()
    for row in fresh.node_rows("archives"):
        named.update(item["path"] for item in json.loads(row["capture"])["items"])
    assert "rewrite-large" in named and not [name for name in named if name.endswith("-stays")]
    assert "backup has omissions" in fresh.log_text()
