# SPDX-License-Identifier: Apache-2.0
"""The other end of the wire is not what it should be: a node, a panel or a stranger that means no good."""
import contextlib
import json
import os
import socket
import threading
import time

import pytest

from expect import MORE, check, error
from harness import EXTENDED, Client, wait_until

UNREACHABLE = "Could not establish a connection to the machine running this server. Please try again."


class Fake:
    """Somebody who listens on a port, reads whole requests, and answers each as `behave(request)` says.

    Bytes are sent as they are, a list of bytes with pauses between; None hangs up.
    """

    def __init__(self, port, behave):
        self.behave = behave
        self.requests = []
        self.connections = []
        self.socket = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.run, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in self.connections:  # what is kept alive must not meet the next test
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.connections.append(connection)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, contextlib.suppress(OSError, ValueError):
            while request := read_request(connection):
                self.requests.append(request)
                answer = self.behave(request)
                if answer is None:
                    return
                for piece in answer if isinstance(answer, list) else [answer]:
                    connection.sendall(piece)
                    if isinstance(answer, list):
                        time.sleep(0.2)
                if b"Content-Length" not in (answer[0] if isinstance(answer, list) else answer):
                    return


class Request:
    def __init__(self, method, path, body):
        self.method, self.path, self.body = method, path, body

    def json(self):
        return json.loads(self.body)


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += connection.recv(65536)
    method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
    return Request(method, path, body)


def answer(status, body=b"", more=""):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


# ---- a panel whose node lies ----

@pytest.fixture(scope="module")
def panel(make):
    """A panel with a server that has a completed backup, and nothing where its node should be."""
    roost = make(apart=True)
    server = roost.add_server()
    server.kept = server.backup()["uuid"]
    roost.node.stop()
    roost.programs.remove(roost.node)
    yield server
    roost.stop()


def failed(status, code=None):
    """What stands in the answer where the node failed."""
    code = code or status
    return error("DaemonConnectionException", status,
                 "There was an error while communicating with the machine running this server. This error has been "
                 f"logged, please try again. (code: {code}) (request_id: r1)")


def refused(status, text, request_id="r1"):
    return error("DaemonConnectionException", status,
                 f"An error occurred on the remote host: {text}. (request id: {request_id})")


ID = "X-Request-Id: r1\r\n"
# what the node answers; what the panel answers
ANSWERS = {
    "an error of its own": (answer(500, {"error": "secret"}, ID), 500, failed(500)),
    "busy": (answer(503, b"", ID), 503, failed(503)),
    "a refusal": (answer(400, {"error": "No such thing"}, ID), 400, refused(400, "No such thing")),
    "a refusal of the token": (answer(403, {"error": "You are not authorized."}, ID), 403,
                               refused(403, "You are not authorized.")),
    "no reason": (answer(409, b"<html>", ID), 409, refused(409, "the node gave no reason")),
    "a reason that is no text": (answer(409, {"error": {"a": 1}}, ID), 409, refused(409, "the node gave no reason")),
    "a reason with control bytes": (answer(400, {"error": "a\r\nX: y\u0007"}, ID), 400,
                                    refused(400, "a\r\nX: y\u0007")),
    "a redirection": (answer(302, b"", ID + "Location: http://127.0.0.1:1/\r\n"), 502, failed(502, 302)),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_a_node_refuses_leaves_nothing(panel, name):
    said, status, pattern = ANSWERS[name]
    with Fake(panel.roost.node_port, lambda _: said):
        check(panel.create(), status, pattern)
        check(panel.restore(panel.kept, wait=False), status, pattern)
        check(panel.client().delete(f"{panel.api}/backups/{panel.kept}"), status, pattern)
    assert panel.status() is None
    assert [item["attributes"]["uuid"] for item in panel.list()["data"]] == [panel.kept]


# The order may have arrived: what is then true, only the node knows.
LOST = {
    "it hangs up": None,
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "half a head": b"HTTP/1.1 202 Acc",
    "half a body": b"HTTP/1.1 202 x\r\nContent-Length: 100\r\n\r\nabc",
    "an endless body": b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 65536 + b"\r\n"
                       + b"10000\r\n" + b"x" * 65536 + b"\r\n",
    "endless headers": b"HTTP/1.1 202 x\r\n" + b"X-A: b\r\n" * 200_000,
}


@pytest.mark.parametrize("name", LOST)
def test_an_order_whose_answer_is_lost_is_kept_until_the_node_tells(panel, name):
    roost = panel.roost
    with Fake(roost.node_port, lambda _: LOST[name]) as node:
        created = panel.create()
        assert created.status_code in (502, 504), created.text
        order = next(r for r in node.requests if r.method == "POST" and r.path.endswith("/backup"))
    backup = order.json()["uuid"]
    assert panel.view(backup)["completed_at"] is None
    assert panel.create().status_code == 409
    report = {"successful": True, "checksum": "ab" * 20, "checksum_type": "sha1", "size": 5, "parts": None}
    assert roost.remote().post(f"/api/remote/backups/{backup}", json=report).status_code == 204
    assert panel.view(backup)["is_successful"]
    with Fake(roost.node_port, lambda _: LOST[name]):
        assert panel.restore(backup, wait=False).status_code in (502, 504)
    assert panel.status() == "restoring_backup"
    assert roost.remote().post(f"/api/remote/backups/{backup}/restore", json={"successful": False}).status_code == 204
    assert panel.status() is None
    with Fake(roost.node_port, lambda _: LOST[name]):
        assert panel.client().delete(f"{panel.api}/backups/{backup}").status_code in (502, 504)
    assert panel.view(backup)["is_successful"]
    with Fake(roost.node_port, lambda _: answer(404, {"error": "gone"})):
        assert panel.client().delete(f"{panel.api}/backups/{backup}").status_code == 204
    assert roost.panel.memory_kib() < 400_000


def test_a_node_that_reports_before_it_answers_is_heard(panel):
    """The panel has committed before it dispatches: no report comes too early."""
    remote = panel.roost.remote()
    statuses = []

    def report_first(request):
        body = {"successful": True, "checksum": "cd" * 32, "checksum_type": "sha256", "size": 7, "parts": None}
        uuid = request.json()["uuid"]
        statuses.append(remote.post(f"/api/remote/backups/{uuid}", json=body).status_code)
        statuses.append(remote.post(f"/api/remote/backups/{uuid}", json=body).status_code)
        statuses.append(remote.post(f"/api/remote/backups/{uuid}", json={**body, "size": 8}).status_code)
        return answer(500, {"error": "and then it fails"})

    with Fake(panel.roost.node_port, report_first) as node:
        assert panel.create().status_code == 500
        uuid = node.requests[0].json()["uuid"]
    assert statuses == [204, 204, 400]
    view = panel.view(uuid)
    assert view["is_successful"] and view["bytes"] == 7
    panel.roost.sql("DELETE FROM backups WHERE uuid = ?", uuid)


def test_a_slow_node_delays_nobody_else(panel):
    """Requests that wait for a node are other threads' than requests that read."""
    gate = threading.Event()

    def wait(_):
        gate.wait(10)
        return answer(500)

    with Fake(panel.roost.node_port, wait):
        pool = [threading.Thread(target=panel.create, daemon=True) for _ in range(3)]
        for thread in pool:
            thread.start()
        time.sleep(0.5)
        began = time.monotonic()
        for _ in range(20):
            assert panel.client().get(f"{panel.api}/backups").status_code == 200
        assert time.monotonic() - began < 3
        gate.set()
        for thread in pool:
            thread.join(20)
    assert [item["attributes"]["uuid"] for item in panel.list()["data"]] == [panel.kept]


# ---- a node whose panel lies ----

def server_json(uuid):
    return {"uuid": uuid, "settings": {"uuid": uuid, "meta": {"name": "x"}, "suspended": False,
                                       "build": {"disk_space": 0}}, "process_configuration": {}}


class FakePanel(Fake):
    """A panel that knows one server, and takes what it is sent; `report` says what it answers to reports."""

    def __init__(self, port, uuid, report):
        self.uuid = uuid
        self.report = report
        super().__init__(port, self.route)

    def route(self, request):
        if request.path.startswith("/api/remote/servers?"):
            meta = {"current_page": 1, "from": 1, "last_page": 1, "per_page": 50, "to": 1, "total": 1}
            return answer(200, {"data": [server_json(self.uuid)], "meta": meta})
        if request.path.startswith("/api/remote/servers/reset"):
            return answer(204)
        if request.path.startswith("/api/remote/servers/"):
            known = request.path.endswith(self.uuid)
            return answer(200, server_json(self.uuid)) if known else answer(404)
        return self.report(request)

    def reports(self):
        return [r.json() for r in self.requests if r.method == "POST" and "/backups/" in r.path
                and not r.path.endswith(("/heartbeat", "/restore"))]


@pytest.fixture
def lonely(make):
    """A node whose panel is ours."""
    roost = make(apart=True)
    server = roost.add_server()
    roost.stop()
    yield server
    roost.stop()


BAD_THEN_GOOD = {
    "hangs up": None,
    "answers no HTTP": b"\x00\xff" * 100,
    "fails": answer(500, {"errors": []}),
    "does not know the backup yet": answer(404, {"errors": []}),
    "endless": b"HTTP/1.1 200 x\r\n" + b"X-A: b\r\n" * 200_000,
    "redirects": answer(302, b"", "Location: http://127.0.0.1:1/\r\n"),
}


@pytest.mark.parametrize("name", BAD_THEN_GOOD)
def test_a_report_is_sent_until_it_is_taken(lonely, name):
    roost = lonely.roost
    backup = "11111111-2222-4333-8444-555555555555"
    answers = [BAD_THEN_GOOD[name], BAD_THEN_GOOD[name]]

    def report(request):
        return answers.pop(0) if answers and "heartbeat" not in request.path else answer(204)

    with FakePanel(roost.port, lonely.uuid, report) as panel:
        roost.start_node()
        order = {"adapter": "wings", "uuid": backup, "ignore": ""}
        assert roost.node_client().post(f"/api/servers/{lonely.uuid}/backup", json=order).status_code == 202
        wait_until("three reports", lambda: len(panel.reports()) >= 3, 30)
        wait_until("the outbox to be empty", roost.is_node_idle)
        reports = panel.reports()
    assert all(r == reports[0] for r in reports) and reports[0]["successful"]
    assert lonely.archive(backup).stat().st_size == reports[0]["size"]


LIES = {
    "no list": answer(200, {"data": 5}),
    "no JSON": answer(200, b"<html>"),
    "too many brackets": answer(200, b"[" * 900_000),
    "a path for a uuid": answer(200, {"data": [server_json("../../../../etc")], "meta": {"last_page": 1}}),
    "a list without an end": answer(200, {"data": [], "meta": {"current_page": 1, "last_page": 1 << 60}}),
    "too large": answer(200, b" " * 80_000_000),
}


@pytest.mark.parametrize("name", LIES)
def test_a_node_survives_what_a_panel_says(lonely, name):
    roost = lonely.roost
    with Fake(roost.port, lambda r: LIES[name] if "/servers?" in r.path else answer(404)) as panel:
        roost.start_node()
        node = roost.node_client()
        assert node.get("/api/system").status_code == 200
        for uuid in ("..", "%2e%2e%2f%2e%2e", lonely.uuid):
            assert node.post(f"/api/servers/{uuid}/backup", json={"adapter": "wings", "uuid": lonely.uuid,
                                                                  "ignore": ""}).status_code == 404
        time.sleep(1)
        asked = sum("/servers?" in r.path for r in panel.requests)
        assert asked < 60, "it asks again and again"
        assert roost.node.memory_kib() < 400_000
    assert not roost.backups.exists() or os.listdir(roost.backups) == []


# ---- strangers ----

def test_forwarded_addresses_are_only_believed_from_trusted_proxies(make, roost, shared_server):
    key = roost.confined(roost.key)
    lies = [{"X-Forwarded-For": "10.1.2.3"}, {"X-Real-IP": "10.1.2.3"}, {"Forwarded": "for=10.1.2.3"},
            {"X-Forwarded-For": "10.1.2.3, 127.0.0.1"}, {"CF-Connecting-IP": "10.1.2.3"}]
    for headers in lies:
        check(roost.client(key).get(shared_server.api, headers=headers), 403, error(
            "AccessDeniedHttpException", 403, "This IP address (127.0.0.1) does not have permission to access the "
            "API using these credentials."))
    behind = make({"listen.trusted_proxies": ["127.0.0.1"]})
    server = behind.add_server()
    key = behind.confined(behind.key)
    assert behind.client(key).get(server.api).status_code == 403
    assert behind.client(key).get(server.api, headers=lies[0]).status_code == 200
    # Who stands left of what the proxy wrote wrote it himself.
    assert behind.client(key).get(server.api, headers={"X-Forwarded-For": "10.1.2.3, 9.9.9.9"}).status_code == 403
    behind.stop()


EACH = [("GET", "", "backup.read"), ("POST", "", "backup.create"), ("GET", "/{b}", "backup.read"),
        ("GET", "/{b}/download", "backup.download"), ("POST", "/{b}/lock", "backup.delete"),
        ("POST", "/{b}/unlock", "backup.delete"), ("POST", "/{b}/restore", "backup.restore"),
        ("DELETE", "/{b}", "backup.delete")]


@pytest.mark.parametrize("permission", ["backup.create", "backup.read", "backup.delete", "backup.download",
                                        "backup.restore", "websocket.connect", "*", "backup.*", "BACKUP.READ", ""])
@pytest.mark.parametrize("accept", ["application/json", EXTENDED], ids=["classic", "extended"])
def test_one_permission_opens_one_door(roost, permission, accept):
    server = roost.add_server()
    backup = server.backup()["uuid"]
    client = server.client(accept, roost.add_subuser(server, [permission]))
    for method, path, needed in EACH:
        said = client.request(method, f"{server.api}/backups" + path.format(b=backup))
        assert (said.status_code != 403) == (needed == permission), (method, path, said.text)
        if said.status_code == 200 and method == "POST" and path == "":
            server.wait(said.json()["attributes"]["uuid"])
        server.wait_restored()


def test_bodies_over_a_quarter_mebibyte_are_413(roost, shared_server):
    for size, status in ((200_000, 422), (300_000, 413)):
        said = shared_server.client().post(f"{shared_server.api}/backups", json={"ignored": "x" * size})
        check(said, status, {"errors": [MORE]})


@pytest.mark.parametrize("field", ["truncate", "name"])
def test_a_multipart_form_is_refused_and_not_passed_over(roost, field):
    server = roost.add_server({"a": b"1"})
    backup = server.backup()["uuid"]
    server.write({"newer": b"2"})
    path = f"{server.api}/backups" + (f"/{backup}/restore" if field == "truncate" else "")
    said = Client(roost.url, roost.key).post(path, files={field: (None, "0")})
    assert said.status_code == 400, said.text
    assert server.tree() == {"a": b"1", "newer": b"2"} and server.status() is None


def test_what_a_node_puts_on_the_record_is_bounded(roost, shared_server):
    rows = [{"ip": "x" * 100_000}, {"ip": "not an address"}, {"ip": {}}, {"metadata": {"a": "x" * 200_000}},
            {"metadata": [1]}, {"event": "server:" + "x" * 5000}, {"user": {}}, {"timestamp": "soon"}]
    entry = {"server": shared_server.uuid, "event": "server:hostile", "ip": "192.0.2.7", "metadata": {"b": 1},
             "timestamp": "2026-01-01T00:00:00Z"}
    said = roost.remote().post("/api/remote/activity", json={"data": [entry, *({**entry, **row} for row in rows)]})
    assert said.status_code == 200 and said.content == b""
    stored = roost.rows("SELECT ip, properties FROM activity_logs WHERE event LIKE 'server:hostile%'")
    assert len(stored) == len(rows)
    assert tuple(stored[0]) == ("192.0.2.7", '{"b":1}')
    assert max(len(ip) + len(properties) for ip, properties in stored) < 100
    assert {ip for ip, _ in stored} == {"192.0.2.7", "127.0.0.1"}


# ---- races ----

def test_a_lock_that_was_answered_holds(panel):
    """While its node is asked to delete it a backup cannot be locked or restored; a failure sets it free."""
    entered, leave = threading.Event(), threading.Event()

    def hesitate(_):
        entered.set()
        leave.wait(10)
        return answer(500)

    backup = f"{panel.api}/backups/{panel.kept}"
    with Fake(panel.roost.node_port, hesitate):
        asked = []
        thread = threading.Thread(target=lambda: asked.append(panel.client().delete(backup)))
        thread.start()
        assert entered.wait(10)
        gone = error("ServerStateConflictException", 409, "This backup is being deleted.")
        check(panel.client().post(f"{backup}/lock"), 409, gone)
        check(panel.client().post(f"{backup}/restore"), 409, gone)
        assert panel.client().post(f"{backup}/unlock").status_code == 204
        assert panel.status() is None and panel.client().get(backup).status_code == 200
        leave.set()
        thread.join(20)
    assert asked[0].status_code == 500
    assert panel.client().post(f"{backup}/lock").json()["attributes"]["is_locked"]
    check(panel.client().delete(backup), 400, error("BackupLockedException", 400,
                                                    "Cannot delete a backup that is marked as locked."))
    assert panel.client().post(f"{backup}/unlock").status_code == 204


def test_lock_and_delete_at_once_agree(roost):
    server = roost.add_server()
    for _ in range(15):
        backup = f"{server.api}/backups/{server.put_backup()}"
        said = {}
        delete, lock = server.client().delete, server.client().post
        threads = [threading.Thread(target=lambda: said.update(delete=delete(backup).status_code)),
                   threading.Thread(target=lambda: said.update(lock=lock(f"{backup}/lock").status_code))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert (said["lock"], said["delete"]) in {(200, 400), (404, 204), (409, 204)}
