# SPDX-License-Identifier: Apache-2.0
"""A job leaves the machine to its neighbours: reads, writes, processor time, priorities, memory."""
import ctypes
import os
import subprocess
import time
from pathlib import Path

import pytest

from harness import ROOST, SANITIZED, program_env, wait_until

MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")
SYS_IOPRIO_GET = {"x86_64": 252, "aarch64": 31}.get(os.uname().machine)


def words(size):
    """Content that a compressor has work with, and that the next block does not repeat."""
    return b"".join(b"%08x block of a world, " % (number * 2654435761 % 2**32) for number in range(size // 24))


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def elapsed(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began


def test_a_limited_job_uses_so_much_of_a_processor(make):
    """All threads of it, over its run."""
    roost = make({"node.cpu_limit": 50, "node.compression": "best", "node.compress_threads": 4})
    server = roost.add_server({f"f{number}": words(4 * MIB) for number in range(8)})
    pid = roost.programs[-1].pid
    before = cpu_s(pid)
    backup = server.create().json()["attributes"]["uuid"]
    wall = elapsed(lambda: server.wait(backup, timeout_s=120))
    spent = cpu_s(pid) - before
    roost.stop()
    assert spent > 0.5, "there was nothing to limit"
    assert spent / wall <= 0.60, (spent, wall)


@pytest.mark.parametrize("what", ["read", "write"])
def test_reads_and_writes_keep_to_their_rates(make, what):
    """A second's worth of either may go at once; the rest at the rate."""
    roost = make({f"node.{what}_limit": f"{2 * MIB}"})
    server = roost.add_server({"noise": os.urandom(8 * MIB), "small": b"s"})
    made = []
    assert elapsed(lambda: made.append(server.backup())) >= 2.5
    server.write({"noise": b"gone"})
    assert elapsed(lambda: server.restore(made[0]["uuid"])) >= 2.5
    assert len(server.tree()["noise"]) == 8 * MIB


def threads_of(pid):
    """{name: {(io class, nice)}} of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
            nice = int((task / "stat").read_text().rpartition(")")[2].split()[16])
        except OSError:
            continue
        priority = libc.syscall(SYS_IOPRIO_GET, 1, int(task.name))
        found.setdefault(name, set()).add((priority >> 13, nice))
    return found


@pytest.mark.skipif(SYS_IOPRIO_GET is None, reason="the number of ioprio_get is not known here")
@pytest.mark.parametrize("settings,io_class,nicer", [
    ({}, 3, 5), ({"node.io_class": "best-effort", "node.nice": 12}, 2, 12), ({"node.io_class": "none", "node.nice": 0}, 0, 0),
])
def test_every_thread_of_a_job_has_its_priorities(make, settings, io_class, nicer):
    roost = make({**settings, "node.write_limit": f"{4 * MIB}"})
    server = roost.add_server({"noise": os.urandom(24 * MIB)})  # more than may be on its way: then threads come to wait
    pid = roost.programs[-1].pid
    backup = server.create().json()["attributes"]["uuid"]
    names = {"node-job", "archive-pack", "archive-write"}
    found = wait_until("the job's threads", lambda: (seen := threads_of(pid)).keys() >= names and seen)
    ours = os.nice(0)
    expected = (io_class, max(nicer, ours))
    for name in names:
        assert expected in found[name], found
    assert found["archive-pack"] == found["archive-write"] == {expected}
    assert found["node-hub"] == {(0, ours)}
    server.wait(backup)
    roost.stop()


# The sanitizers' own memory is no measure.
@pytest.mark.skipif(SANITIZED, reason="measures memory")
def test_memory_stays_within_bounds_whatever_the_tree(make):
    """Names without end in one directory, depth, links, holes, large files: there and back."""
    roost = make({"node.compression": "best"})
    server = roost.add_server({"a.txt": b"a"})
    root = server.directory
    names = 60_000
    (root / "many").mkdir()
    for number in range(names):
        (root / "many" / f"{number:06d}-{'n' * 200}").touch()
    for number in range(3000):
        os.link(root / "a.txt", root / "many" / f"link-{number:06d}-{'l' * 200}")
    deep = root
    for _ in range(15):
        deep = deep / ("d" * 250)
        deep.mkdir()
    with open(root / "holes", "wb") as file:
        for number in range(30_000):
            file.seek(number * 16384)
            file.write(b"x" * 4096)
    (root / "large").write_bytes(os.urandom(MIB) * 150)
    program = roost.programs[-1]
    at_rest = program.memory_kib()
    made = server.backup()
    assert server.restore(made["uuid"]).status_code == 204
    (root / "many" / "link-live").touch()
    body = {"leave_ignored": True, "ignored": ["many/link-*", "d" * 250 + "/", "holes"]}
    assert server.restore(made["uuid"], wait=False, **body).status_code == 204
    server.wait_restored(120)
    (root / "many" / "link-live").unlink()
    assert program.memory_kib() - at_rest < 64 * 1024
    assert len(os.listdir(root / "many")) == names + 3000
    roost.stop()


# ---- the command line ----

def run_archive(tmp_path, *args):
    """Seconds, processor seconds."""
    began = time.monotonic()
    process = subprocess.Popen([ROOST, "archive", *map(str, args)], env=program_env(tmp_path / "sanitizer"),
                               stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime


def test_commands_take_the_same_limits(roost, tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "noise").write_bytes(os.urandom(6 * MIB))
    rate = f"{2 * MIB}"
    wall, _ = run_archive(tmp_path, "create", tmp_path / "tree", tmp_path / "a", "--read-limit", rate)
    assert wall >= 1.5
    wall, _ = run_archive(tmp_path, "create", tmp_path / "tree", tmp_path / "b", "--write-limit", "2 MiB")
    assert wall >= 1.5
    for number, option in enumerate(("--read-limit", "--write-limit")):
        wall, _ = run_archive(tmp_path, "extract", tmp_path / "a", tmp_path / f"out{number}", option, rate)
        assert wall >= 1.5
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    for number in range(6):
        (tmp_path / "tree" / f"words{number}").write_bytes(words(4 * MIB))
    wall, spent = run_archive(tmp_path, "create", tmp_path / "tree", tmp_path / "c", "--cpu-limit", "30", "--compression", "best")
    assert spent > 0.3 and spent / wall <= 0.45


def test_wrong_limits_are_named(roost, tmp_path):
    (tmp_path / "tree").mkdir()
    for options, says in ((["--read-limit", "fast"], "--read-limit"), (["--write-limit", "-1"], "--write-limit"),
                          (["--cpu-limit", "6401"], "per cent"), (["--cpu-limit", "half"], "per cent")):
        done = roost.run("archive", "create", tmp_path / "tree", tmp_path / "a", *options, status=2)
        assert says in done.stderr
        assert not (tmp_path / "a").exists()
