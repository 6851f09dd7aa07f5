# SPDX-License-Identifier: Apache-2.0
"""Document 004, the panel's remote API: a node's reports, sent with its token."""
import pytest

from expect import check, error, violation

UNKNOWN = "0f7b2a3c-5f0e-4a43-9c3e-5b1f6a7d8e9f"
SHA1 = "a0b124c3def45067890112a3b4567c8d9e001234"
SUCCESS = {"checksum": SHA1, "checksum_type": "sha1", "size": 1234, "successful": True}
PARTS = [{"etag": "\"fad65ead865d78b768d313644d411c16\"", "part_number": 1}]
# What Wings sends where a backup failed.
FAILURE = {"checksum": "", "checksum_type": "", "size": 0, "successful": False, "parts": None}
NOT_FOUND = error("NotFoundHttpException", 404)
SIZE = error("BadRequestHttpException", 400, 'A non-empty "size" query parameter must be provided.')
NOT_S3 = error("BadRequestHttpException", 400, "The configured backup adapter is not an S3 compatible adapter.")
DONE = error("ConflictHttpException", 409, "This backup is already in a completed state.")
COMPLETED = error("BadRequestHttpException", 400,
                  "Cannot update the status of a backup that is already marked as completed.")


def invalid(*violations):
    return {"errors": list(violations)}


def without(*names):
    return {key: value for key, value in SUCCESS.items() if key not in names}


B = "/api/remote/backups/{b}"

# name, state, method, path, body (bytes: as they are), status, answer
ROWS = [
    ("urls: 400, no S3", "creating", "GET", B + "?size=1234", None, 400, NOT_S3),
    ("urls: 400, size left out", "creating", "GET", B, None, 400, SIZE),
    ("urls: 400, size empty", "creating", "GET", B + "?size=", None, 400, SIZE),
    ("urls: 400, size 0", "creating", "GET", B + "?size=0", None, 400, SIZE),
    ("urls: 400, size no number", "creating", "GET", B + "?size=big", None, 400, SIZE),
    ("urls: 404", None, "GET", f"/api/remote/backups/{UNKNOWN}?size=1", None, 404, NOT_FOUND),
    ("urls: 404, malformed", None, "GET", "/api/remote/backups/nonsense?size=1", None, 404, NOT_FOUND),
    ("urls: 409, completed", "completed", "GET", B + "?size=1234", None, 409, DONE),
    ("urls: 409, failed", "failed", "GET", B + "?size=1234", None, 409, DONE),
    ("urls: size comes before the backup", None, "GET", f"/api/remote/backups/{UNKNOWN}", None, 400, SIZE),
    ("report: 204", "creating", "POST", B, SUCCESS, 204, ""),
    ("report: 204, with parts", "creating", "POST", B, {**SUCCESS, "parts": PARTS}, 204, ""),
    ("report: 204, parts null", "creating", "POST", B, {**SUCCESS, "parts": None}, 204, ""),
    ("report: 204, failure as Wings says it", "creating", "POST", B, FAILURE, 204, ""),
    ("report: 204, failure and nothing else", "creating", "POST", B, {"successful": False}, 204, ""),
    ("report: 204, a failed one succeeds late", "failed", "POST", B, SUCCESS, 204, ""),
    ("report: 400, completed with other content", "completed", "POST", B, SUCCESS, 400, COMPLETED),
    ("report: 400, completed, now a failure", "completed", "POST", B, FAILURE, 400, COMPLETED),
    ("report: 404", None, "POST", f"/api/remote/backups/{UNKNOWN}", SUCCESS, 404, NOT_FOUND),
    ("report: 404, malformed", None, "POST", "/api/remote/backups/nonsense", SUCCESS, 404, NOT_FOUND),
    ("report: 422, successful left out", "creating", "POST", B, without("successful"), 422,
     invalid(violation("successful", "required", "The successful field is required."))),
    ("report: 422, successful no boolean", "creating", "POST", B, {**SUCCESS, "successful": "perhaps"}, 422,
     invalid(violation("successful", "boolean", "The successful field must be true or false."))),
    ("report: 422, checksum left out", "creating", "POST", B, without("checksum"), 422,
     invalid(violation("checksum", "required_if"))),
    ("report: 422, checksum_type left out", "creating", "POST", B, without("checksum_type"), 422,
     invalid(violation("checksum_type", "required_if"))),
    ("report: 422, size left out", "creating", "POST", B, without("size"), 422,
     invalid(violation("size", "required_if"))),
    ("report: 422, size no number", "creating", "POST", B, {**SUCCESS, "size": "big"}, 422,
     invalid(violation("size", "numeric"))),
    ("report: 422, checksum no string", "creating", "POST", B, {**SUCCESS, "checksum": 5}, 422,
     invalid(violation("checksum", "string", "The checksum must be a string."))),
    ("report: 422, parts no array", "creating", "POST", B, {**SUCCESS, "parts": "x"}, 422,
     invalid(violation("parts", "array"))),
    ("report: 422, etag left out", "creating", "POST", B, {**SUCCESS, "parts": [{"part_number": 1}]}, 422,
     invalid(violation("parts.0.etag", "required"))),
    ("report: 422, part_number left out", "creating", "POST", B, {**SUCCESS, "parts": [{"etag": "x"}]}, 422,
     invalid(violation("parts.0.part_number", "required"))),
    ("report: 422, part_number no number", "creating", "POST", B,
     {**SUCCESS, "parts": [{"etag": "x", "part_number": "one"}]}, 422,
     invalid(violation("parts.0.part_number", "numeric"))),
    ("report: 422, everything left out", "creating", "POST", B, {}, 422,
     invalid(violation("successful", "required"))),
    ("report: 400, malformed", "creating", "POST", B, b"{\"successful\":", 400,
     error("BadRequestHttpException", 400)),
    ("restored: 204", "completed", "POST", B + "/restore", {"successful": True}, 204, ""),
    ("restored: 204, failure", "completed", "POST", B + "/restore", {"successful": False}, 204, ""),
    ("restored: 204, nothing said", "completed", "POST", B + "/restore", {}, 204, ""),
    ("restored: 404", None, "POST", f"/api/remote/backups/{UNKNOWN}/restore", {"successful": True}, 404, NOT_FOUND),
    ("restored: 404, malformed", None, "POST", "/api/remote/backups/nonsense/restore", {"successful": True}, 404,
     NOT_FOUND),
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_row(server, row):
    _, state, method, path, body, status, pattern = row
    backup = server.put_backup(state) if state else None
    client = server.roost.remote()
    if isinstance(body, bytes):
        answer = client.request(method, path.format(b=backup), data=body,
                                headers={"Content-Type": "application/json"})
    else:
        answer = client.request(method, path.format(b=backup), json=body)
    check(answer, status, pattern)


def test_success_is_recorded(server):
    backup = server.put_backup("creating", is_locked=1)
    check(server.roost.remote().post(B.format(b=backup), json=SUCCESS), 204)
    view = server.view(backup)
    assert view["is_successful"] and view["is_locked"] and view["completed_at"]
    assert view["checksum"] == f"sha1:{SHA1}" and view["sha256_hash"] is None and view["bytes"] == 1234


def test_sha256_fills_both_fields(server):
    backup = server.put_backup("creating")
    digest = "ab" * 32
    check(server.roost.remote().post(B.format(b=backup), json={**SUCCESS, "checksum": digest,
                                                              "checksum_type": "sha256"}), 204)
    view = server.view(backup)
    assert view["checksum"] == f"sha256:{digest}" and view["sha256_hash"] == digest


def test_failure_is_recorded_and_unlocks(server):
    backup = server.put_backup("creating", is_locked=1)
    check(server.roost.remote().post(B.format(b=backup), json=FAILURE), 204)
    view = server.view(backup)
    assert not view["is_successful"] and not view["is_locked"] and view["completed_at"]
    assert view["checksum"] is None and view["bytes"] == 0


def test_the_same_report_again_is_204(server):
    """Wings takes a lost 204 for a failure, repeats, and deletes a good archive on a 400."""
    backup = server.put_backup("creating")
    for _ in range(3):
        check(server.roost.remote().post(B.format(b=backup), json=SUCCESS), 204)
    check(server.roost.remote().post(B.format(b=backup), json={**SUCCESS, "size": 1235}), 400, COMPLETED)
    assert server.view(backup)["bytes"] == 1234


def test_the_same_failure_again_is_204(server):
    backup = server.put_backup("creating")
    for _ in range(2):
        check(server.roost.remote().post(B.format(b=backup), json=FAILURE), 204)


@pytest.mark.parametrize("successful", [True, False])
def test_restore_report_ends_the_servers_state(server, successful):
    backup = server.backup()["uuid"]
    server.begin_restore(backup)
    check(server.roost.remote().post(B.format(b=backup) + "/restore", json={"successful": successful}), 204)
    assert server.status() is None


@pytest.mark.parametrize("status", ["suspended", "installing", None])
def test_restore_report_changes_no_other_state(server, status):
    backup = server.backup()["uuid"]
    server.set(status=status)
    check(server.roost.remote().post(B.format(b=backup) + "/restore", json={"successful": True}), 204)
    assert server.status() == status


def test_reports_are_on_the_record(server):
    backup = server.put_backup("creating")
    server.roost.remote().post(B.format(b=backup), json=SUCCESS)
    failed = server.put_backup("creating")
    server.roost.remote().post(B.format(b=failed), json=FAILURE)
    events = [row["event"] for row in server.roost.rows(
        "SELECT event FROM activity_logs l JOIN activity_log_subjects s ON s.activity_log_id = l.id "
        "WHERE s.subject_type = 'server' AND s.subject_id = ? ORDER BY l.id", server.id)]
    assert events == ["server:backup.complete", "server:backup.fail"]


def test_servers_are_listed_page_by_page(roost):
    for _ in range(3):
        roost.add_server()
    body = check(roost.remote().get("/api/remote/servers?page=1&per_page=2"), 200, {
        "data": list, "meta": {"current_page": 1, "from": int, "last_page": int, "per_page": 2, "to": int,
                               "total": int, ...: ...}, ...: ...})
    assert len(body["data"]) == 2
    for entry in body["data"]:
        assert set(entry) >= {"uuid", "settings", "process_configuration"}


def test_one_server_is_shown(shared_server):
    body = check(shared_server.roost.remote().get(f"/api/remote/servers/{shared_server.uuid}"), 200,
                 {"settings": {"uuid": shared_server.uuid, ...: ...}, "process_configuration": dict, ...: ...})
    assert body["settings"]["build"]["disk_space"] == 0 and body["settings"]["suspended"] is False


def test_an_unknown_server_is_404(roost):
    check(roost.remote().get(f"/api/remote/servers/{UNKNOWN}"), 404, NOT_FOUND)


def test_reset_ends_restores_and_installations_of_the_node(roost):
    states = {}
    for status in ("restoring_backup", "installing", "suspended", None):
        states[status] = roost.add_server()
        states[status].set(status=status)
    check(roost.remote().post("/api/remote/servers/reset"), 204)
    assert states["restoring_backup"].status() is None and states["installing"].status() is None
    assert states["suspended"].status() == "suspended" and states[None].status() is None


def test_activity_is_taken(shared_server):
    batch = {"data": [{"server": shared_server.uuid, "event": "server:console.command", "user": None,
                       "ip": "10.0.0.1", "metadata": {"command": "say x"}, "timestamp": "2024-01-01T00:00:00Z"}]}
    answer = shared_server.roost.remote().post("/api/remote/activity", json=batch)
    assert answer.status_code == 200
    assert shared_server.roost.value("SELECT COUNT(*) FROM activity_logs WHERE event = 'server:console.command'") == 1


AUTH = [
    ("none", None, 401, error("HttpException", 401, "Access to this endpoint must include an Authorization header.")),
    ("no dot", "x" * 80, 400,
     error("BadRequestHttpException", 400, "The Authorization header provided was not in a valid format.")),
    ("empty secret", "abcdefgh12345678.", 400,
     error("BadRequestHttpException", 400, "The Authorization header provided was not in a valid format.")),
    ("empty id", "." + "x" * 64, 400,
     error("BadRequestHttpException", 400, "The Authorization header provided was not in a valid format.")),
    ("two dots", "a.b.c", 400,
     error("BadRequestHttpException", 400, "The Authorization header provided was not in a valid format.")),
    ("unknown id", "abcdefgh12345678." + "x" * 64, 403,
     error("AccessDeniedHttpException", 403, "You are not authorized to access this resource.")),
    ("wrong secret", "ID." + "x" * 64, 403,
     error("AccessDeniedHttpException", 403, "You are not authorized to access this resource.")),
    ("a client's key", "KEY", 400,
     error("BadRequestHttpException", 400, "The Authorization header provided was not in a valid format.")),
]
CALLS = [("GET", B + "?size=1"), ("POST", B), ("POST", B + "/restore"), ("POST", B + "/heartbeat"),
         ("GET", "/api/remote/servers"), ("GET", "/api/remote/servers/{s}"), ("POST", "/api/remote/servers/reset"),
         ("POST", "/api/remote/activity")]


@pytest.mark.parametrize("method,path", CALLS, ids=[f"{m} {p}" for m, p in CALLS])
@pytest.mark.parametrize("row", AUTH, ids=[row[0] for row in AUTH])
def test_token(shared_server, method, path, row):
    _, token, status, pattern = row
    roost = shared_server.roost
    if token is not None:
        token = token.replace("ID", roost.node_token()[0]) if token.startswith("ID.") else token
        token = roost.key if token == "KEY" else token
    answer = roost.client(token).request(method, path.format(b=UNKNOWN, s=shared_server.uuid))
    check(answer, status, pattern)
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
