# SPDX-License-Identifier: Apache-2.0
"""GET /download/backup?token=: resumable, bound to its purpose, and deniable."""
import hashlib
import os
import time

import pytest
import requests

from harness import Client, token_of, token_part

UNKNOWN = "0f7b2a3c-5f0e-4a43-9c3e-5b1f6a7d8e9f"


STARTERS_MAX = 5  # addresses that may begin a download with one token


class Download:
    def __init__(self, server):
        self.server = server
        self.backup = server.backup()["uuid"]
        self.bytes = server.archive(self.backup).read_bytes()
        self.url = self.fresh_url()

    def fresh_url(self):
        return self.server.download_url(self.backup)

    def get(self, method="GET", url=None, **headers):
        """With a token of its own, unless `url` says which."""
        return self.server.roost.bare().request(method, url or self.fresh_url(),
                                                headers={k.replace("_", "-"): v for k, v in headers.items()})


@pytest.fixture(scope="module")
def download(roost):
    return Download(roost.add_server({"noise": os.urandom(3_000_000), "text": b"text\n" * 1000}))


def test_the_whole_file(download):
    answer = download.get()
    assert answer.status_code == 200 and answer.content == download.bytes
    assert answer.headers["Content-Length"] == str(len(download.bytes))
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{download.backup}.tar.gz"'
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Accept-Ranges"] == "bytes" and answer.headers["ETag"].startswith('"')


def test_head_tells_everything_but_the_file(download):
    head, get = download.get("HEAD"), download.get()
    assert head.status_code == 200 and head.content == b""
    for name in ("Content-Length", "ETag", "Content-Type", "Content-Disposition", "Accept-Ranges", "Last-Modified"):
        assert head.headers[name] == get.headers[name]


# Range, status, slice
RANGES = [
    ("bytes=0-0", 206, slice(0, 1)), ("bytes=0-99", 206, slice(0, 100)), ("bytes=100-", 206, slice(100, None)),
    ("bytes=-10", 206, slice(-10, None)), ("bytes=5-999999999", 206, slice(5, None)),
    ("bytes=-999999999", 206, slice(None)), ("BYTES=0-9", 206, slice(0, 10)),
    ("bytes=999999999-", 416, None), ("bytes=-0", 416, None),
    ("bytes=9-5", 200, slice(None)), ("bytes=", 200, slice(None)), ("bytes=a-b", 200, slice(None)),
    ("lines=0-5", 200, slice(None)), ("bytes=--5", 200, slice(None)),
    ("bytes=99999999999999999999999-", 416, None), ("bytes=0-99999999999999999999999", 206, slice(None)),
    ("bytes=0-1,5-6", 200, slice(None)),
]


@pytest.mark.parametrize("text,status,part", RANGES, ids=[r[0] for r in RANGES])
def test_range(download, text, status, part):
    answer = download.get(Range=text)
    if text.startswith("bytes=9999999999999") and answer.status_code == 200:
        status, part = 200, slice(None)  # a number beyond any file is a range that may be ignored
    assert answer.status_code == status, answer.headers
    if status == 416:
        assert answer.headers["Content-Range"] == f"bytes */{len(download.bytes)}"
        return
    assert answer.content == download.bytes[part]
    if status == 206:
        first, end, _ = part.indices(len(download.bytes))
        assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(download.bytes)}"


def test_if_range(download):
    tag = download.get("HEAD").headers["ETag"]
    assert download.get(Range="bytes=5-9", If_Range=tag).status_code == 206
    for other in ('"other"', "W/" + tag, "Mon, 01 Jan 2001 00:00:00 GMT", "nonsense"):
        answer = download.get(Range="bytes=5-9", If_Range=other)
        assert answer.status_code == 200 and answer.content == download.bytes


def test_conditions(download):
    tag = download.get("HEAD").headers["ETag"]
    answer = download.get(If_None_Match=tag)
    assert answer.status_code == 304 and answer.content == b""
    assert download.get(If_None_Match='"other"').status_code == 200
    assert download.get(If_Match=tag).status_code == 200
    assert download.get(If_Match='"other"').status_code == 412


def test_tags_tell_files_apart(download):
    download.server.write({"more": b"more"})
    other = Download(download.server)
    assert other.get("HEAD").headers["ETag"] != download.get("HEAD").headers["ETag"]


def test_a_download_is_resumed_until_the_file_is_whole(download):
    """As a browser does on a bad line: pieces, each with If-Range, all with one token."""
    url = download.fresh_url()
    tag = download.get("HEAD", url).headers["ETag"]
    got = b""
    while len(got) < len(download.bytes):
        step = download.get(url=url, Range=f"bytes={len(got)}-{len(got) + 70_000}", If_Range=tag)
        assert step.status_code == 206
        got += step.content
    assert hashlib.sha256(got).digest() == hashlib.sha256(download.bytes).digest()


def test_an_aborted_download_does_not_use_the_token_up(download):
    url = download.fresh_url()
    answer = download.server.roost.bare().get(url, stream=True)
    assert answer.raw.read(1000) == download.bytes[:1000]
    answer.close()
    assert download.get(url=url).content == download.bytes


class From(requests.adapters.HTTPAdapter):
    """Requests that come from another address of this machine."""

    def __init__(self, address):
        self.address = address
        super().__init__()

    def init_poolmanager(self, *args, **options):
        super().init_poolmanager(*args, source_address=(self.address, 0), **options)


def get_from(address, url, method="GET", **headers):
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", From(address))
        return session.request(method, url, headers={k.replace("_", "-"): v for k, v in headers.items()}, timeout=20)


def test_a_link_that_is_passed_round_ends(download):
    """A few addresses may start (a prefetcher, a scanner, the person); what only asks or goes on is free."""
    url = download.fresh_url()
    for number in range(1, STARTERS_MAX + 1):
        for _ in range(3):
            assert get_from(f"127.0.0.{number}", url).content == download.bytes
    last = f"127.0.0.{STARTERS_MAX + 1}"
    refused(get_from(last, url))
    for text in ("bytes=0-", "bytes=00-5", "bytes=-5", "bytes=0-1,5-6", "lines=5-", "bytes=x-"):
        refused(get_from(last, url, Range=text))
    refused(get_from(last, url, Range="bytes=5-", If_Range='"other"'))
    assert get_from(last, url, Range="bytes=5-").content == download.bytes[5:]
    assert get_from(last, url, "HEAD").status_code == 200
    assert get_from("127.0.0.1", url).status_code == 200


@pytest.mark.parametrize("text", ["bytes=5-1", "bytes=99999999999999999999999-"])
def test_a_range_that_means_everything_is_a_start(download, text):
    """A range that is not one is not followed, and then the whole file is sent."""
    url = download.fresh_url()
    for number in range(1, STARTERS_MAX + 1):
        assert get_from(f"127.0.0.{number}", url).status_code == 200
    answer = get_from(f"127.0.0.{STARTERS_MAX + 1}", url, Range=text)
    assert answer.status_code == 416 or answer.status_code in (403, 404), answer.status_code


# ---- tokens ----

CLAIMS = [
    ("expired", {"exp": -1}), ("no expiry", {"exp": None}), ("expiry no number", {"exp": "later"}),
    ("not yet", {"nbf": 3600, "iat": 3600}), ("another purpose", {"scope": "websocket"}), ("no purpose", {"scope": None}),
    ("empty purpose", {"scope": ""}), ("purpose that begins so", {"scope": "backup-download-all"}),
    ("another server", {"server_uuid": "OTHER"}), ("unknown server", {"server_uuid": UNKNOWN}),
    ("no server", {"server_uuid": None}), ("server no text", {"server_uuid": 5}),
    ("unknown backup", {"backup_uuid": UNKNOWN}), ("no backup", {"backup_uuid": None}),
    ("a path", {"backup_uuid": "../../../etc/passwd"}), ("backup no text", {"backup_uuid": ["x"]}),
]


@pytest.mark.parametrize("name,change", CLAIMS, ids=[c[0] for c in CLAIMS])
def test_a_token_for_something_else_is_refused(download, roost, name, change):
    claims = token_part(token_of(download.url), 1)
    now = int(time.time())
    for key, value in change.items():
        if value is None:
            claims.pop(key, None)
        elif key in ("exp", "nbf", "iat") and isinstance(value, int):
            claims[key] = now + value
        else:
            claims[key] = roost.add_server().uuid if value == "OTHER" else value
    refused(roost.download(roost.sign(claims)))


def refused(answer):
    assert answer.status_code in (400, 401, 403, 404), answer.status_code
    assert set(answer.json()) == {"error", "request_id"}
    assert b"root:" not in answer.content


def test_the_unchanged_claims_are_good(download, roost):
    """So that the refusals above are about the change."""
    assert roost.download(roost.sign(token_part(token_of(download.fresh_url()), 1))).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "a.b", "a.b.c", "....", "é", "A" * 1500, "eyJhbGciOiJub25lIn0.e30."])
def test_a_broken_token_is_refused(roost, token):
    refused(roost.download(token))


def test_no_token_is_refused(roost):
    refused(roost.bare().get("/download/backup"))


def test_signatures_are_checked(download, roost):
    token = token_of(download.url)
    claims = token_part(token, 1)
    head, body, signature = token.split(".")
    other = ("A" if signature[5] != "A" else "B")
    for bad in (roost.sign(claims, key="k" * 64), roost.sign(claims, key=""), f"{head}.{body}.",
                f"{head}.{body}.{signature[:5]}{other}{signature[6:]}", roost.sign(claims, header={"alg": "HS512"}),
                roost.sign(claims, header={"alg": "none"}), roost.sign(claims, header={"alg": "hs256"}),
                roost.sign(claims, header={"alg": None}), roost.sign(claims)[:-10]):
        refused(roost.download(bad))


def test_another_nodes_key_is_refused(download, roost):
    second = roost.json("node", "add", "elsewhere", "--url", "http://127.0.0.1:1")
    refused(roost.download(roost.sign(token_part(token_of(download.url), 1), key=second["token"].split(".")[-1])))


def test_claims_are_the_documented_ones(download, roost):
    token = token_of(download.url)
    head, claims = token_part(token, 0), token_part(token, 1)
    assert head["alg"] == "HS256" and head["typ"] == "JWT"
    assert claims["iss"] == roost.url and roost.node_url in claims["aud"]
    assert claims["backup_uuid"] == download.backup and claims["server_uuid"] == download.server.uuid
    assert len(claims["unique_id"]) == 16 and claims["user_uuid"] and claims["jti"]
    assert "backup-download" in claims["scope"].split()
    assert claims["nbf"] <= claims["iat"] < claims["exp"]


def test_a_deleted_backup_is_gone_for_old_tokens(roost):
    server = roost.add_server()
    mine = Download(server)
    server.client().delete(f"{server.api}/backups/{mine.backup}")
    assert mine.get(url=mine.url).status_code == 404


def test_a_denied_token_stays_denied_after_a_restart(fresh):
    server = fresh.add_server()
    mine = Download(server)
    assert mine.get("HEAD", mine.url).status_code == 200
    jti = token_part(token_of(mine.url), 1)["jti"]
    answer = fresh.node_client().post(f"/api/servers/{server.uuid}/ws/deny", json={"jtis": [jti]})
    assert answer.status_code in (200, 204)
    refused(mine.get("GET", mine.url))
    fresh.restart()
    refused(mine.get("GET", mine.url))
    fresh.kill()
    fresh.start()
    refused(mine.get("GET", mine.url))


def test_a_good_token_survives_a_restart(fresh):
    """A download can be resumed over it."""
    mine = Download(fresh.add_server())
    first = mine.get(url=mine.url, Range="bytes=0-99").content
    fresh.restart()
    assert first + mine.get(url=mine.url, Range="bytes=100-").content == mine.bytes


def test_a_large_download_costs_no_memory(fresh):
    server = fresh.add_server({"noise": os.urandom(1 << 20) * 64})
    mine = Download(server)
    before = fresh.program.memory_kib()
    for _ in range(4):
        assert Client(fresh.node_url).get(mine.fresh_url(), timeout=60).content == mine.bytes
    assert fresh.program.memory_kib() - before < 8 * 1024
