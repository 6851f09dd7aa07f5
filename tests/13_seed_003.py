# SPDX-License-Identifier: Apache-2.0
"""Document 003, the long client page: one row a statement, asked as its samples ask (extended dialect)."""
import gzip
import io
import tarfile

import pytest

from expect import AUTO_NAME, COMPLETED, CREATING, SHA256, TIME, backup_object, check, error
from harness import EXTENDED, utc_text

UNKNOWN = "0f7b2a3c-5f0e-4a43-9c3e-5b1f6a7d8e9f"
SIGNED_URL = {"object": "signed_url", "attributes": {"url": str}}
JSON = {"Content-Type": "application/json"}

NOT_READY_DOWNLOAD = error("BackupNotCompletedException", 400,
                           "This backup has not completed yet and cannot be downloaded.")
NOT_READY_RESTORE = error("BackupNotCompletedException", 400,
                          "This backup has not completed yet and cannot be restored.")
FAILED_DOWNLOAD = error("BackupFailedException", 400, "This backup failed and cannot be downloaded.")
FAILED_RESTORE = error("BackupFailedException", 400)
LOCKED = error("BackupIsLockedException", 400, "This backup is locked and cannot be deleted.")
BUSY = error("ConflictingServerStateException", 409, "Cannot create backup while another backup is in progress.")
BEING_CREATED = error("ConflictingServerStateException", 409, "Cannot delete backup while it is being created.")
INSTALLING = error("ConflictingServerStateException", 409, "Cannot restore backup while server is installing.")
NOT_FOUND = error("NotFoundHttpException", 404)

# section and row, state of the backup, method, path, body, status, answer
ROWS = [
    # List Backups
    ("list: attributes", "completed", "GET", "/backups", None, 200, {
        "object": "list", "data": [backup_object(**COMPLETED)],
        "meta": {"pagination": {"total": 1, "count": 1, "per_page": 20, "current_page": 1, "total_pages": 1,
                                "links": {}}, "backup_count": 1}}),
    ("list: a failed one has no hash", "failed", "GET", "/backups", None, 200, {
        "object": "list", "data": [backup_object(is_successful=False, sha256_hash=None, bytes=0)], "meta": dict}),
    # Get Backup Details
    ("details: attributes", "completed", "GET", "/backups/{b}", None, 200, backup_object(**COMPLETED)),
    ("details: completed_at is null while it runs", "creating", "GET", "/backups/{b}", None, 200,
     backup_object(**CREATING)),
    ("details: 404", None, "GET", f"/backups/{UNKNOWN}", None, 404, NOT_FOUND),
    # Create Backup
    ("create: name, ignored, is_locked", None, "POST", "/backups",
     {"name": "Pre-maintenance backup", "ignored": "*.log\ncache/*\ntemp/*\n*.tmp", "is_locked": True}, 200,
     backup_object(name="Pre-maintenance backup", ignored_files=["*.log", "cache/*", "temp/*", "*.tmp"],
                   is_locked=True, **CREATING)),
    ("create: nothing said", None, "POST", "/backups", {}, 200,
     backup_object(name=AUTO_NAME, ignored_files=[], is_locked=False, **CREATING)),
    ("create: no body at all", None, "POST", "/backups", None, 200, backup_object(name=AUTO_NAME, **CREATING)),
    ("create: ignored files, the documented format", None, "POST", "/backups",
     {"ignored": "*.log\n*.tmp\ncache/*\ntemp/*\nnode_modules/*\n.git/*\nlogs/*.log\nbackups/*\n*.cache\n"}, 200,
     backup_object(ignored_files=["*.log", "*.tmp", "cache/*", "temp/*", "node_modules/*", ".git/*", "logs/*.log",
                                  "backups/*", "*.cache"])),
    ("create: ignored as an array", None, "POST", "/backups", {"ignored": ["a", "b,c"]}, 200,
     backup_object(ignored_files=["a", "b,c"])),
    ("create: 409, server busy", "creating", "POST", "/backups", {}, 409, BUSY),
    # Download Backup
    ("download: 200", "completed", "GET", "/backups/{b}/download", None, 200, SIGNED_URL),
    ("download: 400, not ready", "creating", "GET", "/backups/{b}/download", None, 400, NOT_READY_DOWNLOAD),
    ("download: 400, failed", "failed", "GET", "/backups/{b}/download", None, 400, FAILED_DOWNLOAD),
    ("download: 404", None, "GET", f"/backups/{UNKNOWN}/download", None, 404, NOT_FOUND),
    # Delete Backup
    ("delete: 204", "completed", "DELETE", "/backups/{b}", None, 204, ""),
    ("delete: 204, failed", "failed", "DELETE", "/backups/{b}", None, 204, ""),
    ("delete: 400, locked", "locked", "DELETE", "/backups/{b}", None, 400, LOCKED),
    ("delete: 409, in progress", "creating", "DELETE", "/backups/{b}", None, 409, BEING_CREATED),
    ("delete: 404", None, "DELETE", f"/backups/{UNKNOWN}", None, 404, NOT_FOUND),
    # Restore Backup
    ("restore: 202, truncate true", "completed", "POST", "/backups/{b}/restore", {"truncate": True}, 202, ""),
    ("restore: 202, truncate false", "completed", "POST", "/backups/{b}/restore", {"truncate": False}, 202, ""),
    ("restore: 202, nothing said", "completed", "POST", "/backups/{b}/restore", None, 202, ""),
    ("restore: 400, not ready", "creating", "POST", "/backups/{b}/restore", {"truncate": True}, 400,
     NOT_READY_RESTORE),
    ("restore: 400, failed", "failed", "POST", "/backups/{b}/restore", {"truncate": True}, 400, FAILED_RESTORE),
    ("restore: 404", None, "POST", f"/backups/{UNKNOWN}/restore", {"truncate": True}, 404, NOT_FOUND),
    # Toggle Backup Lock
    ("lock: 204", "completed", "POST", "/backups/{b}/lock", None, 204, ""),
    ("unlock: 204", "locked", "POST", "/backups/{b}/unlock", None, 204, ""),
    ("unlock: 204, was not locked", "completed", "POST", "/backups/{b}/unlock", None, 204, ""),
    ("lock: 404", None, "POST", f"/backups/{UNKNOWN}/lock", None, 404, NOT_FOUND),
    ("unlock: 404", None, "POST", f"/backups/{UNKNOWN}/unlock", None, 404, NOT_FOUND),
]


def state_of(server, state):
    """A backup of the server in the state that a row starts from; its uuid."""
    if state in ("completed", "locked"):
        return server.backup(is_locked=state == "locked")["uuid"]
    return server.put_backup(state) if state else None


@pytest.mark.parametrize("identifier", ["uuid", "short"])
@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_row(server, row, identifier):
    _, state, method, path, body, status, pattern = row
    backup = state_of(server, state)
    url = f"/api/client/servers/{getattr(server, identifier)}" + path.format(b=backup)
    options = {"json": body} if body is not None else {"headers": JSON}
    check(server.client(EXTENDED).request(method, url, **options), status, pattern)


def test_lock_toggles_and_unlock_does_not(server):
    backup = server.backup()["uuid"]
    client = server.client(EXTENDED)
    for verb, locked in (("lock", True), ("lock", False), ("lock", True), ("unlock", False), ("unlock", False)):
        check(client.post(f"{server.api}/backups/{backup}/{verb}"), 204)
        assert server.view(backup)["is_locked"] is locked


def test_limit_reached_is_400(roost):
    server = roost.add_server(limit=1)
    server.backup()
    check(server.create(accept=EXTENDED), 400,
          error("TooManyBackupsException", 400, "This server has reached its backup limit."))


def test_insufficient_storage_is_507(small_disk):
    server = small_disk.add_server(files={"big": bytes(range(256)) * 4096})
    small_disk.fill_store()
    check(server.create(accept=EXTENDED), 507,
          error("InsufficientStorageException", 507, "Not enough storage space available for backup."))
    assert server.list()["data"] == []


# ---- common error codes ----

@pytest.mark.parametrize("token", [None, "ptlc_YOUR_API_KEY", "ptlc_" + "x" * 43])
def test_invalid_credentials_are_401(shared_server, token):
    client = shared_server.roost.client(token, EXTENDED)
    check(client.get(f"{shared_server.api}/backups"), 401, error("InvalidCredentialsException", 401))


PERMISSIONS = [
    ("backup.read", "GET", "/backups", 200), ("backup.read", "GET", "/backups/{b}", 200),
    ("backup.create", "POST", "/backups", 200), ("backup.download", "GET", "/backups/{b}/download", 200),
    ("backup.delete", "DELETE", "/backups/{b}", 204), ("backup.delete", "POST", "/backups/{b}/lock", 204),
    ("backup.delete", "POST", "/backups/{b}/unlock", 204), ("backup.restore", "POST", "/backups/{b}/restore", 202),
]
ALL = {"backup.read", "backup.create", "backup.download", "backup.delete", "backup.restore"}


@pytest.mark.parametrize("permission,method,path,status", PERMISSIONS,
                         ids=[f"{m} {p}" for _, m, p, _ in PERMISSIONS])
def test_required_permission(server, permission, method, path, status):
    backup = server.backup()["uuid"]
    url = server.api + path.format(b=backup)
    with_it = server.roost.add_subuser(server, {permission})
    without = server.roost.add_subuser(server, ALL - {permission})
    check(server.client(EXTENDED, without).request(method, url), 403, error("InsufficientPermissionsException", 403))
    check(server.client(EXTENDED, with_it).request(method, url), status)


def test_permissions_are_listed(roost):
    body = check(roost.client(roost.key, EXTENDED).get("/api/client/permissions"), 200,
                 {"object": "system_permissions", "attributes": {"permissions": dict}})
    keys = body["attributes"]["permissions"]["backup"]["keys"]
    assert {f"backup.{key}" for key in keys} == ALL


@pytest.mark.parametrize("status", ["installing", "install_failed", "suspended", "restoring_backup"])
def test_server_state_is_409_with_the_documents_code(server, status):
    backup = server.backup()["uuid"]
    server.set(status=status)
    for method, path in (("POST", f"/backups/{backup}/restore"), ("POST", "/backups"), ("GET", "/backups")):
        check(server.client(EXTENDED).request(method, server.api + path), 409,
              error("ConflictingServerStateException", 409))
    server.set(status=None)


def test_restore_while_installing_has_the_documents_text(server):
    backup = server.backup()["uuid"]
    server.set(status="installing")
    check(server.client(EXTENDED).post(f"{server.api}/backups/{backup}/restore", json={"truncate": True}), 409,
          INSTALLING)


# ---- states and what they allow ----

STATES = [
    ("creating", "GET", "", 200), ("creating", "GET", "/download", 400), ("creating", "POST", "/restore", 400),
    ("creating", "DELETE", "", 409),
    ("completed", "GET", "", 200), ("completed", "GET", "/download", 200), ("completed", "POST", "/restore", 202),
    ("completed", "POST", "/lock", 204), ("completed", "POST", "/unlock", 204), ("completed", "DELETE", "", 204),
    ("failed", "GET", "", 200), ("failed", "GET", "/download", 400), ("failed", "POST", "/restore", 400),
    ("failed", "DELETE", "", 204),
]


@pytest.mark.parametrize("state,method,path,status", STATES, ids=[f"{s}: {m} {p}" for s, m, p, _ in STATES])
def test_actions_of_a_state(server, state, method, path, status):
    backup = state_of(server, state)
    check(server.client(EXTENDED).request(method, f"{server.api}/backups/{backup}{path}"), status)


# ---- the download URL's properties ----

def test_download_url_expires_after_an_hour(server):
    url = server.download_url(server.backup()["uuid"])
    claims = server.roost.token_claims(url)
    assert claims["exp"] - claims["iat"] == 3600


def test_each_request_generates_a_new_url(server):
    backup = server.backup()["uuid"]
    assert server.download_url(backup) != server.download_url(backup)


def test_download_needs_no_authentication_and_minds_none(server):
    url = server.download_url(server.backup()["uuid"])
    assert server.roost.bare().get(url).status_code == 200
    assert server.client(EXTENDED).get(url).status_code == 200


def test_download_is_a_compressed_tar(server):
    answer = server.roost.bare().get(server.download_url(server.backup()["uuid"]))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(answer.content))) as archive:
        names = {name.lstrip("./") for name in archive.getnames()}
    assert "a.txt" in names


def test_hash_is_the_files_sha256(server):
    import hashlib
    done = server.backup()
    digest = hashlib.sha256(server.archive(done["uuid"]).read_bytes()).hexdigest()
    assert done["sha256_hash"] == digest and done["checksum"] == f"sha256:{digest}"
    assert SHA256.fullmatch(digest)


def test_times_are_of_the_documented_form(server):
    done = server.backup()
    assert TIME.fullmatch(done["created_at"]) and TIME.fullmatch(done["completed_at"])
    assert done["created_at"][:13] in (utc_text(-3600)[:13].replace(" ", "T"), utc_text()[:13].replace(" ", "T"))
    assert done["created_at"] <= done["completed_at"]


def test_one_concurrent_backup_per_server(roost):
    first, second = roost.add_server(), roost.add_server()
    first.put_backup("creating")
    check(first.create(accept=EXTENDED), 409, BUSY)
    check(second.create(accept=EXTENDED), 200)
