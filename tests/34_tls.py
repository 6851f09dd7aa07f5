# SPDX-License-Identifier: Apache-2.0
"""Over TLS with a certificate given: panel, node, downloads and websockets."""
import ssl
import subprocess

import pytest
import requests
import websocket

from harness import free_port


@pytest.fixture(scope="module")
def secure(make, authority):
    roost = make(tls=authority)
    yield roost
    roost.stop()


def test_a_backup_goes_round_over_tls(secure):
    server = secure.add_server()
    done = server.backup()
    url = server.download_url(done["uuid"])
    assert url.startswith(secure.node_url)
    assert secure.bare().get(url).content == server.archive(done["uuid"]).read_bytes()
    assert secure.bare().get(url, headers={"Range": "bytes=1-2"}).status_code == 206
    before = server.tree()
    server.write({"a.txt": b"changed"})
    assert server.restore(done["uuid"]).status_code == 204
    assert server.tree() == before


def test_who_does_not_trust_the_authority_is_not_served(secure):
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{secure.url}/api/client", timeout=10)


def test_plain_http_is_not_served(secure):
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(f"http://127.0.0.1:{secure.port}/api/client", timeout=10)


@pytest.mark.parametrize("version", ["-ssl3", "-tls1", "-tls1_1"])
def test_old_protocols_are_refused(secure, version):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{secure.port}", version, "-cipher",
                           "ALL:@SECLEVEL=0"], input="", capture_output=True, text=True, timeout=20, check=False)
    assert "Cipher is (NONE)" in done.stdout or done.returncode != 0


def test_the_websocket_speaks_tls(secure):
    server = secure.add_server()
    details = server.client().get(f"{server.api}/websocket").json()["data"]
    assert details["socket"].startswith("wss://")
    connection = websocket.create_connection(details["socket"], timeout=20, sslopt={
        "ca_certs": str(secure.tls.authority), "cert_reqs": ssl.CERT_REQUIRED})
    connection.send('{"event":"auth","args":["%s"]}' % details["token"])
    assert "auth success" in connection.recv()
    connection.close()


@pytest.mark.parametrize("key,value,says", [
    ("listen.tls_certificate_file", "/nonexistent/cert.pem", "/nonexistent/cert.pem"),
    ("listen.tls_key_file", "/nonexistent/key.pem", "/nonexistent/key.pem"),
    ("listen.tls_key_file", "", "tls_key_file")])
def test_a_wrong_certificate_is_an_error_on_start(make, authority, key, value, says):
    roost = make(start=False, tls=authority)
    roost.settings[key] = value
    roost.configure({"listen.port": free_port()})
    done = roost.run("serve", status=None)
    assert done.returncode in (1, 2) and says in done.stderr
