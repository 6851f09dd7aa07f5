# SPDX-License-Identifier: Apache-2.0
"""The node's websocket: who may listen, and that events carry the true outcome."""
import contextlib
import json
import time

import pytest
import websocket

from harness import PATIENCE_S, token_part, wait_until
from listener import Socket


@pytest.fixture
def listen(server):
    sockets = []

    def opened(*args, **options):
        sockets.append(Socket(server, *args, **options))
        if options.get("authenticate", True) and not options.get("token"):
            sockets[-1].until("auth success")
        return sockets[-1]

    yield opened
    for one in sockets:
        one.close()


def test_a_new_servers_socket_opens_within_seconds(roost):
    for server in [roost.add_server() for _ in range(3)]:
        details = server.client().get(f"{server.api}/websocket").json()["data"]

        def opens(url=details["socket"]):
            with contextlib.suppress(websocket.WebSocketBadStatusException):
                return websocket.create_connection(url, timeout=PATIENCE_S)
        wait_until("the node to know the server", opens, 5).close()


def test_a_completed_backup_is_announced_under_both_names(server, listen):
    ear = listen()
    done = server.backup()
    seen = ear.until("backup completed", f"backup completed:{done['uuid']}")
    for name in ("backup completed", f"backup completed:{done['uuid']}"):
        (text,) = seen[name]["args"]
        said = json.loads(text)
        assert said == {"uuid": done["uuid"], "is_successful": True, "checksum": done["sha256_hash"],
                        "checksum_type": "sha256", "file_size": done["bytes"]}


def test_a_failed_backup_is_announced_as_failed(server, listen):
    ear = listen()
    backup = server.put_backup("creating")
    aside = server.directory.with_name("aside")
    server.directory.rename(aside)
    server.roost.node_client().post(f"/api/servers/{server.uuid}/backup",
                                    json={"adapter": "wings", "uuid": backup, "ignore": ""})
    said = json.loads(ear.until("backup completed")["backup completed"]["args"][0])
    assert said == {"uuid": backup, "is_successful": False, "checksum": "", "checksum_type": "", "file_size": 0}
    assert not server.wait(backup)["is_successful"]
    aside.rename(server.directory)


def outcome(message):
    """Whether a restore event tells success."""
    (text,) = message["args"]
    return json.loads(text)["is_successful"] if text else True


def test_a_restore_is_announced(server, listen):
    backup = server.backup()["uuid"]
    ear = listen()
    server.restore(backup)
    assert outcome(ear.until("backup restore completed")["backup restore completed"]) is True


def test_a_failed_restore_is_not_announced_as_done(server, listen):
    backup = server.backup()["uuid"]
    path = server.archive(backup)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    before = server.tree()
    ear = listen()
    server.restore(backup)
    assert outcome(ear.until("backup restore completed")["backup restore completed"]) is False
    assert server.tree() == before


def test_events_are_for_those_who_may_read_backups(server, listen):
    allowed = server.roost.add_subuser(server, {"backup.read", "websocket.connect"})
    other = server.roost.add_subuser(server, {"backup.create", "websocket.connect"})
    deaf, hearing = listen(key=other), listen(key=allowed)
    server.backup()
    hearing.until("backup completed")
    time.sleep(0.3)
    seen = []
    while (message := deaf.receive(0.3)) is not None:
        seen.append(message["event"])
    assert not [event for event in seen if event.startswith("backup")], seen


def test_events_are_for_the_servers_own_listeners(server, roost, listen):
    ear = listen()
    other = roost.add_server()
    other.backup()
    server.backup()
    seen = json.loads(ear.until("backup completed")["backup completed"]["args"][0])
    assert seen["uuid"] in [b["attributes"]["uuid"] for b in server.list()["data"]]


BAD = [("nothing", None), ("no token", ""), ("nonsense", "a.b.c"), ("a download's", "scope"), ("another server's", "server"),
       ("expired", "exp"), ("another key's", "key"), ("alg none", "alg"), ("not yet", "nbf")]


@pytest.mark.parametrize("name,wrong", BAD, ids=[b[0] for b in BAD])
def test_a_wrong_token_hears_nothing(server, roost, listen, name, wrong):
    good = server.client().get(f"{server.api}/websocket").json()["data"]["token"]
    claims = token_part(good, 1)
    now = int(time.time())
    forged = {
        "scope": lambda: roost.sign({**claims, "scope": "backup-download"}),
        "server": lambda: roost.sign({**claims, "server_uuid": roost.add_server().uuid}),
        "exp": lambda: roost.sign({**claims, "exp": now - 5}),
        "key": lambda: roost.sign(claims, key="k" * 64),
        "alg": lambda: roost.sign(claims, header={"alg": "none"}).rsplit(".", 1)[0] + ".",
        "nbf": lambda: roost.sign({**claims, "nbf": now + 3600, "iat": now + 3600}),
    }
    ear = Socket(server, authenticate=False)
    if wrong is not None:
        ear.send("auth", forged[wrong]() if wrong in forged else wrong)
    done = server.backup()
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        message = ear.receive(0.4)
        if message is None:
            break
        assert message["event"] not in ("auth success", "backup completed", f"backup completed:{done['uuid']}")
    ear.close()
    assert listen().token


def test_junk_closes_or_is_ignored_and_harms_nobody(server, listen):
    good = listen()
    for junk in ("{", "[]", "null", "5", '{"event": 5}', '{"event": "auth", "args": "x"}', '{"args": []}',
                 '{"event": "' + "x" * 1000 + '"}', "x" * 70000):
        bad = Socket(server, authenticate=False)
        with contextlib.suppress(Exception):
            bad.connection.send(junk)
            bad.connection.send_binary(b"\xff\x00")
        bad.close()
    server.backup()
    good.until("backup completed")


def test_many_listeners_cost_little(server, listen):
    before = server.roost.program.memory_kib("VmRSS")
    ears = [listen() for _ in range(60)]
    server.backup()
    for ear in ears:
        ear.until("backup completed")
    assert server.roost.program.memory_kib("VmRSS") - before < 60 * 300
