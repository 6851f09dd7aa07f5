# SPDX-License-Identifier: Apache-2.0
"""A node acts on backups of its own servers, and on nothing else; with every endpoint of the remote API."""
import pytest

from expect import check, error

SUCCESS = {"checksum": "ab" * 32, "checksum_type": "sha256", "size": 9, "successful": True}
DENIED = error("HttpForbiddenException", 403, "You do not have permission to access that backup.")


@pytest.fixture(scope="module")
def foreign(roost):
    """A second node's token; it runs nowhere, and has no servers."""
    made = roost.json("node", "add", "second", "--url", "http://127.0.0.1:1")
    return made["token"] if "." in made["token"] else f"{made['token_id']}.{made['token']}"


# name, method, path, body, status, answer; b: a backup of the first node, s: its server
CALLS = [
    ("upload addresses", "GET", "/api/remote/backups/{b}?size=5", None, 403, DENIED),
    ("report", "POST", "/api/remote/backups/{b}", SUCCESS, 403, DENIED),
    ("failure report", "POST", "/api/remote/backups/{b}", {"successful": False}, 403, DENIED),
    ("restore report", "POST", "/api/remote/backups/{b}/restore", {"successful": True}, 403, DENIED),
    ("heartbeat", "POST", "/api/remote/backups/{b}/heartbeat", {"bytes": 5}, 403, DENIED),
    ("a server", "GET", "/api/remote/servers/{s}", None, 404, error("NotFoundHttpException", 404)),
    ("the servers", "GET", "/api/remote/servers", None, 200, None),
    ("reset", "POST", "/api/remote/servers/reset", None, 204, ""),
    ("activity", "POST", "/api/remote/activity",
     {"data": [{"server": "S", "event": "server:console.command", "ip": "1.2.3.4", "metadata": {}, "user": None,
                "timestamp": "2024-01-01T00:00:00Z"}]}, 200, None),
]


@pytest.mark.parametrize("state", ["creating", "completed"])
@pytest.mark.parametrize("call", CALLS, ids=[c[0] for c in CALLS])
def test_another_nodes_token_does_nothing(server, foreign, call, state):
    name, method, path, body, status, pattern = call
    roost = server.roost
    backup = server.put_backup(state)
    if state == "completed":
        server.begin_restore(backup)
    before = tuple(server.row(backup)), server.status()
    logs = roost.value("SELECT COUNT(*) FROM activity_logs")
    if name == "activity":
        body = {"data": [{**body["data"][0], "server": server.uuid}]}
    options = {"json": body} if body is not None else {}
    answer = roost.remote(foreign).request(method, path.format(b=backup, s=server.uuid), **options)
    check(answer, status, pattern)
    if name == "the servers":
        assert answer.json()["data"] == []
    assert (tuple(server.row(backup)), server.status()) == before
    assert roost.value("SELECT COUNT(*) FROM activity_logs") == logs
    server.set(status=None)


def test_the_own_token_does_it(server):
    backup = server.put_backup("creating")
    check(server.roost.remote().post(f"/api/remote/backups/{backup}/heartbeat", json={"bytes": 5}), 204)
    check(server.roost.remote().post(f"/api/remote/backups/{backup}", json=SUCCESS), 204)


def test_a_heartbeat_extends_the_lease(private):
    server = private.add_server()
    backup = server.put_backup("creating", lease_s=3)
    number = private.value("SELECT id FROM backups WHERE uuid = ?", backup)
    before = private.value("SELECT lease_until FROM roost_backups WHERE backup_id = ?", number)
    check(private.remote().post(f"/api/remote/backups/{backup}/heartbeat", json={"bytes": 1}), 204)
    assert private.value("SELECT lease_until FROM roost_backups WHERE backup_id = ?", number) > before


def test_secrets_are_nowhere_to_be_seen(roost, server):
    """Neither in the log, nor in the database, nor in what commands print."""
    server.backup()
    _, secret = roost.node_token()
    texts = [roost.log_text().encode(), roost.database.read_bytes(), roost.journal.read_bytes()]
    texts += [path.read_bytes() for path in roost.data.glob("*.db-wal")]
    texts += [roost.run(*args, status=None).stdout.encode() for args in (
        ("node", "list"), ("node", "list", "--json"), ("key", "list"), ("key", "list", "--json"),
        ("config", "show"), ("config", "show", "--json"), ("doctor", "--json"))]
    app_key = (roost.data / "app.key").read_text().strip().split(":")[-1]
    for text in texts:
        for hidden in (secret, roost.key[16:], app_key):
            assert hidden.encode() not in text
