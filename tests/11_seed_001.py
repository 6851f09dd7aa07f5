# SPDX-License-Identifier: Apache-2.0
"""Document 001, the short page with curl commands: each command as it stands there, run by curl."""
import json
import subprocess

import pytest

from expect import AUTO_NAME, COMPLETED, CREATING, backup_object, differences

SIGNED_URL = {"object": "signed_url", "attributes": {"url": str}}
LIST = {"object": "list", "data": [backup_object(**COMPLETED)], "meta": dict}

# name, the command, status, answer
ROWS = [
    ("List Backups", r'''curl -X GET "https://your-panel.com/api/client/servers/{server}/backups" \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -H "Accept: application/json"''', 200, LIST),
    ("Create Backup", r'''curl -X POST "https://your-panel.com/api/client/servers/{server}/backups" \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -H "Accept: application/json" \
  -H "Content-Type: application/json" \
  -d '{"name": "Pre-update backup"}' ''', 200, backup_object(name="Pre-update backup", **CREATING)),
    ("Create Backup, name left out", r'''curl -X POST "https://your-panel.com/api/client/servers/{server}/backups" \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -H "Accept: application/json" \
  -H "Content-Type: application/json" ''', 200, backup_object(name=AUTO_NAME, **CREATING)),
    ("Create Backup, name empty", r'''curl -X POST "https://your-panel.com/api/client/servers/{server}/backups" \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -H "Accept: application/json" \
  -H "Content-Type: application/json" \
  -d '{"name": ""}' ''', 200, backup_object(name=AUTO_NAME, **CREATING)),
    ("Get Backup Details", r'''curl -X GET "https://your-panel.com/api/client/servers/{server}/backups/{backup}" \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -H "Accept: application/json"''', 200, backup_object(**COMPLETED)),
    ("Download Backup", r'''curl -X GET "https://your-panel.com/api/client/servers/{server}/backups/{backup}/download" \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -H "Accept: application/json"''', 200, SIGNED_URL),
    ("Restore Backup", r'''curl -X POST "https://your-panel.com/api/client/servers/{server}/backups/{backup}/restore" \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -H "Accept: application/json"''', 204, None),
    ("Toggle Backup Lock", r'''curl -X POST "https://your-panel.com/api/client/servers/{server}/backups/{backup}/lock" \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -H "Accept: application/json"''', 200, backup_object(is_locked=True)),
    ("Delete Backup", r'''curl -X DELETE "https://your-panel.com/api/client/servers/{server}/backups/{backup}" \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -H "Accept: application/json"''', 204, None),
]


def run(server, command, backup):
    """Status and body of a command of the document, with host, key and ids put in."""
    command = command.replace("https://your-panel.com", server.roost.url).replace("YOUR_API_KEY", server.key)
    command = command.replace("{server}", server.short).replace("{backup}", backup)
    done = subprocess.run(["sh", "-c", command.strip() + r' -s -w "\n%{http_code}"'], capture_output=True, text=True,
                          timeout=60, check=True)
    body, status = done.stdout.rsplit("\n", 1)
    return int(status), body


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_command(server, row):
    _, command, status, pattern = row
    backup = server.backup()["uuid"]
    got, body = run(server, command, backup)
    assert got == status, body
    if pattern is None:
        assert body == ""
    else:
        assert not differences(json.loads(body), pattern), body


def test_restore_overwrites_all_current_files(server):
    backup = server.backup()["uuid"]
    before = server.tree()
    server.write({"a.txt": b"changed", "new": b"new"})
    run(server, ROWS[6][1], backup)
    server.wait_restored()
    assert server.tree() == before


def test_a_locked_backup_cannot_be_deleted(server):
    backup = server.backup()["uuid"]
    run(server, ROWS[7][1], backup)
    status, body = run(server, ROWS[8][1], backup)
    assert status == 400 and json.loads(body)["errors"][0]["code"] == "BackupLockedException"
    assert server.archive(backup).exists()


def test_limit_is_shown_in_server_details_and_holds(roost):
    server = roost.add_server(limit=1)
    details = server.client().get(server.api).json()["attributes"]
    assert details["feature_limits"]["backups"] == 1
    server.backup()
    status, body = run(server, ROWS[1][1], "")
    assert status == 400
    assert json.loads(body) == {"errors": [{
        "code": "TooManyBackupsException", "status": "400",
        "detail": "Cannot create a new backup, this server has reached its limit of 1 backups."}]}


def test_a_failed_backup_does_not_count_against_the_limit(roost):
    server = roost.add_server(limit=1)
    server.put_backup("failed")
    assert server.backup()["is_successful"]


def test_a_server_without_a_limit_has_no_backups(roost):
    server = roost.add_server(limit=0)
    answer = server.create()
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "TooManyBackupsException"
