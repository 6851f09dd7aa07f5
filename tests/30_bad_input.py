# SPDX-License-Identifier: Apache-2.0
"""What must be refused, in bounded time and memory, with nothing changed."""
import concurrent.futures
import json
import re
import time

import pytest

from expect import AUTO_NAME, FORBIDDEN, MORE, UNAUTHENTICATED, backup_object, check, error, violation
from raw import Raw

JSON = {"Content-Type": "application/json"}
# Resident memory, at most, whatever is sent; instrumented programs need more.
MEMORY_MAX_KIB = 96 * 1024


@pytest.fixture(autouse=True)
def unharmed(roost, shared_server):
    """After every test: alive, nothing new, nothing stored, no memory spent."""
    yield
    assert roost.program.is_running()
    check(shared_server.client().get(f"{shared_server.api}/backups"), 200, {"data": [], **MORE})
    assert shared_server.stored() == [] and shared_server.status() is None
    from harness import SANITIZED
    if not SANITIZED:
        assert roost.program.memory_kib() < MEMORY_MAX_KIB


# ---- bodies ----

MALFORMED = [b"{", b"[", b'{"name": }', b"nonsense", b'{"a":1,}', b"{'name': 'x'}", b'{"name": "x"', b'{"name": "\xff\xfe"}',
             b'{"name": "\xc0\x80"}', b'{"name": "\xed\xa0\x80"}', b"\x00", b"[" * 100000, b'{"a":' * 20000,
             b'{"name": "a"} trailing', b'{"name": "\\ud800"}', b"\xef\xbb\xbf{}", b'{"n": 1e999999}', b"NaN"]


@pytest.mark.parametrize("body", MALFORMED, ids=[repr(b[:24]) for b in MALFORMED])
def test_malformed_json_is_400(shared_server, body):
    answer = shared_server.client().post(f"{shared_server.api}/backups", data=body, headers=JSON)
    check(answer, 400, error("BadRequestHttpException", 400,
                             lambda d: d.startswith("The JSON data passed in the request appears to be malformed: ")))


# body, the violations
WRONG = [
    ({"name": 5}, [("name", "string")]), ({"name": True}, [("name", "string")]), ({"name": []}, [("name", "string")]),
    ({"name": {}}, [("name", "string")]), ({"name": "x" * 192}, [("name", "max")]),
    ({"name": "ü" * 192}, [("name", "max")]),
    ({"is_locked": "true"}, [("is_locked", "boolean")]), ({"is_locked": 2}, [("is_locked", "boolean")]),
    ({"is_locked": []}, [("is_locked", "boolean")]), ({"is_locked": "yes"}, [("is_locked", "boolean")]),
    ({"ignored": 5}, [("ignored", "string")]), ({"ignored": True}, [("ignored", "string")]),
    ({"ignored": {}}, [("ignored", "string")]),
    ({"name": 5, "ignored": 5, "is_locked": 5}, [("name", "string"), ("ignored", "string"),
                                                 ("is_locked", "boolean")]),
]
TEXTS = {"string": "The {} must be a string.", "boolean": "The {} field must be true or false.",
         "max": "The {} may not be greater than 191 characters."}


def words(field):
    return field.replace("_", " ")


@pytest.mark.parametrize("body,broken", WRONG, ids=[json.dumps(b)[:40] for b, _ in WRONG])
def test_a_wrong_field_is_422(shared_server, body, broken):
    answer = shared_server.client().post(f"{shared_server.api}/backups", json=body)
    got = check(answer, 422, {"errors": list})["errors"]
    wanted = [violation(field, rule, TEXTS[rule].format(words(field))) for field, rule in broken]
    assert sorted(got, key=str) == sorted(wanted, key=str)


@pytest.mark.parametrize("body", [
    {"ignored": "x" * 33000}, {"ignored": ["a", 5]}, {"ignored": ["a\nb" * 20000]}], ids=lambda b: json.dumps(b)[:30])
def test_ignore_lists_are_limited(shared_server, body):
    answer = shared_server.client().post(f"{shared_server.api}/backups", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["meta"]["source_field"].split(".")[0] == "ignored"


@pytest.mark.parametrize("body", [{"ignored": "a\n" * 257}, {"ignored": "*a" * 17}], ids=["patterns", "wildcards"])
def test_patterns_that_the_node_refuses_are_told(shared_server, body):
    answer = shared_server.client().post(f"{shared_server.api}/backups", json=body)
    if answer.status_code == 422:
        assert answer.json()["errors"][0]["meta"]["source_field"] == "ignored"
    else:
        check(answer, 400, error("DaemonConnectionException", 400, lambda d: "more than" in d and "ignore pattern" in d))


@pytest.mark.parametrize("value", ["true", 2, [], "yes", {}])
def test_truncate_must_be_a_boolean(roost, value):
    server = roost.add_server()
    backup = server.backup()["uuid"]
    before = server.tree()
    answer = server.client().post(f"{server.api}/backups/{backup}/restore", json={"truncate": value})
    check(answer, 422, {"errors": [violation("truncate", "boolean", "The truncate field must be true or false.")]})
    assert server.tree() == before and server.status() is None


# body as sent, content type, attributes of what is made
TAKEN = [
    (b"null", "application/json", {"name": AUTO_NAME}), (b"", "application/json", {"name": AUTO_NAME}),
    (b"", None, {"name": AUTO_NAME}), (b"{}", "APPLICATION/JSON", {"name": AUTO_NAME}),
    (b'{"name": "  x  "}', "application/json; charset=utf-8", {"name": "x"}),
    (b'{"name": null, "ignored": null, "is_locked": null}', "application/json",
     {"name": AUTO_NAME, "is_locked": False, "ignored_files": []}),
    (b'{"name": "", "ignored": ""}', "application/json", {"name": AUTO_NAME, "ignored_files": []}),
    (b'{"is_locked": 1}', "application/json", {"is_locked": True}),
    (b'{"is_locked": "1"}', "application/json", {"is_locked": True}),
    (b'{"is_locked": "0"}', "application/json", {"is_locked": False}),
    (b'{"is_locked": 0}', "application/json", {"is_locked": False}),
    (b'{"unknown": [1, {"a": null}], "name": "n"}', "application/json", {"name": "n"}),
    (b"name=from+a+form&is_locked=1&ignored=a%0Ab", "application/x-www-form-urlencoded",
     {"name": "from a form", "is_locked": True, "ignored_files": ["a", "b"]}),
    ('{"name": "' .encode() + "ü".encode() * 191 + b'"}', "application/json", {"name": "ü" * 191}),
    ('{"name": "Welt \U0001f30d"}'.encode(), "application/json", {"name": "Welt \U0001f30d"}),
    (b'{"name": "../../../etc/passwd"}', "application/json", {"name": "../../../etc/passwd"}),
    (b'{"ignored": "a\\r\\n\\r\\n  \\nb\\r\\n"}', "application/json", {"ignored_files": ["a", "b"]}),
    (b'{"name": "<script>\\u0000\\u001f"}', "application/json", None),
]


@pytest.mark.parametrize("body,content_type,attributes", TAKEN, ids=[repr(b[:32]) for b, _, _ in TAKEN])
def test_what_clients_send_is_taken(roost, body, content_type, attributes):
    server = roost.add_server()
    headers = {"Content-Type": content_type} if content_type else {}
    answer = server.client().post(f"{server.api}/backups", data=body, headers=headers)
    if attributes is None:
        assert answer.status_code in (200, 400, 422), answer.text
    else:
        check(answer, 200, backup_object(**attributes))
    if answer.status_code == 200:
        assert server.wait(answer.json()["attributes"]["uuid"])["is_successful"]
        assert server.stored() == [answer.json()["attributes"]["uuid"] + ".tar.gz"]


# ---- path escapes, in every field and id ----

ESCAPES = ["../../../../etc/passwd", "/etc/passwd", "..", ".", "a/../../b", "..\\..\\x", "\u202e..", "%2e%2e%2f", "~root"]


@pytest.mark.parametrize("text", ESCAPES)
def test_escapes_in_fields_are_only_text(roost, text):
    server = roost.add_server({"keep": b"keep"})
    outside = sorted(str(p) for p in roost.data.rglob("*") if "backups" not in str(p))
    done = server.backup(name=text, ignored=text)
    assert server.stored() == [done["uuid"] + ".tar.gz"]
    assert sorted(str(p) for p in roost.data.rglob("*") if "backups" not in str(p)) == outside
    server.restore(done["uuid"])
    assert server.tree() == {"keep": b"keep"}


@pytest.mark.parametrize("text", ["..", "%2e%2e", "..%2f..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "delete-all%2f..",
                                  "..%5c..%5cx", "%c0%ae%c0%ae%c0%af"])
@pytest.mark.parametrize("method,path", [
    ("GET", "/api/client/servers/{s}/backups/{x}"), ("DELETE", "/api/client/servers/{s}/backups/{x}"),
    ("POST", "/api/client/servers/{s}/backups/{x}/restore"), ("GET", "/api/client/servers/{x}/backups"),
    ("DELETE", "/api/servers/{s}/backup/{x}"), ("POST", "/api/servers/{s}/backup/{x}/restore"),
    ("DELETE", "/api/servers/{x}/backup/delete-all"), ("POST", "/api/servers/{x}/backup"),
    ("POST", "/api/remote/backups/{x}"), ("GET", "/api/remote/servers/{x}")])
def test_escapes_in_ids_are_not_found(roost, shared_server, method, path, text):
    token = roost.key if "/client/" in path else ".".join(roost.node_token()) if "/remote/" in path else \
        roost.node_token()[1]
    body = json.dumps({"adapter": "wings", "uuid": "x", "truncate_directory": True, "successful": False})
    target = path.format(s=shared_server.uuid, x=text)
    with Raw(roost.url) as raw:
        status, data = raw.ask(f"{method} {target} HTTP/1.1\r\nHost: {raw.host}\r\nAuthorization: Bearer {token}\r\n"
                               f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    assert status in (400, 404, 405), data
    assert b"passwd:" not in data and b"root:" not in data


# ---- wrong keys ----

BAD_KEYS = [None, "", "x", "ptlc_", "ptlc_" + "A" * 43, "ptla_" + "A" * 43, "A" * 48, "ptlc_" + "A" * 5000, "\u00fc" * 48,
            "ptlc_'; DROP TABLE users; --"]


@pytest.mark.parametrize("key", BAD_KEYS, ids=[repr(k)[:24] for k in BAD_KEYS])
def test_a_wrong_key_is_401(roost, shared_server, key):
    headers = {"Authorization": f"Bearer {key}".encode()} if key is not None else {}
    for path in ("", "/backups"):
        check(roost.client().get(shared_server.api + path, headers=headers), 401, UNAUTHENTICATED)


def test_keys_are_compared_to_the_last_character(roost, shared_server):
    key = roost.key
    for wrong in (key[:-1], key[:-1] + ("a" if key[-1] != "a" else "b"), key + "a", key.swapcase(), key[:16],
                  key[:16] + key[16:].lower(), "ptlc_" + key[5:16].swapcase() + key[16:]):
        check(roost.client(wrong).get(shared_server.api), 401, UNAUTHENTICATED)


@pytest.mark.parametrize("header", ["Basic {key}", "{key}", "Bearer", "Bearer  ", "Token {key}", "Bearer {key} x"])
def test_other_schemes_are_401(roost, shared_server, header):
    answer = roost.client().get(shared_server.api, headers={"Authorization": header.format(key=roost.key)})
    check(answer, 401, UNAUTHENTICATED)


def test_bearer_has_no_case(roost, shared_server):
    answer = roost.client().get(shared_server.api, headers={"Authorization": f"bEaReR {roost.key}"})
    assert answer.status_code == 200


def test_an_expired_key_is_401(roost, shared_server):
    key = roost.add_key("owner")
    assert roost.client(key).get(shared_server.api).status_code == 200
    roost.sql("UPDATE api_keys SET expires_at = '2020-01-01 00:00:00' WHERE identifier = ?", key[:16])
    check(roost.client(key).get(shared_server.api), 401, UNAUTHENTICATED)


def test_a_deleted_key_is_401_at_once(roost, shared_server):
    key = roost.add_key("owner")
    assert roost.client(key).get(shared_server.api).status_code == 200
    roost.run("key", "revoke", key[:16])
    check(roost.client(key).get(shared_server.api), 401, UNAUTHENTICATED)


def test_an_application_key_is_refused(roost, shared_server):
    check(roost.client(roost.application_key()).get(f"{shared_server.api}/backups"), 403,
          error("AccessDeniedHttpException", 403, "You are attempting to use an application API key on an endpoint "
                                                  "that requires a client API key."))


def test_a_subuser_without_permissions_may_nothing(roost):
    server = roost.add_server()
    key = roost.add_subuser(server, set())
    backup = server.put_backup()
    for method, path in (("GET", "/backups"), ("POST", "/backups"), ("GET", f"/backups/{backup}"),
                         ("GET", f"/backups/{backup}/download"), ("POST", f"/backups/{backup}/lock"),
                         ("POST", f"/backups/{backup}/unlock"), ("POST", f"/backups/{backup}/restore"),
                         ("DELETE", f"/backups/{backup}")):
        check(roost.client(key).request(method, server.api + path), 403, FORBIDDEN)


def test_locking_at_creation_needs_the_right_to_delete(roost):
    server = roost.add_server()
    key = roost.add_subuser(server, {"backup.create", "backup.read"})
    check(server.create({"is_locked": True}, key=key), 200, backup_object(is_locked=False))


# ---- framing ----

HEAD = "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
SMUGGLED = "DELETE {path}/{b} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n"
# name, headers and body after HEAD
FRAMINGS = [
    ("two lengths that differ", "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}"),
    ("two lengths that agree", "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
    ("a list of lengths", "Content-Length: 2, 2\r\n\r\n{}"),
    ("length and chunked", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    ("chunked and length", "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("an unknown coding", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("blank before the colon", "Content-Length : 2\r\n\r\n{}"),
    ("a negative length", "Content-Length: -1\r\n\r\n"),
    ("a signed length", "Content-Length: +2\r\n\r\n{}"),
    ("a hexadecimal length", "Content-Length: 0x2\r\n\r\n{}"),
    ("a length beyond 64 bits", "Content-Length: 99999999999999999999999\r\n\r\n{}"),
    ("no number", "Content-Length: two\r\n\r\n{}"),
    ("a control byte", "X-A: b\x01c\r\nContent-Length: 2\r\n\r\n{}"),
    ("a bare carriage return", "X-A: b\rc\r\nContent-Length: 2\r\n\r\n{}"),
    ("no colon", "X-A\r\nContent-Length: 2\r\n\r\n{}"),
    ("a name that is no token", "X(A): b\r\nContent-Length: 2\r\n\r\n{}"),
    ("two hosts", "Host: other\r\nContent-Length: 2\r\n\r\n{}"),
    ("a bad chunk size", "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    ("a huge chunk size", "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
]


@pytest.mark.parametrize("name,rest", FRAMINGS, ids=[f[0] for f in FRAMINGS])
def test_ambiguous_framing_is_refused_and_smuggles_nothing(roost, shared_server, name, rest):
    path = f"{shared_server.api}/backups"
    with Raw(roost.url) as raw:
        fill = {"path": path, "host": raw.host, "key": roost.key, "b": "0f7b2a3c-5f0e-4a43-9c3e-5b1f6a7d8e9f"}
        raw.send((HEAD.format(**fill) + rest).encode("latin-1") + SMUGGLED.format(**fill).encode())
        data = raw.read_all()
    # (libmicrohttpd sends the head of some of its own refusals twice, and closes.)
    statuses = set(re.findall(rb"HTTP/1\.1 (\d+)", data))
    assert statuses <= {b"400", b"413", b"501"}, data[:800]


def test_a_folded_header_is_one_value_or_refused(roost, shared_server):
    """RFC 9112, section 5.2: what follows on the next line belongs to the value before."""
    with Raw(roost.url) as raw:
        status, data = raw.ask(
            f"GET {shared_server.api}/backups HTTP/1.1\r\nHost: {raw.host}\r\nX-A: b\r\n Authorization: Bearer "
            f"{roost.key}\r\n\r\n".encode())
    assert status in (400, 401), data


@pytest.mark.parametrize("line", ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/2.0\r\nHost: x\r\n\r\n", "GET /\r\n\r\n",
                                  "GET / HTTP/0.9\r\nHost: x\r\n\r\n", "nonsense\r\n\r\n", "\x16\x03\x01\x02\x00\x01",
                                  "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
                                  "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
                                  "\x00\x00\x00\x00\r\n\r\n", "\r\n\r\n\r\n\r\n"])
def test_a_broken_request_line_is_refused(roost, line):
    with Raw(roost.url, timeout_s=15) as raw:
        raw.send(line.encode("latin-1"))
        raw.socket.shutdown(1)
        data = raw.read_all()
    assert data == b"" or data.split(b" ")[1] in (b"400", b"404", b"505"), data[:300]


# ---- sizes ----

def test_a_huge_body_is_413_before_it_is_read(roost, shared_server):
    with Raw(roost.url) as raw:
        status, data = raw.ask(
            (HEAD + "Content-Length: 10000000000\r\n\r\n").format(path=f"{shared_server.api}/backups", host=raw.host,
                                                                 key=roost.key).encode())
    assert status == 413, data
    assert b'"status":"413"' in data


def test_a_huge_chunked_body_is_cut_off(roost, shared_server):
    """It is told at once, and then has a moment to hear it."""
    with Raw(roost.url) as raw:
        raw.send((HEAD + "Transfer-Encoding: chunked\r\n\r\n").format(path=f"{shared_server.api}/backups", host=raw.host,
                                                                     key=roost.key).encode())
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        began = time.monotonic()
        while raw.send(chunk):
            assert time.monotonic() - began < 6, "it goes on and on"
        status, data = raw.answer()
    assert status == 413 or data == b"", data
    with Raw(roost.url) as raw:
        assert raw.ask(f"GET {shared_server.api} HTTP/1.1\r\nHost: {raw.host}\r\n\r\n".encode())[0] == 401


@pytest.mark.parametrize("head", [
    "GET /" + "a" * 70000 + " HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + "a" * 70000 + "\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\n" + "".join(f"X-{n}: y\r\n" for n in range(8000)) + "\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nCookie: " + "a=b; " * 12000 + "\r\n\r\n"],
    ids=["target", "one header", "many headers", "cookies"])
def test_a_huge_head_is_refused(roost, head):
    with Raw(roost.url) as raw:
        status, data = raw.ask(head.encode())
    assert status in (0, 400, 413, 414, 431), data[:200]


# ---- time ----

@pytest.mark.slow
def test_slow_clients_are_cut_off_and_hinder_nobody(make):
    roost = make({"listen.head_timeout": "2 s", "listen.body_timeout": "2 s", "listen.idle_timeout": "3 s"})
    server = roost.add_server()
    lazy = [Raw(roost.url) for _ in range(100)]
    for raw in lazy[:50]:
        raw.send(b"GET / HTTP/1.1\r\nHo")
    for raw in lazy[50:]:
        raw.send((HEAD + "Content-Length: 100\r\n\r\n{{").format(path=f"{server.api}/backups", host=raw.host,
                                                                key=roost.key).encode())
    began = time.monotonic()
    assert server.client().get(server.api).status_code == 200
    assert time.monotonic() - began < 1
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        took = list(pool.map(lambda raw: raw.closes_within(12), lazy))
    assert all(seconds is not None for seconds in took), f"{took.count(None)} were not cut off"
    with Raw(roost.url) as raw:  # a byte at a time does not buy time
        for character in b"GET / HTTP/1.1\r\nHost: x\r\nX-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":
            if not raw.send(bytes([character])):
                break
            time.sleep(0.1)
        assert raw.closes_within(5) is not None
    roost.stop()


def test_many_bad_requests_at_once_cost_no_memory(roost, shared_server):
    path = f"{shared_server.api}/backups"
    bodies = [b"[" * 60000, b'{"name": "' + b"x" * 60000 + b'"}', b'{"ignored": [' + b'"a",' * 15000 + b'"a"]}',
              b"\xff" * 60000]

    def attack(number):
        client = shared_server.client()
        return client.post(path, data=bodies[number % len(bodies)], headers=JSON).status_code

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = set(pool.map(attack, range(400)))
    # 409: one whose patterns the node is about to refuse is being created.
    assert statuses <= {400, 409, 413, 422}, statuses
