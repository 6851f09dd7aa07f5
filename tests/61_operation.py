# SPDX-License-Identifier: Apache-2.0
"""What operators' tools ask: health, readiness, metrics."""
import os
import re
import select
import signal
import socket
import time

import harness

LINE = re.compile(r'([a-z_]+)(?:\{(.*)\})? (-?[0-9.e+]+)')


def read_metrics(text):
    """Values by (name, labels); every line is one, or describes a family that was not there before."""
    values, families = {}, {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            assert line.split(" ", 3)[2] not in families, f"twice: {line}"
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            families[name] = kind
            assert (kind == "counter") == name.endswith("_total"), line
        else:
            name, labels, value = LINE.fullmatch(line).groups()
            assert name == list(families)[-1], f"outside its family: {line}"
            assert (name, labels) not in values, f"twice: {line}"
            values[name, labels] = float(value)
    return values


def metrics(client):
    answer = client.get("/metrics")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return read_metrics(answer.text)


def test_metrics_tell_what_happened(make):
    roost = make()
    server = roost.add_server(files={"level": os.urandom(300_000)})
    other = roost.add_server()
    before = time.time()
    backup = server.backup()
    server.restore(backup["uuid"])
    values = metrics(roost.bare())
    of = f'server="{server.uuid}"'
    assert values["roost_build_info", 'version="0.1.0"'] == 1
    assert values["roost_panel_backups", 'state="completed"'] == 1
    assert values["roost_panel_backups", 'state="failed"'] == values["roost_panel_backups", 'state="creating"'] == 0
    assert values["roost_panel_server_backups", of] == 1
    assert values["roost_panel_server_backup_bytes", of] == backup["bytes"]
    assert before - 2 <= values["roost_panel_server_last_success_timestamp_seconds", of] <= time.time() + 1
    assert values["roost_panel_server_backups", f'server="{other.uuid}"'] == 0
    assert ("roost_panel_server_last_success_timestamp_seconds", f'server="{other.uuid}"') not in values
    assert values["roost_node_jobs_ended_total", 'kind="backup",outcome="successful"'] == 1
    assert values["roost_node_jobs_ended_total", 'kind="restore",outcome="successful"'] == 1
    assert values["roost_node_job_content_bytes_total", 'kind="backup"'] == 300_000
    assert values["roost_node_archive_written_bytes_total", None] == backup["bytes"]
    assert values["roost_node_archives", of] == 1
    assert values["roost_node_archive_bytes", of] == backup["bytes"]
    assert values["roost_node_jobs", 'state="running"'] == values["roost_node_jobs", 'state="waiting"'] == 0
    assert values["roost_node_reports_waiting", 'kind="backup"'] == 0


def test_failures_are_counted_by_cause(make):
    roost = make({"node.backup_limit": "64 KiB"})
    server = roost.add_server(files={"level": os.urandom(300_000)})
    failed = server.wait(server.create().json()["attributes"]["uuid"])
    assert not failed["is_successful"]
    values = metrics(roost.bare())
    assert values["roost_node_jobs_ended_total", 'kind="backup",outcome="failed"'] == 1
    assert values["roost_node_failures_total", 'kind="backup",cause="limit"'] == 1
    assert values["roost_panel_backups", 'state="failed"'] == 1


def test_running_and_waiting_jobs_and_leases_are_seen(make):
    roost = make({"node.write_limit": "1 MiB", "node.jobs": "1", "panel.lease": "10 min"})
    servers = [roost.add_server(files={"level": os.urandom(12 << 20)}) for _ in range(2)]
    backups = [server.create().json()["attributes"]["uuid"] for server in servers]
    harness.wait_until("both are seen", lambda: [
        metrics(roost.bare())["roost_node_jobs", f'state="{state}"'] for state in ("running", "waiting")] == [1, 1])
    values = metrics(roost.bare())
    assert values["roost_panel_backups", 'state="creating"'] == 2
    assert 500 < values["roost_panel_lease_left_seconds", None] <= 601
    for server, backup in reversed(list(zip(servers, backups))):
        server.client().post(f"/api/client/servers/{server.uuid}/backups/{backup}/cancel")
        server.wait(backup)
    assert metrics(roost.bare())["roost_node_jobs_ended_total", 'kind="backup",outcome="cancelled"'] == 2


def test_reports_that_wait_for_the_panel_are_seen(make):
    roost = make({"node.write_limit": "1 MiB"}, apart=True)
    server = roost.add_server(files={"level": os.urandom(6 << 20)})
    server.create()
    harness.wait_until("it runs", lambda: metrics(roost.node_client(None))["roost_node_jobs", 'state="running"'] == 1)
    roost.panel.kill()
    harness.wait_until("its report waits", lambda: metrics(roost.node_client(None))[
        "roost_node_reports_waiting", 'kind="backup"'] == 1)
    node_alone = metrics(roost.node_client(None))
    assert not [name for name, _ in node_alone if name.startswith("roost_panel")]
    assert roost.node_client(None).get("/readyz").status_code == 200, "a node without its panel goes on"


def test_metrics_are_for_those_who_may(make):
    roost = make({"listen.metrics_from": "203.0.113.0/24", "listen.trusted_proxies": "127.0.0.1"})
    refused = roost.bare().get("/metrics")
    assert refused.status_code == 403 and "roost_" not in refused.text
    assert roost.bare().get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 200
    assert roost.bare().get("/metrics", headers={"X-Forwarded-For": "203.0.114.9"}).status_code == 403
    assert roost.bare().get("/healthz").json() == roost.bare().get("/readyz").json() == {"status": "ok"}
    strange = make({"listen.metrics_from": "127.0.0.1"})
    assert strange.bare().get("/metrics").status_code == 200
    assert strange.bare().get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403
    assert roost.bare().post("/healthz").status_code == 405
    assert roost.bare().get("/healthz/x").status_code == 404


def test_what_cannot_work_is_not_ready(make):
    roost = make()
    for path, table, reason in ((roost.database, "backups", "the panel's database does not answer"),
                                (roost.journal, "outbox", "the node's journal does not answer")):
        assert roost.bare().get("/readyz").status_code == 200
        roost.sql(f"ALTER TABLE {table} RENAME TO elsewhere", path=path)
        for door in ("/readyz", "/metrics"):
            answer = roost.bare().get(door)
            assert answer.status_code == 503 and answer.json() == {"status": "unready", "reason": reason}
        assert roost.bare().get("/healthz").status_code == 200
        roost.sql(f"ALTER TABLE elsewhere RENAME TO {table}", path=path)
        harness.wait_until("it to be ready again", lambda: roost.bare().get("/readyz").status_code == 200)
    assert "no such table" in roost.log_text()


def test_the_service_manager_hears_that_it_lives(make, tmp_path):
    place = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(place)
        manager.settimeout(harness.PATIENCE_S)
        roost = make()
        roost.stop()
        roost.env = {**roost.env, "NOTIFY_SOCKET": place, "WATCHDOG_USEC": "400000"}
        roost.start()
        heard, times = [], []
        while heard.count(b"WATCHDOG=1") < 6:
            heard.append(manager.recv(100))
            times.append(time.monotonic())
        assert heard == [b"READY=1"] + [b"WATCHDOG=1"] * 6
        assert 0.7 < times[-1] - times[1] < 10, "every 0.2 s"
        os.kill(roost.program.pid, signal.SIGSTOP)  # it is stuck
        time.sleep(0.3)
        while select.select([manager], [], [], 0)[0]:
            manager.recv(100)
        assert select.select([manager], [], [], 1)[0] == []
        os.kill(roost.program.pid, signal.SIGCONT)
        assert manager.recv(100) == b"WATCHDOG=1"
        roost.stop()
        while heard[-1] != b"STOPPING=1":
            heard.append(manager.recv(100))
