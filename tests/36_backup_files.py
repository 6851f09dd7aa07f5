# SPDX-License-Identifier: Apache-2.0
"""What is in a backup: lists, contents and downloads of files, with our archives and with those of others."""
import io
import json
import os
import subprocess
import tarfile
import time
import urllib.parse

import pytest
import requests

from expect import TIME, check

FILES = {"server.properties": b"motd=hi\n", "world/level.dat": os.urandom(70_000), "world/region/r.0.0.mca": os.urandom(200_000),
         "world/empty": b"", "plugins/a.jar": b"PK", "link": "server.properties", "zero": None}
KINDS = ["ours", "GNU tar"]


def repack(server, backup):
    """The same files in an archive as others make it, without an index."""
    path = server.archive(backup)
    subprocess.run(["tar", "-C", server.directory, "-czf", path, "."], check=True)


@pytest.fixture(scope="module", params=KINDS)
def filled(request, roost):
    server = roost.add_server(FILES)
    os.chmod(server.directory / "world", 0o750)
    os.chmod(server.directory / "server.properties", 0o640)
    os.utime(server.directory / "server.properties", (1_000_000_000, 1_000_000_000))
    with open(server.directory / "sparse", "wb") as file:
        file.truncate(1 << 20)
        file.seek(500_000)
        file.write(b"data")
    backup = server.backup()["uuid"]
    if request.param == "GNU tar":
        repack(server, backup)
    return server, backup


def ask(server, backup, verb, key=None, **query):
    return server.client(key=key).get(f"{server.api}/backups/{backup}/files/{verb}", params=query)


def names(answer):
    return [item["attributes"]["name"] for item in check(answer, 200, dict)["data"]]


def test_a_directory_is_listed(filled):
    server, backup = filled
    pagination = {"total": 6, "count": 6, "per_page": 5000, "current_page": 1, "total_pages": 1, "links": {}}
    body = check(ask(server, backup, "list"), 200, {"object": "list", "data": list, "meta": {
        "truncated": False, "pagination": pagination}})
    assert [item["attributes"]["name"] for item in body["data"]] == [
        "plugins", "world", "zero", "link", "server.properties", "sparse"]
    found = {item["attributes"]["name"]: item["attributes"] for item in body["data"]}
    assert all(item["object"] == "file_object" for item in body["data"])
    check_file = found["server.properties"]
    assert check_file == {"name": "server.properties", "mode": "-rw-r-----", "mode_bits": "640", "size": 8, "is_file": True,
                          "is_symlink": False, "mimetype": "text/plain", "created_at": "2001-09-09T01:46:40+00:00",
                          "modified_at": "2001-09-09T01:46:40+00:00", "path": "server.properties"}
    assert found["world"]["mode"] == "drwxr-x---" and not found["world"]["is_file"]
    assert found["world"]["mimetype"] == "inode/directory"
    assert found["link"]["is_symlink"] and found["link"]["is_file"] and found["sparse"]["size"] == 1 << 20
    assert TIME.fullmatch(found["link"]["modified_at"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_directory_comes_in_pages(roost, kind):
    """Each name once, however large the pages; the links lead from one to the next."""
    server = roost.add_server({f"many & more/{n:04}": b"" for n in range(5100)} | {"many & more/d": None})
    backup = server.backup()["uuid"]
    if kind == "GNU tar":
        repack(server, backup)
    wanted = sorted(["d", *(f"{n:04}" for n in range(5100))])
    for per_page, pages in (("", 2), ("700", 8), ("99999", 2)):
        url = f"{server.api}/backups/{backup}/files/list?directory=many%20%26%20more&per_page={per_page}"
        found = []
        for page in range(1, pages + 1):
            answer = check(server.client().get(url), 200, dict)
            meta = answer["meta"]
            found += [item["attributes"]["name"] for item in answer["data"]]
            assert (meta["pagination"]["current_page"], meta["pagination"]["total_pages"]) == (page, pages)
            assert meta["pagination"]["total"] == 5101 and meta["truncated"] == (page < pages)
            url = meta["pagination"]["links"].get("next")
            assert (url is None) == (page == pages)
        assert sorted(found) == wanted
    beyond = check(ask(server, backup, "list", directory="many & more", page=99), 200, dict)
    assert beyond["data"] == [] and beyond["meta"]["truncated"] is False
    for page, per_page in (("0", "-1"), ("x", "y"), ("9" * 30, "1")):
        check(ask(server, backup, "list", directory="many & more", page=page, per_page=per_page), 200, dict)
    env = {"ROOST_API_KEY": server.key, "ROOST_URL": server.roost.url}
    listed = server.roost.run("backup", "files", server.uuid, backup, "many & more", "--json", env=env).stdout
    assert sorted(item["attributes"]["name"] for item in json.loads(listed)) == wanted


@pytest.mark.parametrize("directory", ["world", "/world", "//world/", "./world/."])
def test_a_directory_below_is_listed(filled, directory):
    server, backup = filled
    assert names(ask(server, backup, "list", directory=directory)) == ["region", "empty", "level.dat"]


@pytest.mark.parametrize("path", ["server.properties", "/world/level.dat", "world/empty", "world//region/./r.0.0.mca"])
def test_a_file_is_read(filled, path):
    server, backup = filled
    wanted = FILES[os.path.normpath(path).lstrip("/")]
    answer = ask(server, backup, "contents", file=path)
    assert answer.status_code == 200 and answer.content == wanted
    url = check(ask(server, backup, "download", file=path), 200, {"object": "signed_url", "attributes": {"url": str}})
    got = requests.get(url["attributes"]["url"], timeout=60)
    assert got.status_code == 200 and got.content == wanted
    assert got.headers["Content-Length"] == str(len(wanted))
    assert f'filename="{os.path.basename(path)}"' in got.headers["Content-Disposition"]


def test_holes_are_zeros(filled):
    server, backup = filled
    wanted = b"\0" * 500_000 + b"data" + b"\0" * ((1 << 20) - 500_004)
    assert ask(server, backup, "contents", file="sparse").content == wanted
    url = ask(server, backup, "download", file="sparse").json()["attributes"]["url"]
    assert requests.get(url, timeout=60).content == wanted


def test_a_directory_is_sent_as_an_archive(filled):
    server, backup = filled
    url = ask(server, backup, "download", file="world").json()["attributes"]["url"]
    head = requests.head(url, timeout=60)
    assert head.status_code == 200 and 'filename="world.tar.gz"' in head.headers["Content-Disposition"]
    got = requests.get(url, timeout=60)
    assert got.status_code == 200 and got.headers["Content-Type"] == "application/gzip"
    with tarfile.open(fileobj=io.BytesIO(got.content), mode="r:gz") as archive:
        found = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}
    assert found == {name: content for name, content in FILES.items() if name.startswith("world/")}


@pytest.mark.parametrize("verb,parameter", [("list", "directory"), ("contents", "file")])
def test_what_is_not_there_is_not_found(filled, verb, parameter):
    server, backup = filled
    for path in ("nothing", "world/nothing/at/all", "server.properties/x"):
        check(ask(server, backup, verb, **{parameter: path}), 404)
    url = ask(server, backup, "download", file="nothing").json()["attributes"]["url"]
    assert requests.get(url, timeout=60).status_code == 404


def test_what_is_no_path_is_refused(filled):
    server, backup = filled
    for path in ("../etc/passwd", "world/../../x", "x" * 300):
        for verb, parameter in (("list", "directory"), ("contents", "file"), ("download", "file")):
            answer = ask(server, backup, verb, **{parameter: path})
            assert answer.status_code == 422, answer.text
            assert answer.json()["errors"][0]["meta"]["source_field"] == parameter
    for verb in ("contents", "download"):
        check(ask(server, backup, verb), 422)


def test_links_and_directories_are_not_read(filled):
    server, backup = filled
    for path in ("link", "world"):
        answer = ask(server, backup, "contents", file=path)
        assert answer.status_code == 400 and "no regular file" in answer.text


def test_large_files_are_not_shown(roost):
    server = roost.add_server({"large": b"x" * ((4 << 20) + 1), "limit": b"y" * (4 << 20)})
    backup = server.backup()["uuid"]
    answer = ask(server, backup, "contents", file="large")
    assert answer.status_code == 400 and "This file is too large to view." in answer.text
    assert ask(server, backup, "contents", file="limit").content == b"y" * (4 << 20)


HOSTILE = [b"a\nX-Injected: 1", b'quote".txt', b"\xff\xfe", "ü+&%=?.txt".encode(), b"semi;colon'\\x", b" blank ", b"\x01\x7f"]


def test_names_of_any_bytes_can_be_asked_for(roost):
    server = roost.add_server({"dir/x": b"x"})
    for number, name in enumerate(HOSTILE):
        with open(os.path.join(os.fsencode(server.directory), b"dir", name), "wb") as file:
            file.write(b"%d" % number)
    backup = server.backup()["uuid"]
    listed = check(ask(server, backup, "list", directory="dir"), 200, dict)["data"]
    paths = {urllib.parse.unquote_to_bytes(item["attributes"]["path"]): item["attributes"]["path"] for item in listed}
    assert set(paths) == {b"dir/" + name for name in HOSTILE} | {b"dir/x"}
    for number, name in enumerate(HOSTILE):
        base = f"{server.api}/backups/{backup}/files"
        encoded = paths[b"dir/" + name]
        answer = server.client().get(f"{base}/contents?file={encoded}")
        assert answer.status_code == 200 and answer.content == b"%d" % number, name
        url = server.client().get(f"{base}/download?file={encoded}").json()["attributes"]["url"]
        got = requests.get(url, timeout=60)
        assert got.content == b"%d" % number and "X-Injected" not in got.headers
        assert got.headers["Content-Disposition"].isprintable()


def test_permissions_and_strangers(filled, roost):
    server, backup = filled
    reader = roost.add_subuser(server, ["backup.read"])
    loader = roost.add_subuser(server, ["backup.download"])
    check(ask(server, backup, "list", key=reader), 200, dict)
    check(ask(server, backup, "contents", key=reader, file="server.properties"), 403)
    check(ask(server, backup, "download", key=reader, file="server.properties"), 403)
    check(ask(server, backup, "list", key=loader), 403)
    assert ask(server, backup, "contents", key=loader, file="server.properties").status_code == 200
    other = roost.add_server({"a": b"a"})
    for verb in ("list", "contents", "download"):
        check(ask(server, backup, verb, key=roost.stranger_key(), file="a"), 404)
        check(ask(other, backup, verb, file="a"), 404)
        assert roost.bare().get(f"{server.api}/backups/{backup}/files/{verb}").status_code == 401


def test_only_completed_backups_are_looked_into(roost):
    server = roost.add_server()
    backup = server.backup()["uuid"]
    for state in ("creating", "failed"):
        unfinished = server.put_backup(state)
        for verb in ("list", "contents", "download"):
            check(ask(server, unfinished, verb, file="a"), 400)
    server.set(status="suspended")
    for verb in ("list", "contents", "download"):
        check(ask(server, backup, verb, file="a.txt"), 409)
    server.set(status=None)
    server.archive(backup).unlink()
    check(ask(server, backup, "list"), 404)


def test_the_node_wants_its_token(filled, roost):
    server, backup = filled
    path = f"/api/servers/{server.uuid}/backup/{backup}/files"
    assert roost.node_client().get(path).status_code == 200
    assert roost.node_client("wrong").get(path).status_code == 403
    assert roost.node_client().get(path + "/contents?file=../../etc/passwd").status_code == 404


def test_a_download_ends_with_its_client(roost):
    """Nobody reads on: the node's thread lets go, and another download finds its place."""
    server = roost.add_server({f"d/{n}": os.urandom(3 << 20) for n in range(8)})
    backup = server.backup()["uuid"]
    for _ in range(20):
        url = ask(server, backup, "download", file="d").json()["attributes"]["url"]
        with requests.get(url, stream=True, timeout=60) as answer:
            assert answer.status_code in (200, 503)
            next(answer.iter_content(1000))
    deadline = time.monotonic() + 30
    while True:
        url = ask(server, backup, "download", file="d").json()["attributes"]["url"]
        got = requests.get(url, timeout=60)
        if got.status_code == 200 or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    with tarfile.open(fileobj=io.BytesIO(got.content), mode="r:gz") as archive:
        assert len([m for m in archive if m.isfile()]) == 8


def test_the_command_line_looks_into_backups(filled, tmp_path):
    server, backup = filled
    env = {"ROOST_API_KEY": server.key, "ROOST_URL": server.roost.url}

    def run(*args, **options):
        return server.roost.run("backup", *args, env=env, **options)
    assert "level.dat" in run("files", server.uuid, backup, "world").stdout
    assert run("cat", server.uuid, backup, "server.properties").stdout == "motd=hi\n"
    run("download", server.uuid, backup, "--file", "world/level.dat", "-o", tmp_path / "level.dat")
    assert (tmp_path / "level.dat").read_bytes() == FILES["world/level.dat"]
    run("download", server.uuid, backup, "--file", "world", "-o", tmp_path / "world.tar.gz")
    assert subprocess.run(["tar", "-tzf", tmp_path / "world.tar.gz"], check=True, capture_output=True).stdout
    assert "not found in this backup" in run("cat", server.uuid, backup, "nothing", status=1).stderr
    assert not list(tmp_path.glob("*.part"))
