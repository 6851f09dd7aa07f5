# SPDX-License-Identifier: Apache-2.0
"""Orders to restore, or to undo, that come twice are carried out once."""
import time
import uuid

import pytest

from bad_wire import bad_wire
from harness import wait_until

WORLD = {"a": b"old"}


def order(roost, path, **body):
    return roost.node_client().post(path, json=body)


def is_quiet(roost, server):
    state = roost.node_client().get(f"/api/servers/{server.uuid}").json()
    return not state["is_restoring"] and not state["jobs"]


def test_the_node_remembers_orders_by_their_id(make):
    roost = make()
    server = roost.add_server(WORLD)
    backup = server.backup()["uuid"]
    server.write({"a": b"new"})
    restore, undo = (f"/api/servers/{server.uuid}/{tail}" for tail in (f"backup/{backup}/restore", "restore/undo"))
    ids = {restore: str(uuid.uuid4()), undo: str(uuid.uuid4())}
    for path, found in ((restore, b"old"), (undo, b"new")):
        body = {"adapter": "wings", "truncate_directory": True, "order": ids[path]}
        assert order(roost, path, **body).status_code == 202
        wait_until("it to be done", lambda: is_quiet(roost, server))
        assert (server.directory / "a").read_bytes() == found
        server.write({"a": b"later"})
        for again in range(2):
            assert order(roost, path, **body).status_code == 202, "it is on the node's disk, as was asked for"
            assert is_quiet(roost, server)
            if not again:
                roost.restart()
        assert (server.directory / "a").read_bytes() == b"later"
        server.write({"a": b"new"})
    assert roost.log_text().count("came twice") == 4
    # Other panels know no such ids: each of their orders is a new one.
    for _ in range(2):
        server.write({"a": b"new"})
        assert order(roost, restore, adapter="wings", truncate_directory=True).status_code == 202
        wait_until("it to be done", lambda: is_quiet(roost, server))
        assert (server.directory / "a").read_bytes() == b"old"


@pytest.mark.parametrize("wrong", ["x", "0" * 36, 7, ["a"]])
def test_an_id_is_a_uuid(make, wrong):
    roost = make()
    server = roost.add_server(WORLD)
    backup = server.backup()["uuid"]
    for path in (f"backup/{backup}/restore", "restore/undo"):
        answer = order(roost, f"/api/servers/{server.uuid}/{path}", adapter="wings", order=wrong)
        assert answer.status_code == 400 and "order" in answer.json()["error"], answer.text


def test_the_panel_s_orders_have_one(make):
    """Each request reaches the node once more, half a second later."""
    roost = make(apart=True)
    server = roost.add_server(WORLD)
    backup = server.backup()["uuid"]
    with bad_wire(roost.node_port, 1) as wire:
        wire.decide = lambda: ("twice", 0.5)
        roost.sql("UPDATE nodes SET daemonListen = ?", wire.server_port)
        server.write({"a": b"new"})
        assert server.restore(backup, truncate=True).status_code == 204
        assert (server.directory / "a").read_bytes() == b"old"
        server.write({"a": b"later"})
        time.sleep(1)
        wire.settle()
        wait_until("quiet", lambda: is_quiet(roost, server))
        assert (server.directory / "a").read_bytes() == b"later"
        wire.late.clear()
        assert server.client().post(f"{server.api}/backups/restore/undo").status_code == 204
        server.wait_restored()
        assert (server.directory / "a").read_bytes() == b"new"
        server.write({"a": b"later"})
        time.sleep(1)
        wire.settle()
        wait_until("quiet", lambda: is_quiet(roost, server))
        assert (server.directory / "a").read_bytes() == b"later"
    assert roost.log_text().count("came twice") == 2
