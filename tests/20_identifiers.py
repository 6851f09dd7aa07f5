# SPDX-License-Identifier: Apache-2.0
"""Which server and which backup a path means, and what a caller learns who asks for somebody else's."""
import uuid as uuids

import pytest

from expect import NOT_FOR_SERVER, NOT_FOUND, NOT_ON_SERVER, check

UNKNOWN = "0f7b2a3c-5f0e-4a43-9c3e-5b1f6a7d8e9f"
MALFORMED = ["nonsense", "0", "-", "%2e%2e", "..%2f..%2fetc", "a" * 300, "%00", "%ff%fe", "null", "1",
             UNKNOWN.replace("-", ""), UNKNOWN + "x", UNKNOWN[:-1], "{" + UNKNOWN + "}", "%F0%9F%98%80", "*", "'"]
ACTIONS = [("GET", ""), ("GET", "/download"), ("POST", "/lock"), ("POST", "/unlock"), ("POST", "/restore"),
           ("DELETE", "")]


@pytest.mark.parametrize("spelling", ["uuid", "short"])
def test_a_server_is_found_by_uuid_and_by_short_id(shared_server, spelling):
    name = getattr(shared_server, spelling)
    body = shared_server.client().get(f"/api/client/servers/{name}").json()
    assert body["object"] == "server" and body["attributes"]["uuid"] == shared_server.uuid
    assert body["attributes"]["identifier"] == shared_server.short
    assert shared_server.client().get(f"/api/client/servers/{name}/backups").status_code == 200


@pytest.mark.parametrize("name", MALFORMED + [UNKNOWN, UNKNOWN[:8]])
def test_an_unknown_or_malformed_server_is_not_found(roost, name):
    for path in ("", "/backups", "/websocket"):
        answer = roost.client(roost.key).get(f"/api/client/servers/{name}{path}")
        # What is no path at all (%00) never reaches the router.
        assert answer.status_code in ((400, 404) if name == "%00" else (404,)), (name, answer.text)
        if answer.status_code == 404:
            check(answer, 404, NOT_FOUND)


@pytest.mark.parametrize("name", MALFORMED + [UNKNOWN])
@pytest.mark.parametrize("method,path", ACTIONS, ids=[f"{m} {p}" for m, p in ACTIONS])
def test_an_unknown_or_malformed_backup_is_not_found(shared_server, method, path, name):
    url = f"{shared_server.api}/backups/{name}{path}"
    answer = shared_server.client().request(method, url)
    assert answer.status_code in ((400, 404) if name == "%00" else (404,)), answer.text


def test_a_backups_uuid_has_no_short_form(shared_server):
    backup = shared_server.backup()["uuid"]
    check(shared_server.client().get(f"{shared_server.api}/backups/{backup[:8]}"), 404, NOT_FOUND)


def test_a_trailing_slash_is_tolerated(shared_server):
    assert shared_server.client().get(f"{shared_server.api}/backups/").status_code == 200


def test_head_is_get_without_a_body(shared_server):
    answer = shared_server.client().request("HEAD", f"{shared_server.api}/backups")
    assert answer.status_code == 200 and answer.content == b""


@pytest.mark.parametrize("method,path", [("PUT", "/backups"), ("DELETE", "/backups"), ("PATCH", "/backups")])
def test_an_unknown_method_is_405(shared_server, method, path):
    answer = shared_server.client().request(method, shared_server.api + path)
    assert answer.status_code == 405 and answer.json()["errors"][0]["status"] == "405"


@pytest.mark.parametrize("method,path", ACTIONS, ids=[f"{m} {p}" for m, p in ACTIONS])
def test_another_servers_backup_is_not_found_and_not_touched(roost, method, path):
    mine, other = roost.add_server(), roost.add_server()
    backup = other.backup()["uuid"]
    check(mine.client().request(method, f"{mine.api}/backups/{backup}{path}"), 404, NOT_FOR_SERVER)
    assert other.view(backup)["is_successful"] and not other.view(backup)["is_locked"]
    assert other.archive(backup).exists() and other.status() is None


@pytest.mark.parametrize("method,path", [("GET", "/backups"), ("POST", "/backups"), ("GET", ""), ("GET", "/websocket")]
                         + [(m, "/backups/{b}" + p) for m, p in ACTIONS])
def test_another_tenant_sees_nothing_and_changes_nothing(roost, method, path):
    server = roost.add_server()
    backup = server.backup()["uuid"]
    stranger = roost.stranger_key()
    for name in (server.uuid, server.short):
        answer = roost.client(stranger).request(method, f"/api/client/servers/{name}" + path.format(b=backup))
        check(answer, 404, NOT_ON_SERVER)
    assert len(server.list()["data"]) == 1 and server.view(backup)["is_locked"] is False
    assert server.archive(backup).exists() and server.status() is None


def test_a_root_admin_sees_every_server(server):
    answer = server.client(key=server.roost.admin()).get(f"{server.api}/backups")
    assert answer.status_code == 200


def test_the_server_list_holds_what_one_may_see(roost):
    server = roost.add_server()
    mine = [s["attributes"]["uuid"] for s in roost.each_server(roost.key)]
    assert server.uuid in mine
    assert roost.each_server(roost.stranger_key()) == []
    subuser = roost.add_subuser(server, {"backup.read"})
    assert [s["attributes"]["uuid"] for s in roost.each_server(subuser)] == [server.uuid]


def test_server_details(roost):
    server = roost.add_server(limit=7)
    body = server.client().get(server.api).json()["attributes"]
    assert body["feature_limits"]["backups"] == 7 and body["status"] is None
    assert body["is_node_under_maintenance"] is False and body["is_transferring"] is False
    assert body["server_owner"] is True


def test_websocket_details(shared_server):
    body = shared_server.client().get(f"{shared_server.api}/websocket").json()["data"]
    claims = shared_server.roost.token_claims(body["token"])
    assert body["socket"].startswith("ws") and body["socket"].endswith(f"/api/servers/{shared_server.uuid}/ws")
    assert claims["exp"] - claims["iat"] == 600 and claims["server_uuid"] == shared_server.uuid
    assert "*" in claims["permissions"] or "backup.read" in claims["permissions"]


def test_ids_are_made_well(server):
    backup = server.backup()["uuid"]
    assert uuids.UUID(backup).version == 4 and str(uuids.UUID(backup)) == backup
