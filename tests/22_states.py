# SPDX-License-Identifier: Apache-2.0
"""Server states and operations: what each state refuses, and with which words."""
import pytest

from expect import STATES, check, error

OPERATIONS = [("GET", "/backups"), ("POST", "/backups"), ("GET", "/backups/{b}"), ("GET", "/backups/{b}/download"),
              ("POST", "/backups/{b}/lock"), ("POST", "/backups/{b}/unlock"), ("POST", "/backups/{b}/restore"),
              ("POST", "/backups/{b}/cancel"), ("DELETE", "/backups/{b}")]


def enter(server, state):
    if state == "maintenance":
        server.roost.sql("UPDATE nodes SET maintenance_mode = 1")
    elif state == "transferring":
        server.transfer()
    else:
        server.set(status=state)


def leave(server):
    server.roost.sql("UPDATE nodes SET maintenance_mode = 0")
    server.set(status=None)


@pytest.mark.parametrize("who", ["owner", "admin"])
@pytest.mark.parametrize("state", sorted(STATES))
def test_the_state_refuses_every_operation(private, state, who):
    """Of owners and admins alike, and nothing changes."""
    server = private.add_server()
    backup = server.backup()["uuid"]
    key = private.admin() if who == "admin" else server.key
    enter(server, state)
    try:
        for method, path in OPERATIONS:
            answer = private.client(key).request(method, server.api + path.format(b=backup))
            check(answer, 409, error("ServerStateConflictException", 409, STATES[state]))
        assert server.archive(backup).exists()
        row = server.row(backup)
        assert row["deleted_at"] is None and not row["is_locked"]
        assert private.value("SELECT COUNT(*) FROM backups WHERE server_id = ?", server.id) == 1
    finally:
        leave(server)


def test_a_finished_transfer_refuses_nothing(private):
    server = private.add_server()
    server.transfer(successful=1)
    assert server.client().get(f"{server.api}/backups").status_code == 200


def test_after_a_failed_reinstallation_only_restore_is_refused(private):
    server = private.add_server()
    backup = server.backup()["uuid"]
    server.set(status="reinstall_failed")
    for method, path in OPERATIONS:
        if path.endswith(("/restore", "/cancel")) or method == "DELETE":
            continue
        answer = server.client().request(method, server.api + path.format(b=backup))
        assert answer.status_code == 200 or answer.status_code == 204, (method, path, answer.text)
    wait_quiet(server)
    check(server.client().post(f"{server.api}/backups/{backup}/restore"), 400,
          error("BadRequestHttpException", 400,
                "This server is not currently in a state that allows for a backup to be restored."))


def wait_quiet(server):
    for backup in server.list()["data"]:
        server.wait(backup["attributes"]["uuid"])


@pytest.mark.parametrize("first,second,wins", [
    ("suspended", "maintenance", "suspended"), ("maintenance", "installing", "maintenance"),
    ("installing", "transferring", "installing"), ("restoring_backup", "transferring", "restoring_backup"),
])
def test_the_first_state_gives_the_text(private, first, second, wins):
    server = private.add_server()
    enter(server, first)
    enter(server, second)
    try:
        check(server.client().get(f"{server.api}/backups"), 409,
              error("ServerStateConflictException", 409, STATES[wins]))
    finally:
        leave(server)


def test_details_show_what_a_server_is_busy_with(private):
    server = private.add_server()
    server.set(status="restoring_backup")
    answer = server.client().get(server.api)
    assert answer.status_code == 200 and answer.json()["attributes"]["status"] == "restoring_backup"
    server.set(status=None)


def test_a_second_restore_is_refused_while_one_runs(private):
    server = private.add_server(files={"big": bytes(range(256)) * 40000})
    backup = server.backup()["uuid"]
    server.begin_restore(backup)
    check(server.client().post(f"{server.api}/backups/{backup}/restore"), 409,
          error("ServerStateConflictException", 409, STATES["restoring_backup"]))
    server.set(status=None)


def test_a_dead_lease_fails_a_backup_and_a_live_one_does_not(private):
    server = private.add_server()
    dead = server.put_backup("creating", created_s=-900, lease_s=-30)
    failed = server.wait(dead, timeout_s=90)
    assert not failed["is_successful"] and failed["checksum"] is None
    alive = server.put_backup("creating", created_s=-90000, lease_s=600)
    assert server.create().status_code == 409
    assert server.view(alive)["completed_at"] is None
