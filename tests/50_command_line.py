# SPDX-License-Identifier: Apache-2.0
"""The command line: help, JSON, exit statuses, completion, and what it says where something is wrong."""
import json
import os
import pty
import re
import select
import stat
import subprocess
import tarfile
import time

import pytest

from harness import PATIENCE_S, ROOST, free_port, program_env

COMMAND = re.compile(r"^  ([a-z][a-z-]*)\s", re.M)


def roost_run(*args, env=None, cwd="/", **options):
    environment = {**program_env(options.pop("san")), **(env or {})}
    return subprocess.run([ROOST, *map(str, args)], capture_output=True, text=True, env=environment, cwd=cwd,
                          timeout=PATIENCE_S, check=False, **options)


def tree_of(path, san):
    """Every command below, found by asking for help as a person would."""
    done = roost_run(*path, "--help", san=san)
    assert done.returncode == 0 and done.stderr == "", (path, done.stderr)
    yield path, done.stdout
    section = re.search(r"^(?:commands|verbs):\n((?:  .*\n?)+)", done.stdout, re.M | re.I)
    for name in COMMAND.findall(section.group(1)) if section else []:
        yield from tree_of([*path, name], san)


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    return list(tree_of([], tmp_path_factory.mktemp("help") / "san"))


def test_help_is_everywhere(commands):
    names = {" ".join(path) for path, _ in commands}
    wanted = {"init", "serve", "panel", "doctor", "completion", "user add", "user list", "user delete", "key create",
              "key list", "key revoke", "node run", "node add", "node list", "node delete", "server add", "server list",
              "server delete", "backup create", "backup list", "backup show", "backup download", "backup restore",
              "backup lock", "backup unlock", "backup delete", "archive list", "archive extract", "archive verify"}
    assert wanted <= names, wanted - names
    for path, text in commands:
        assert text.splitlines()[0].strip(), path
        assert all(len(line) <= 100 for line in text.splitlines()), path
        assert "roost" in text and "--help" in text or path, path


def test_every_option_is_explained(commands):
    for path, text in commands:
        for line in text.splitlines():
            if re.match(r"\s+(-\w, )?--[a-z-]+", line):
                assert re.search(r"--[a-z-]+( [A-Z]+(-[A-Z]+)*)?\s{2,}\S", line), (path, line)


# arguments, exit status, what standard error says
WRONG = [
    (["nonsense"], 2, "nonsense"), (["backpu", "list", "x"], 2, "backup"), ([], 2, ""), (["backup"], 2, ""),
    (["backup", "lst", "x"], 2, "list"), (["serve", "--prot", "5"], 2, "--prot"), (["server", "add"], 2, "NAME"),
    (["server", "add", "a", "b"], 2, ""), (["user", "add", "--email"], 2, "--email"),
    (["archive", "list", "/nonexistent"], 1, "/nonexistent"), (["archive", "verify", "/etc/hostname"], 1, ""),
    (["serve", "--config", "/nonexistent"], 1, "/nonexistent"),
]


@pytest.mark.parametrize("args,status,says", WRONG, ids=[" ".join(w[0]) or "nothing" for w in WRONG])
def test_a_wrong_command_line_is_explained(tmp_path, args, status, says):
    done = roost_run(*args, san=tmp_path / "san", cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert says in done.stderr
    if args:
        assert done.stdout == ""
        assert done.stderr.startswith("roost")


def test_version(tmp_path):
    done = roost_run("--version", san=tmp_path / "san")
    assert done.returncode == 0 and re.fullmatch(r"roost \d+\.\d+\.\d+\S*\n", done.stdout)


def test_completion_completes(tmp_path):
    script = roost_run("completion", san=tmp_path / "san").stdout
    (tmp_path / "roost.bash").write_text(script)
    asking = r'''
        source ./roost.bash
        complete_it() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=()
            function=$(complete -p roost | sed 's/.*-F \([^ ]*\).*/\1/'); "$function" roost "${!#}" "${@:$#-1:1}"
            echo "${COMPREPLY[*]}"
        }
        complete_it roost ba; complete_it roost backup cre; complete_it roost serve --con; complete_it roost ""
    '''
    done = subprocess.run(["bash", "--norc", "-euc", asking], capture_output=True, text=True, cwd=tmp_path,
                          env={"PATH": f"{ROOST.parent}:/usr/bin:/bin"}, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["backup"] and lines[1] == ["create"] and "--config" in lines[2]
    assert {"init", "serve", "backup", "doctor"} <= set(lines[3])


# ---- JSON ----

def test_json_outputs_parse_and_hold_what_was_made(roost):
    user = roost.json("user", "add", "json-user", "--email", "json@example.com")
    assert user["username"] == "json-user" and "json@example.com" in json.dumps(roost.json("user", "list"))
    key = roost.json("key", "create", "--user", "json-user", "--memo", "for tests")
    assert re.fullmatch(r"ptlc_[A-Za-z0-9]{43}", key["key"])
    listed = [k for k in roost.json("key", "list") if k["identifier"] == key["key"][:16]]
    assert listed[0]["memo"] == "for tests" and key["key"] not in json.dumps(roost.json("key", "list"))
    server = roost.json("server", "add", "json-server", "--owner", "json-user", "--backup-limit", "3")
    assert [s for s in roost.json("server", "list") if s["uuid"] == server["uuid"]][0]["backup_limit"] == 3
    assert roost.json("server", "show", server["uuid"])["name"] == "json-server"
    node = roost.json("node", "add", "json-node", "--url", "https://node.example.com:8443")
    assert len(node["token"]) == 64 and len(node["token_id"]) == 16
    assert [n for n in roost.json("node", "list") if n["name"] == "json-node"][0]["url"].endswith(":8443")
    roost.run("node", "delete", "json-node")
    assert isinstance(roost.json("config", "keys"), list) and roost.json("config", "show")
    assert isinstance(roost.json("doctor", status=None), (dict, list))


def client_env(server):
    return {"ROOST_API_KEY": server.key, "ROOST_URL": server.roost.url}


def test_backup_commands_go_the_whole_way(server, tmp_path):
    roost = server.roost
    env = client_env(server)
    made = roost.json("backup", "create", server.short, "by hand", "--wait", "--ignore", "*.log", "--ignore", "tmp",
                      env=env)
    assert made["is_successful"] and made["name"] == "by hand" and made["ignored_files"] == ["*.log", "tmp"]
    assert [b["uuid"] for b in roost.json("backup", "list", server.uuid, env=env)] == [made["uuid"]]
    assert roost.json("backup", "show", server.uuid, "latest", env=env)["uuid"] == made["uuid"]
    roost.run("backup", "download", server.uuid, made["uuid"][:8], "-o", tmp_path / "b.tar.gz", env=env)
    assert (tmp_path / "b.tar.gz").read_bytes() == server.archive(made["uuid"]).read_bytes()
    roost.run("backup", "lock", server.uuid, made["uuid"], env=env)
    roost.run("backup", "lock", server.uuid, made["uuid"], env=env)
    assert server.view(made["uuid"])["is_locked"]
    done = roost.run("backup", "delete", server.uuid, made["uuid"], env=env, status=1)
    assert "locked" in done.stderr
    roost.run("backup", "unlock", server.uuid, made["uuid"], env=env)
    before = server.tree()
    server.write({"a.txt": b"changed", "later": b"later"})
    roost.run("backup", "restore", server.uuid, made["uuid"], "--no-truncate", "--wait", env=env)
    assert server.tree() == {**before, "later": b"later"}
    roost.run("backup", "restore", server.uuid, made["uuid"], "--wait", env=env)
    assert server.tree() == before
    roost.run("backup", "delete", server.uuid, made["uuid"], env=env)
    assert roost.json("backup", "list", server.uuid, env=env) == []


def test_backup_commands_exit_as_promised(server, tmp_path):
    roost = server.roost
    env = client_env(server)
    assert roost.run("backup", "list", "nowhere", env=env, status=1).stderr
    assert roost.run("backup", "show", server.uuid, "0f7b2a3c-5f0e-4a43-9c3e-5b1f6a7d8e9f", env=env, status=1).stderr
    done = roost.run("backup", "list", server.uuid, env={**env, "ROOST_API_KEY": "ptlc_" + "x" * 43}, status=1)
    assert "xxx" not in done.stderr and done.stderr
    assert roost.run("backup", "list", server.uuid, env={"ROOST_URL": roost.url}, status=2).stderr
    done = roost.run("backup", "list", server.uuid, env={**env, "ROOST_URL": f"http://127.0.0.1:{free_port()}"}, status=1)
    assert "127.0.0.1" in done.stderr
    aside = server.directory.with_name("aside")
    server.directory.rename(aside)
    roost.run("backup", "create", server.uuid, "--wait", env=env, status=1)
    aside.rename(server.directory)
    backup = server.backup()["uuid"]
    path = server.archive(backup)
    path.write_bytes(path.read_bytes()[:-20])
    done = roost.run("backup", "restore", server.uuid, backup, "--wait", env=env, status=1)
    assert done.stderr
    assert roost.run("backup", "download", server.uuid, backup, "-o", tmp_path / "x", env=env, status=1).stderr
    assert not (tmp_path / "x").exists()


def test_an_interrupted_download_goes_on(server, tmp_path):
    server.write({"noise": os.urandom(3_000_000)})
    backup = server.backup()["uuid"]
    whole = server.archive(backup).read_bytes()
    out = tmp_path / "b.tar.gz"
    server.roost.run("backup", "download", server.uuid, backup, "-o", out, env=client_env(server))
    assert out.read_bytes() == whole
    to_stdout = subprocess.run([ROOST, "backup", "download", server.uuid, backup, "-o", "-"], capture_output=True,
                               env={**program_env(tmp_path / "san"), **client_env(server)}, check=True, timeout=60)
    assert to_stdout.stdout == whole


def test_keys_come_from_files_and_never_from_arguments(server, tmp_path):
    key = tmp_path / "key"
    key.write_text(server.key + "\n")
    key.chmod(0o600)
    server.roost.run("backup", "list", server.uuid, "--url", server.roost.url, "--key-file", key)
    assert server.roost.run("backup", "list", server.uuid, "--key", server.key, status=2)


def test_progress_is_shown_on_a_terminal_only(server):
    """`backup create --wait` draws on a terminal, and prints plain lines elsewhere."""
    env = {**program_env(server.roost.base / "tty.sanitizer"), **client_env(server), "TERM": "xterm"}
    server.write({f"f{n}": os.urandom(500_000) for n in range(60)})
    plain = subprocess.run([ROOST, "backup", "create", server.uuid, "--wait"], capture_output=True, text=True, env=env,
                           timeout=60, check=True)
    assert "\r" not in plain.stdout + plain.stderr and "\x1b" not in plain.stdout + plain.stderr
    main, end = pty.openpty()
    shown = subprocess.Popen([ROOST, "backup", "create", server.uuid, "--wait"], stdin=end, stdout=end, stderr=end, env=env)
    os.close(end)
    text = read_terminal(main, shown)
    assert shown.wait(30) == 0
    assert "\r" in text.replace("\r\n", "\n") or "\x1b" in text, text


def read_terminal(fd, process):
    parts = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ready, _, _ = select.select([fd], [], [], 0.2)
        try:
            if ready:
                part = os.read(fd, 65536)
                if not part:
                    break
                parts.append(part)
            elif process.poll() is not None:
                break
        except OSError:
            break
    os.close(fd)
    return b"".join(parts).decode(errors="replace")


# ---- init, users, keys, servers ----

def test_init_makes_everything_private_and_goes_on(tmp_path):
    san = tmp_path / "san"
    for _ in range(2):
        done = roost_run("init", "--data", tmp_path / "data", "--admin", "boss", san=san, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    for name in ("roost.yml", "app.key", "panel.db", "node.token"):
        mode = (tmp_path / "data" / name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600, (name, oct(mode))
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    listed = roost_run("user", "list", "--json", "-c", tmp_path / "data" / "roost.yml", san=san, cwd=tmp_path)
    assert [u["username"] for u in json.loads(listed.stdout)] == ["boss"]
    assert json.loads(listed.stdout)[0]["root_admin"] is True


def test_an_interrupted_init_goes_on(tmp_path):
    """Each file may be missing, as after a crash; what is there is kept."""
    san, data = tmp_path / "san", tmp_path / "data"
    roost_run("init", "--data", data, san=san, cwd=tmp_path)
    key = (data / "app.key").read_bytes()
    token = (data / "node.token").read_bytes()
    for name in ("node.token", "roost.yml"):
        (data / name).unlink()
        done = roost_run("init", "--data", data, san=san, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (data / "app.key").read_bytes() == key and (data / "node.token").read_bytes() == token


def test_names_that_are_taken_are_refused(roost):
    roost.run("user", "add", "twice")
    assert "twice" in roost.run("user", "add", "twice", status=1).stderr
    server = roost.add_server()
    assert roost.run("server", "add", "again", "--uuid", server.uuid, "--owner", "owner", status=1).stderr


@pytest.mark.parametrize("args", [
    ["server", "add", "x", "--uuid", "nonsense"], ["server", "add", "x", "--uuid", "../../etc"],
    ["server", "add", "x", "--backup-limit", "-1"], ["server", "add", "x", "--backup-limit", "many"],
    ["server", "add", "x", "--directory", "/nonexistent"], ["server", "add", "x", "--directory", "/etc/hostname"],
    ["server", "add", "x", "--directory", "/"], ["server", "add", "x", "--owner", "nobody-here"],
    ["key", "create", "--user", "owner", "--expires", "2001-01-01"], ["key", "create", "--user", "owner", "--expires", "soon"],
    ["key", "create", "--user", "owner", "--allowed-ips", "300.1.1.1"], ["key", "create", "--user", "nobody-here"],
    ["key", "revoke", "ptlc_xxxxxxxxxxx"], ["user", "delete", "nobody-here"], ["server", "delete", "nowhere"],
    ["node", "add", "x", "--url", "ftp://x"], ["node", "add", "x"], ["node", "maintenance", "local", "perhaps"],
    ["node", "attach", "nonsense", "/tmp"]], ids=" ".join)
def test_wrong_values_are_refused_and_nothing_is_made(roost, args):
    if args[:2] == ["server", "add"] and "--owner" not in args:
        args = [*args, "--owner", "owner"]
    before = [roost.value(f"SELECT COUNT(*) FROM {t}") for t in ("users", "api_keys", "servers", "nodes")]
    done = roost.run(*args, status=None)
    assert done.returncode in (1, 2) and done.stderr.startswith("roost")
    assert [roost.value(f"SELECT COUNT(*) FROM {t}") for t in ("users", "api_keys", "servers", "nodes")] == before


def test_a_user_has_at_most_25_keys(roost):
    roost.run("user", "add", "collector")
    for _ in range(25):
        roost.add_key("collector")
    assert "25" in roost.run("key", "create", "--user", "collector", status=1).stderr


def test_keys_can_be_bound(roost):
    server = roost.add_server()
    pinned = roost.add_key("owner", "--dialect", "extended")
    assert roost.client(pinned).post(f"{server.api}/backups/{server.backup()['uuid']}/lock").status_code == 204
    assert roost.client(roost.add_key("owner", "--allowed-ips", "127.0.0.0/8, ::1")).get(server.api).status_code == 200
    assert roost.client(roost.add_key("owner", "--allowed-ips", "10.0.0.0/8")).get(server.api).status_code == 403
    assert roost.client(roost.add_key("owner", "--expires", "1 d")).get(server.api).status_code == 200


def test_grants_come_and_go_while_it_serves(roost):
    server = roost.add_server()
    key = roost.add_user("guest").key
    assert roost.client(key).get(f"{server.api}/backups").status_code == 404
    roost.run("server", "grant", server.uuid, "guest", "backup.read,backup.create")
    assert roost.client(key).get(f"{server.api}/backups").status_code == 200
    assert roost.client(key).delete(f"{server.api}/backups/{server.put_backup()}").status_code == 403
    roost.run("server", "revoke", server.uuid, "guest")
    assert roost.client(key).get(f"{server.api}/backups").status_code == 404
    roost.run("node", "maintenance", "local", "on")
    assert server.client().get(f"{server.api}/backups").status_code == 409
    roost.run("node", "maintenance", "local", "off")
    assert server.client().get(f"{server.api}/backups").status_code == 200
    roost.run("server", "set-limit", server.uuid, "0")
    assert server.create().status_code == 400


# ---- configuration ----

# what stands in roost.yml, the line, what the complaint says
MISTAKES = [
    ("data: d\nlisten:\n  prot: 5\n", 3, "listen.port"), ("lisen:\n  port: 5\n", 1, "lisen"),
    ("data: d\nlisten:\n  port: many\n", 3, "listen.port"), ("listen:\n  port: 70000\n", 2, "65535"),
    ("listen:\n  port: [1, 2]\n", 2, "listen.port"), ("listen: 5\n", 1, "listen"),
    ("node:\n  compression: zip\n", 2, "fast"), ("node:\n  keep_set_id: perhaps\n", 2, "true"),
    ("panel:\n  lease: 5\n", 2, "10 s"), ("panel:\n  lease: 5 parsecs\n", 2, "panel.lease"),
    ("node:\n  write_limit: much\n", 2, "node.write_limit"), ("a: b\na: c\n", 2, "a"), ("listen:\n\tport: 5\n", 2, ""),
    ("listen: {port: 5\n", None, ""), ("data: 'x\n", None, ""), ("- 1\n- 2\n", 1, ""), ("just words\n", 1, ""),
    ("log:\n  level: loud\n", 2, "info"), ("panel:\n  database: oracle:x\n", 2, "sqlite"),
    ("panel:\n  dialect: french\n", 2, "classic"), ("panel:\n  url:\n    a: b\n", 2, "panel.url"),
]


@pytest.mark.parametrize("text,line,says", MISTAKES, ids=[repr(m[0])[:36] for m in MISTAKES])
def test_a_mistake_in_the_configuration_names_file_line_and_remedy(tmp_path, text, line, says):
    config = tmp_path / "roost.yml"
    config.write_text(text)
    for args in (["config", "check"], ["serve"], ["node", "run"], ["panel"], ["user", "list"]):
        done = roost_run(*args, "--config", config, san=tmp_path / "san", cwd=tmp_path)
        assert done.returncode == 2, (args, done.returncode, done.stderr)
        where = f"{config}:{line}" if line else str(config)
        assert where in done.stderr and says in done.stderr, done.stderr


def test_the_environment_wins_over_the_file(tmp_path):
    config = tmp_path / "roost.yml"
    config.write_text("listen:\n  port: 1234\n")
    shown = roost_run("config", "show", "--json", "--config", config, san=tmp_path / "san",
                      env={"ROOST_LISTEN_PORT": "4321"})
    assert "4321" in shown.stdout and "1234" not in shown.stdout
    done = roost_run("config", "check", "--config", config, san=tmp_path / "san", env={"ROOST_LISTEN_PORT": "x"})
    assert done.returncode == 2 and "ROOST_LISTEN_PORT" in done.stderr


def test_secrets_from_the_environment_are_never_shown(tmp_path):
    secret = "base64:" + "A" * 43 + "="
    config = tmp_path / "roost.yml"
    config.write_text("data: d\n")
    env = {"ROOST_PANEL_APP_KEY": secret, "ROOST_NODE_TOKEN": "abcdefgh12345678." + "t" * 64}
    for args in (["config", "show"], ["config", "show", "--json"], ["doctor"], ["doctor", "--json"], ["config", "check"]):
        done = roost_run(*args, "--config", config, san=tmp_path / "san", cwd=tmp_path, env=env)
        assert secret not in done.stdout + done.stderr and "t" * 64 not in done.stdout + done.stderr


def test_every_key_is_in_the_manual(tmp_path):
    from harness import ROOT
    keys = json.loads(roost_run("config", "keys", "--json", san=tmp_path / "san").stdout)
    page = (ROOT / "man" / "roost.yml.5").read_text().replace("\\-", "-").replace("\\&", "")
    table = (ROOT / "docs" / "configuration.md").read_text()
    for key in keys:
        assert key["name"] in page, key["name"]
        assert f"`{key['name']}`" in table, key["name"]
        assert key["default"] in page and key["description"]


# ---- archive ----

@pytest.fixture(scope="module")
def archived(roost):
    server = roost.add_server({"a.txt": b"a", "d/b": b"b" * 5000, "d/link": "b", "e": None})
    return server.archive(server.backup()["uuid"])


def test_archive_works_without_any_panel(archived, tmp_path):
    def run(*args, status=0):
        done = roost_run(*args, san=tmp_path / "san", cwd=tmp_path, env={"HOME": "/nonexistent"})
        assert done.returncode == status, done.stderr
        return done.stdout
    listed = run("archive", "list", archived)
    for name in ("a.txt", "d/b", "d/link", "e"):
        assert name in listed
    entries = [json.loads(line) for line in run("archive", "list", "--json", archived).splitlines()]
    assert {"a.txt", "d/b"} <= {entry["path"] for entry in entries}
    run("archive", "verify", archived)
    assert json.loads(run("archive", "verify", "--json", archived))
    run("archive", "extract", archived, "out")
    assert (tmp_path / "out" / "d" / "b").read_bytes() == b"b" * 5000
    assert os.readlink(tmp_path / "out" / "d" / "link") == "b" and (tmp_path / "out" / "e").is_dir()


def test_extract_overwrites_nothing_that_is_there(archived, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_bytes(b"mine")
    done = roost_run("archive", "extract", archived, "out", san=tmp_path / "san", cwd=tmp_path)
    assert (tmp_path / "out" / "a.txt").read_bytes() in (b"mine", b"a")
    if done.returncode == 0:
        assert (tmp_path / "out" / "a.txt").read_bytes() == b"a"
    else:
        assert (tmp_path / "out" / "a.txt").read_bytes() == b"mine"


def test_a_damaged_archive_fails_and_extracts_nothing(archived, tmp_path):
    data = bytearray(archived.read_bytes())
    data[data.index(b"Ri") // 2] ^= 0xFF  # well before the index
    bad = tmp_path / "bad.tar.gz"
    bad.write_bytes(data)
    # Listing alone does not read that far (49_index.py).
    for args in (("verify", bad), ("extract", bad, "out"), ("list", bad, "--checksum", "sha256:" + "0" * 64)):
        done = roost_run("archive", *args, san=tmp_path / "san", cwd=tmp_path)
        assert done.returncode == 1 and "bad.tar.gz" in done.stderr
    assert not (tmp_path / "out").exists() or not os.listdir(tmp_path / "out")


def test_foreign_archives_are_listed_and_extracted(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / ("n" * 150)).write_bytes(b"long")
    with tarfile.open(tmp_path / "f.tar.gz", "w:gz", format=tarfile.GNU_FORMAT) as archive:
        archive.add(tmp_path / "in", ".")
    done = roost_run("archive", "extract", "f.tar.gz", "out", san=tmp_path / "san", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / ("n" * 150)).read_bytes() == b"long"


def test_names_with_control_characters_do_not_reach_the_terminal(roost, tmp_path):
    server = roost.add_server({"evil\x1b]0;title\x07name": b"x"})
    listed = roost.run("archive", "list", server.archive(server.backup()["uuid"])).stdout
    assert "\x1b" not in listed and "\x07" not in listed and "evil" in listed


# ---- doctor ----

def findings(roost, status=None, **options):
    return roost.run("doctor", status=status, **options)


def test_doctor_is_content_with_a_good_installation(fresh):
    fresh.add_server()
    done = findings(fresh, status=0)
    assert done.stdout


def plant(fresh, fault):
    """Break something; a word that the doctor's finding must hold."""
    if fault == "no app key":
        (fresh.data / "app.key").unlink()
        return "app.key"
    if fault == "open app key":
        (fresh.data / "app.key").chmod(0o644)
        return "app.key"
    if fault == "another app key":
        (fresh.data / "app.key").write_text("base64:" + "B" * 43 + "=\n")
        return "key"
    if fault == "no token":
        (fresh.data / "node.token").unlink()
        return "token"
    if fault == "wrong token":
        token = (fresh.data / "node.token").read_text()
        (fresh.data / "node.token").write_text(token[:17] + "x" * 64 + "\n")
        return "token"
    if fault == "backup directory is a file":
        fresh.backups.rmdir()
        fresh.backups.write_text("file")
        return str(fresh.backups)
    if fault == "server directory is gone":
        server = fresh.add_server()
        server.directory.rename(server.directory.with_name("gone"))
        return server.uuid
    if fault == "unknown key":
        fresh.config.write_text(fresh.config.read_text() + "nonsense: 5\n")
        return "nonsense"
    fresh.stop()
    return str(fresh.port)


@pytest.mark.parametrize("fault", ["no app key", "open app key", "another app key", "no token", "wrong token",
                                   "backup directory is a file", "server directory is gone", "unknown key",
                                   "nobody listens"])
def test_doctor_finds_what_is_wrong_and_says_what_to_do(fresh, fault):
    word = plant(fresh, fault)
    done = findings(fresh)
    if fault == "nobody listens":
        assert word in done.stdout + done.stderr
    else:
        assert done.returncode in (1, 2, 3), done.stdout
        assert word in done.stdout + done.stderr, done.stdout + done.stderr


def test_doctor_finds_a_full_disk(small_disk):
    small_disk.fill_store()
    done = findings(small_disk)
    assert done.returncode != 0 and "space" in done.stdout
