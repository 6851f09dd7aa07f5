# SPDX-License-Identifier: Apache-2.0
"""Document 000, the terse client reference: one row a statement, in the classic dialect."""
import pytest

from expect import COMPLETED, CREATING, TIME, backup_object, check, error
from harness import CLASSIC


def state_of(server, state):
    """A backup of the server in the state that a row starts from; its uuid."""
    if state == "completed":
        return server.backup()["uuid"]
    if state == "locked":
        return server.backup(is_locked=True)["uuid"]
    if state in ("failed", "creating"):
        return server.put_backup(state)
    if state == "unknown disk":
        return server.put_backup(disk="tape")
    return None


SIGNED_URL = {"object": "signed_url", "attributes": {"url": str}}

# endpoint, what the row is about, state, method, path, body, status, answer
ROWS = [
    ("list", "200, the documented fields", "completed", "GET", "/backups", None, 200, {
        "object": "list",
        "data": [backup_object(**COMPLETED)],
        "meta": {
            "pagination": {"total": 1, "count": 1, "per_page": 20, "current_page": 1, "total_pages": 1, "links": {}},
            "backup_count": 1,
        },
    }),
    ("list", "200, nothing there", None, "GET", "/backups", None, 200, {
        "object": "list", "data": [],
        "meta": {
            "pagination": {"total": 0, "count": 0, "per_page": 20, "current_page": 1, "total_pages": 1, "links": {}},
            "backup_count": 0,
        },
    }),
    ("create", "name", None, "POST", "/backups", {"name": "backup-20210611"}, 200,
     backup_object(name="backup-20210611", ignored_files=[], is_locked=False, **CREATING)),
    ("create", "ignored, separated by commas", None, "POST", "/backups",
     {"name": "a", "ignored": "*.log,cache/*,temp/x"}, 200,
     backup_object(ignored_files=["*.log", "cache/*", "temp/x"])),
    ("create", "ignored, an escaped comma", None, "POST", "/backups", {"name": "a", "ignored": r"a\,b,c"}, 200,
     backup_object(ignored_files=["a,b", "c"])),
    ("create", "is_locked", None, "POST", "/backups", {"name": "a", "is_locked": True}, 200,
     backup_object(is_locked=True)),
    ("create", "is_locked false", None, "POST", "/backups", {"name": "a", "is_locked": False}, 200,
     backup_object(is_locked=False)),
    ("view", "200, the documented fields", "completed", "GET", "/backups/{b}", None, 200, backup_object(**COMPLETED)),
    ("view", "200, a failed one", "failed", "GET", "/backups/{b}", None, 200,
     backup_object(is_successful=False, checksum=None, bytes=0, completed_at=TIME)),
    ("view", "200, one being created", "creating", "GET", "/backups/{b}", None, 200, backup_object(**CREATING)),
    ("download", "200, a signed address", "completed", "GET", "/backups/{b}/download", None, 200, SIGNED_URL),
    ("download", "400, unknown disk driver", "unknown disk", "GET", "/backups/{b}/download", None, 400,
     error("BadRequestHttpException", 400,
           "The backup requested references an unknown disk driver type and cannot be downloaded.")),
    ("lock", "200, locks", "completed", "POST", "/backups/{b}/lock", None, 200,
     backup_object(is_locked=True, **COMPLETED)),
    ("lock", "200, toggles back", "locked", "POST", "/backups/{b}/lock", None, 200,
     backup_object(is_locked=False, **COMPLETED)),
    ("restore", "204", "completed", "POST", "/backups/{b}/restore", None, 204, ""),
    ("restore", "204, truncate true", "completed", "POST", "/backups/{b}/restore", {"truncate": True}, 204, ""),
    ("restore", "204, truncate false", "completed", "POST", "/backups/{b}/restore", {"truncate": False}, 204, ""),
    ("restore", "400, cannot be restored: being created", "creating", "POST", "/backups/{b}/restore", None, 400,
     error("BadRequestHttpException", 400, "This backup cannot be restored at this time: not completed or failed.")),
    ("restore", "400, cannot be restored: failed", "failed", "POST", "/backups/{b}/restore", None, 400,
     error("BadRequestHttpException", 400, "This backup cannot be restored at this time: not completed or failed.")),
    ("delete", "204", "completed", "DELETE", "/backups/{b}", None, 204, ""),
    ("delete", "204, a failed one", "failed", "DELETE", "/backups/{b}", None, 204, ""),
]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]}: {row[1]}" for row in ROWS])
def test_row(server, row):
    _, _, state, method, path, body, status, pattern = row
    backup = state_of(server, state)
    options = {"json": body} if body is not None else {}
    answer = server.client(CLASSIC).request(method, server.api + path.format(b=backup), **options)
    check(answer, status, pattern)


def test_list_is_paginated(server):
    for number in range(45):
        server.put_backup(name=f"row {number}", created_s=number - 100)
    first = server.list()
    assert [b["attributes"]["name"] for b in first["data"]] == [f"row {n}" for n in range(20)]
    page = first["meta"]["pagination"]
    links = page.pop("links")
    assert page == {"total": 45, "count": 20, "per_page": 20, "current_page": 1, "total_pages": 3}
    assert set(links) == {"next"}
    second = server.client().get(links["next"])
    check(second, 200, {"object": "list", "data": list, "meta": {"backup_count": 45, "pagination": {
        "total": 45, "count": 20, "per_page": 20, "current_page": 2, "total_pages": 3,
        "links": {"next": str, "previous": str}}}})
    last = server.list(page=3)
    assert [b["attributes"]["name"] for b in last["data"]] == [f"row {n}" for n in range(40, 45)]
    assert set(last["meta"]["pagination"]["links"]) == {"previous"}


@pytest.mark.parametrize("query,per_page", [
    ({"per_page": "7"}, 7), ({"per_page": "50"}, 50), ({"per_page": "51"}, 50), ({"per_page": "0"}, 20),
    ({"per_page": "-1"}, 20), ({"per_page": "many"}, 20), ({"per_page": "9" * 40}, (20, 50)), ({"page": "0"}, 20),
    ({"page": "-3"}, 20), ({"page": "x"}, 20),
])
def test_page_and_per_page_take_anything(server, query, per_page):
    server.put_backup()
    answer = server.client().get(f"{server.api}/backups", params=query)
    body = check(answer, 200, {"object": "list", "data": list, "meta": dict})
    allowed = per_page if isinstance(per_page, tuple) else (per_page,)
    assert body["meta"]["pagination"]["per_page"] in allowed
    assert body["meta"]["pagination"]["current_page"] == 1


def test_a_page_beyond_the_last_is_empty(server):
    server.put_backup()
    body = server.list(page=9)
    assert body["data"] == [] and body["meta"]["pagination"]["count"] == 0


def test_created_backup_completes_and_can_be_downloaded(server):
    created = check(server.create({"name": "backup"}), 200, backup_object(**CREATING))["attributes"]
    done = server.wait(created["uuid"])
    assert done["is_successful"] and done["bytes"] == server.archive(done["uuid"]).stat().st_size
    answer = server.roost.bare().get(server.download_url(done["uuid"]))
    assert answer.status_code == 200
    assert answer.content == server.archive(done["uuid"]).read_bytes()


def test_delete_removes_panel_row_and_stored_file(server):
    backup = server.backup()["uuid"]
    assert server.archive(backup).exists()
    check(server.client().delete(f"{server.api}/backups/{backup}"), 204)
    assert not server.archive(backup).exists()
    assert server.view(backup) is None
    assert server.client().delete(f"{server.api}/backups/{backup}").status_code == 404
    assert server.list()["data"] == []


def test_lock_protects_from_deletion(server):
    backup = server.backup()["uuid"]
    server.client().post(f"{server.api}/backups/{backup}/lock")
    check(server.client().delete(f"{server.api}/backups/{backup}"), 400,
          error("BackupLockedException", 400, "Cannot delete a backup that is marked as locked."))
    assert server.archive(backup).exists()
    server.client().post(f"{server.api}/backups/{backup}/lock")
    check(server.client().delete(f"{server.api}/backups/{backup}"), 204)


def test_restore_with_truncate_deletes_what_the_backup_does_not_have(server):
    backup = server.backup()["uuid"]
    before = server.tree()
    server.write({"later.txt": b"later"})
    check(server.restore(backup, truncate=True), 204)
    assert server.tree() == before


def test_restore_without_truncate_keeps_what_the_backup_does_not_have(server):
    backup = server.backup()["uuid"]
    before = server.tree()
    server.write({"later.txt": b"later", "a.txt": b"changed"})
    check(server.restore(backup, truncate=False), 204)
    assert server.tree() == {**before, "later.txt": b"later"}


def test_ignored_files_are_left_out(server):
    server.write({"x.log": b"log", "cache/y": b"cache", "kept.txt": b"kept"})
    backup = server.backup(ignored="*.log,cache")["uuid"]
    server.restore(backup)
    tree = server.tree()
    assert "kept.txt" in tree and "x.log" not in tree and "cache/y" not in tree


def test_key_order_is_the_documented_one(server):
    attributes = list(server.backup())
    wanted = ["uuid", "is_successful", "is_locked", "name", "ignored_files", "checksum", "bytes", "created_at",
              "completed_at"]
    assert [key for key in attributes if key in wanted] == wanted
