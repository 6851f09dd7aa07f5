# SPDX-License-Identifier: Apache-2.0
"""How far a running backup is: in the view, and on a terminal."""
import os
import pty
import re
import subprocess

import harness

SIZE = 32 << 20  # more than what is on its way to the disk at once


def test_the_view_of_a_running_backup_tells_how_far_it_is(make):
    roost = make({"node.write_limit": "6 MiB", "node.heartbeat": "1 s"})
    server = roost.add_server(files={"big": os.urandom(SIZE)})
    backup = server.create().json()["attributes"]["uuid"]
    seen = []

    def has_moved():
        view = server.view(backup)
        if view.get("progress"):
            seen.append(view["progress"])
        return len({step["bytes"] for step in seen}) >= 3

    harness.wait_until("progress", has_moved)
    assert all(step["expected_bytes"] >= SIZE for step in seen)
    assert all(step["phase"] == "archiving" and step["files"] >= 1 for step in seen if step["bytes"])
    last = seen[-1]
    assert 2 << 20 < last["bytes_per_second"] < 12 << 20, seen
    assert abs(last["eta_seconds"] - (last["expected_bytes"] - last["bytes"]) / last["bytes_per_second"]) <= 1, seen
    assert [step["bytes"] for step in seen] == sorted(step["bytes"] for step in seen)
    assert 0 < seen[-1]["bytes"] <= SIZE
    done = server.wait(backup)
    assert done["is_successful"] and "progress" not in done


def test_a_backup_that_waits_for_its_turn_says_so(make):
    roost = make({"node.write_limit": "2 MiB", "node.jobs": "1"})
    first, second = (roost.add_server(files={"big": os.urandom(20 << 20)}) for _ in range(2))
    running, waiting = (server.create().json()["attributes"]["uuid"] for server in (first, second))
    progress = harness.wait_until("its progress", lambda: second.view(waiting).get("progress"))
    assert progress == {"phase": "waiting", "files": 0, "bytes": 0, "expected_bytes": None, "bytes_per_second": None,
                        "eta_seconds": None}
    first.client().post(f"/api/client/servers/{first.uuid}/backups/{running}/cancel")
    harness.wait_until("it to run", lambda: second.view(waiting)["progress"]["phase"] == "archiving")
    assert second.wait(waiting)["is_successful"]


def test_a_terminal_sees_a_bar(make):
    roost = make({"node.write_limit": "6 MiB", "node.heartbeat": "1 s"})
    server = roost.add_server(files={"big": os.urandom(SIZE)})
    ours, theirs = pty.openpty()
    env = {**harness.program_env(roost.base / "cli.sanitizer"), "ROOST_CONFIG": str(roost.config),
           "ROOST_API_KEY": server.key, "TERM": "xterm"}
    process = subprocess.Popen([harness.ROOST, "backup", "create", "--wait", server.uuid, "seen"], stderr=theirs,
                               stdout=subprocess.DEVNULL, env=env)
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    assert process.wait(harness.PATIENCE_S) == 0
    os.close(ours)
    text = shown.decode(errors="replace")
    percents = [int(number) for number in re.findall(r"(\d+) %", text)]
    assert any(0 < percent < 100 for percent in percents) and percents == sorted(percents), text[-500:]
