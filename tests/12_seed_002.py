# SPDX-License-Identifier: Apache-2.0
"""Document 002, the node API: a panel's orders, sent to the node with its token."""
import os
import subprocess

import pytest

from expect import check
from harness import write_tree

NO_SERVER = {"error": "The requested resource does not exist on this instance.", "request_id": str}
NO_BACKUP = {"error": "The requested backup was not found on this server.", "request_id": str}
NO_HEADER = {"error": "The required authorization heads were not present in the request.", "request_id": str}
DENIED = {"error": "You are not authorized to access this endpoint.", "request_id": str}
FAULT = {"error": str, "request_id": str}
S3_WITHOUT_URL = {"error": "The download_url field is required when the backup adapter is set to S3.",
                  "request_id": str}
UNKNOWN = "0f7b2a3c-5f0e-4a43-9c3e-5b1f6a7d8e9f"
S = "/api/servers/{s}"
NEW = {"adapter": "wings", "uuid": "NEW", "ignore": ""}

# name, method, path, body (bytes: as they are), status, answer
ROWS = [
    ("backup: 202", "POST", S + "/backup", NEW, 202, ""),
    ("backup: 202, ignore lines", "POST", S + "/backup", {**NEW, "ignore": "*.log\ncache"}, 202, ""),
    ("backup: 404, unknown server", "POST", f"/api/servers/{UNKNOWN}/backup", NEW, 404, NO_SERVER),
    ("backup: 404, malformed server", "POST", "/api/servers/nonsense/backup", NEW, 404, NO_SERVER),
    ("backup: adapter required", "POST", S + "/backup", {"uuid": "NEW", "ignore": ""}, 400, FAULT),
    ("backup: adapter unknown", "POST", S + "/backup", {**NEW, "adapter": "tape"}, 400, FAULT),
    ("backup: adapter no string", "POST", S + "/backup", {**NEW, "adapter": 7}, 400, FAULT),
    ("backup: uuid required", "POST", S + "/backup", {"adapter": "wings", "ignore": ""}, 400, FAULT),
    ("backup: uuid malformed", "POST", S + "/backup", {**NEW, "uuid": "../../etc"}, 400,
     {"error": "The backup identifier must be a valid UUID.", "request_id": str}),
    ("backup: uuid no string", "POST", S + "/backup", {**NEW, "uuid": 12}, 400, FAULT),
    ("backup: ignore left out", "POST", S + "/backup", {"adapter": "wings", "uuid": "NEW"}, 202, ""),
    ("backup: ignore no string", "POST", S + "/backup", {**NEW, "ignore": []}, 400, FAULT),
    ("backup: ignore over 32 KiB", "POST", S + "/backup", {**NEW, "ignore": "x" * 33000}, 400, FAULT),
    ("backup: ignore over 256 patterns", "POST", S + "/backup", {**NEW, "ignore": "a\n" * 257}, 400, FAULT),
    ("backup: ignore over 16 wildcards", "POST", S + "/backup", {**NEW, "ignore": "*a" * 17}, 400, FAULT),
    ("backup: empty body", "POST", S + "/backup", b"", 400,
     {"error": "The data passed in the request was not in a parsable format. Please try again.", "request_id": str}),
    ("backup: malformed body", "POST", S + "/backup", b"{", 400, FAULT),
    ("restore: 202", "POST", S + "/backup/{b}/restore", {"adapter": "wings", "truncate_directory": True}, 202, ""),
    ("restore: 202, not truncated", "POST", S + "/backup/{b}/restore",
     {"adapter": "wings", "truncate_directory": False}, 202, ""),
    ("restore: 202, truncate_directory left out", "POST", S + "/backup/{b}/restore", {"adapter": "wings"}, 202, ""),
    ("restore: 400, malformed", "POST", S + "/backup/{b}/restore", b"{\"adapter\":", 400, FAULT),
    ("restore: 400, empty", "POST", S + "/backup/{b}/restore", b"", 400, FAULT),
    ("restore: 400, adapter left out", "POST", S + "/backup/{b}/restore", {"truncate_directory": True}, 400, FAULT),
    ("restore: 400, adapter unknown", "POST", S + "/backup/{b}/restore",
     {"adapter": "tape", "truncate_directory": True}, 400, FAULT),
    ("restore: 400, truncate_directory no boolean", "POST", S + "/backup/{b}/restore",
     {"adapter": "wings", "truncate_directory": "yes"}, 400, FAULT),
    ("restore: 400, s3 without address", "POST", S + "/backup/{b}/restore",
     {"adapter": "s3", "truncate_directory": True}, 400, S3_WITHOUT_URL),
    ("restore: 400, s3 with a bad address", "POST", S + "/backup/{b}/restore",
     {"adapter": "s3", "truncate_directory": True, "download_url": "file:///etc/passwd"}, 400, FAULT),
    ("restore: 404, unknown server", "POST", f"/api/servers/{UNKNOWN}/backup/{{b}}/restore",
     {"adapter": "wings", "truncate_directory": True}, 404, NO_SERVER),
    ("restore: 404, unknown backup", "POST", S + f"/backup/{UNKNOWN}/restore",
     {"adapter": "wings", "truncate_directory": True}, 404, NO_BACKUP),
    ("restore: 404, malformed backup", "POST", S + "/backup/nonsense/restore",
     {"adapter": "wings", "truncate_directory": True}, 404, NO_BACKUP),
    ("delete: 204", "DELETE", S + "/backup/{b}", None, 204, ""),
    ("delete: 404, unknown server", "DELETE", f"/api/servers/{UNKNOWN}/backup/{{b}}", None, 404, NO_SERVER),
    ("delete: 404, unknown backup", "DELETE", S + f"/backup/{UNKNOWN}", None, 404, NO_BACKUP),
    ("delete: 404, malformed backup", "DELETE", S + "/backup/nonsense", None, 404, NO_BACKUP),
    ("delete-all: 204", "DELETE", S + "/backup/delete-all", None, 204, ""),
    ("delete-all: 404, unknown server", "DELETE", f"/api/servers/{UNKNOWN}/backup/delete-all", None, 404, NO_SERVER),
    ("deleteAllBackups: 204", "DELETE", S + "/deleteAllBackups", None, 204, ""),
    ("deleteAllBackups: 404, unknown server", "DELETE", f"/api/servers/{UNKNOWN}/deleteAllBackups", None, 404,
     NO_SERVER),
]
ENDPOINTS = sorted({(row[1], row[2].split("{b}")[0] + ("{b}" + row[2].split("{b}")[1] if "{b}" in row[2] else ""))
                    for row in ROWS if row[4] in (202, 204)})
ENDPOINTS += [("GET", "/api/system"), ("GET", "/api/servers"), ("GET", S), ("POST", S + "/sync"),
              ("POST", S + "/ws/deny")]


def send(roost, method, path, body, token=...):
    client = roost.node_client(token)
    if isinstance(body, bytes):
        return client.request(method, path, data=body, headers={"Content-Type": "application/json"})
    return client.request(method, path, json=body) if body is not None else client.request(method, path)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_row(server, row):
    name, method, path, body, status, pattern = row
    backup = server.backup()["uuid"]
    if isinstance(body, dict) and body.get("uuid") == "NEW":
        body = {**body, "uuid": server.put_backup("creating")}
    answer = send(server.roost, method, path.format(s=server.uuid, b=backup), body)
    check(answer, status, pattern)
    assert answer.headers["X-Request-Id"]
    if status == 202 and "restore" not in name:
        assert server.wait(body["uuid"])["is_successful"]
    server.roost.wait_node_idle()


@pytest.mark.parametrize("method,path", ENDPOINTS, ids=[f"{m} {p}" for m, p in ENDPOINTS])
@pytest.mark.parametrize("token,status,pattern", [
    (None, 401, NO_HEADER), ("wrong", 403, DENIED), ("panel's form", 403, DENIED), ("client key", 403, DENIED)])
def test_only_the_node_token_opens(roost, shared_server, method, path, token, status, pattern):
    node_id, secret = roost.node_token()
    tokens = {None: None, "wrong": "x" * 64, "panel's form": f"{node_id}.{secret}", "client key": roost.key}
    answer = send(roost, method, path.format(s=shared_server.uuid, b=UNKNOWN), None, tokens[token])
    check(answer, status, pattern)
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_background_backup_is_stored_and_reported(server):
    backup = server.put_backup("creating")
    check(send(server.roost, "POST", f"/api/servers/{server.uuid}/backup",
               {"adapter": "wings", "uuid": backup, "ignore": "a.txt"}), 202, "")
    done = server.wait(backup)
    assert done["is_successful"] and done["bytes"] == server.archive(backup).stat().st_size


def test_restore_truncates_only_where_it_is_told(server):
    backup = server.backup()["uuid"]
    before = server.tree()
    for truncate in (False, True):
        server.write({"later": b"later"})
        check(send(server.roost, "POST", f"/api/servers/{server.uuid}/backup/{backup}/restore",
                   {"adapter": "wings", "truncate_directory": truncate}), 202, "")
        server.roost.wait_node_idle()
        assert server.tree() == (before if truncate else {**before, "later": b"later"})


def test_a_missing_backup_is_known_before_anything_is_touched(server):
    before = server.tree()
    check(send(server.roost, "POST", f"/api/servers/{server.uuid}/backup/{UNKNOWN}/restore",
               {"adapter": "wings", "truncate_directory": True}), 404, NO_BACKUP)
    server.roost.wait_node_idle()
    assert server.tree() == before


def test_delete_takes_one_archive_and_only_of_its_server(roost):
    mine, other = roost.add_server(), roost.add_server()
    kept, gone, foreign = mine.backup()["uuid"], mine.backup()["uuid"], other.backup()["uuid"]
    check(send(roost, "DELETE", f"/api/servers/{mine.uuid}/backup/{foreign}", None), 404, NO_BACKUP)
    check(send(roost, "DELETE", f"/api/servers/{mine.uuid}/backup/{gone}", None), 204)
    assert mine.archive(kept).exists() and other.archive(foreign).exists() and not mine.archive(gone).exists()
    check(send(roost, "DELETE", f"/api/servers/{mine.uuid}/backup/{gone}", None), 404, NO_BACKUP)


@pytest.mark.parametrize("path", ["/backup/delete-all", "/deleteAllBackups"])
def test_delete_all_takes_every_archive_of_one_server(roost, path):
    mine, other = roost.add_server(), roost.add_server()
    mine.backup(), mine.backup()
    foreign = other.backup()["uuid"]
    check(send(roost, "DELETE", f"/api/servers/{mine.uuid}{path}", None), 204)
    assert mine.stored() == [] and other.archive(foreign).exists()
    check(send(roost, "DELETE", f"/api/servers/{mine.uuid}{path}", None), 204)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
def test_delete_all_answers_500_where_it_cannot(server):
    """The server's store is read-only."""
    backup = server.backup()["uuid"]
    folder = server.roost.backups / server.uuid
    mount = ["mount", "--bind", folder, folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("may not mount here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        check(send(server.roost, "DELETE", f"/api/servers/{server.uuid}/backup/delete-all", None), 500,
              {"error": "Failed to delete backups.", "request_id": str})
    finally:
        subprocess.run(["umount", folder], check=True)
    assert server.archive(backup).exists()


def test_a_flat_archive_as_wings_leaves_it_is_restored_and_deleted(server):
    backup = server.backup()["uuid"]
    before = server.tree()
    flat = server.roost.backups / f"{backup}.tar.gz"
    os.rename(server.archive(backup), flat)
    server.write({"a.txt": b"changed"})
    check(send(server.roost, "POST", f"/api/servers/{server.uuid}/backup/{backup}/restore",
               {"adapter": "wings", "truncate_directory": True}), 202, "")
    server.roost.wait_node_idle()
    assert server.tree() == before
    check(send(server.roost, "DELETE", f"/api/servers/{server.uuid}/backup/{backup}", None), 204)
    assert not flat.exists()


def test_the_same_uuid_twice_is_one_job(server):
    backup = server.put_backup("creating")
    order = {"adapter": "wings", "uuid": backup, "ignore": ""}
    answers = [send(server.roost, "POST", f"/api/servers/{server.uuid}/backup", order) for _ in range(2)]
    assert [a.status_code for a in answers] == [202, 202]
    assert server.wait(backup)["is_successful"]
    server.roost.wait_node_idle()
    assert server.stored() == [f"{backup}.tar.gz"]


def test_an_order_with_the_uuid_of_a_finished_backup_does_not_overwrite_it(server):
    backup = server.backup()["uuid"]
    bytes_before = server.archive(backup).read_bytes()
    write_tree(server.directory, {"new": b"new"})
    send(server.roost, "POST", f"/api/servers/{server.uuid}/backup",
         {"adapter": "wings", "uuid": backup, "ignore": ""})
    server.roost.wait_node_idle()
    assert server.archive(backup).read_bytes() == bytes_before
    assert server.view(backup)["is_successful"]


def test_system_says_what_runs(roost):
    body = check(send(roost, "GET", "/api/system", None), 200, {"version": str, ...: ...})
    assert body["version"]


def test_servers_are_listed_and_shown(roost, shared_server):
    shown = check(send(roost, "GET", f"/api/servers/{shared_server.uuid}", None), 200, {...: ...})
    assert shared_server.uuid in (shown.get("uuid"), shown.get("configuration", {}).get("uuid"))
    listed = send(roost, "GET", "/api/servers", None).json()
    assert shared_server.uuid in [s.get("uuid") or s["configuration"]["uuid"] for s in listed]
