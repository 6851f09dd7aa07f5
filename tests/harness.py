# SPDX-License-Identifier: Apache-2.0
"""Installations of Roost for tests: made by the real `roost`, served by it, and spoken to over loopback.

    roost = Installation(directory)      # roost init, roost.yml, a user with a key
    roost.start()                        # roost serve, until it answers
    server = roost.add_server(files={"a.txt": b"1"})
    backup = server.backup()             # through the client API, until completed
    roost.stop()                         # demands a clean exit and silence from sanitizers

Rows are put into states that only accidents make (failed, suspended, …) with sqlite3, directly.
"""
import base64
import contextlib
import datetime
import hashlib
import hmac
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
import uuid as uuids
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import requests

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("ROOST_BUILD", ROOT / "build")).resolve()
ROOST = BUILD / "src" / "cli" / "roost"

CLASSIC = "application/json"
EXTENDED = "Application/vnd.pterodactyl.v1+json"
SANITIZED = "asan" in BUILD.name or os.environ.get("ROOST_SANITIZED") == "1"
# Instrumented programs are slower; nothing else about a deadline is negotiable.
PATIENCE_S = 60 if SANITIZED else 20


class Failed(Exception):
    """The program did not do what every test takes for granted."""


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(what, condition, timeout_s=None, step_s=0.01):
    """The first true value of `condition`, or a failure that says what was waited for."""
    deadline = time.monotonic() + (timeout_s or PATIENCE_S)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"waited in vain for {what}")
        time.sleep(step_s)
        step_s = min(step_s * 1.3, 0.2)


def utc_text(offset_s=0):
    """A database time, so many seconds from now."""
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset_s)
    return at.strftime("%Y-%m-%d %H:%M:%S")


def yaml_text(values):
    """{"a.b": 1} as YAML with sections; JSON scalars are YAML scalars."""
    tree = {}
    for name, value in values.items():
        *sections, key = name.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
    return "".join(yaml_lines(tree, ""))


def yaml_lines(tree, pad):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield f"{pad}{key}:\n"
            yield from yaml_lines(value, pad + "  ")
        else:
            yield f"{pad}{key}: {json.dumps(value)}\n"


def write_tree(root: Path, files):
    """Make files below `root`: bytes are content, None is a directory, str is a link's target."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)


def read_tree(root: Path):
    """The inverse of write_tree."""
    result = {}
    for directory, names, files in os.walk(root):
        here = Path(directory)
        for name in files + [n for n in names if (here / n).is_symlink()]:
            path = here / name
            key = str(path.relative_to(root))
            result[key] = os.readlink(path) if path.is_symlink() else path.read_bytes()
        if not names and not files and here != root:
            result[str(here.relative_to(root))] = None
    return result


class Client:
    """Somebody who speaks HTTP with a bearer token."""

    def __init__(self, base, token=None, accept=CLASSIC, verify=None):
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False
        if verify is not None:
            self.session.verify = verify
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"
        if accept:
            self.session.headers["Accept"] = accept
        else:
            self.session.headers["Accept"] = None

    def request(self, method, path, **options):
        options.setdefault("timeout", PATIENCE_S)
        options.setdefault("allow_redirects", False)
        url = path if path.startswith("http") else self.base + path
        return self.session.request(method, url, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)


class Program:
    """A running `roost` process."""

    def __init__(self, args, log: Path, env=None, preload=None):
        self.log = log
        self.san = log.with_suffix(".sanitizer")
        environment = program_env(self.san)
        environment.update(env or {})
        if preload:
            environment["LD_PRELOAD"] = str(preload)
        self.output = open(log, "ab")
        self.process = subprocess.Popen([ROOST, *map(str, args)], stdout=self.output, stderr=self.output,
                                        stdin=subprocess.DEVNULL, env=environment, cwd=log.parent)

    @property
    def pid(self):
        return self.process.pid

    def is_running(self):
        return self.process.poll() is None

    def text(self):
        return self.log.read_text(errors="replace")

    def stop(self, timeout_s=None):
        """SIGTERM, and a clean end; the exit status must be 0."""
        if self.is_running():
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout_s or PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"did not stop on SIGTERM\n{self.text()[-3000:]}") from None
        self.output.close()
        if status != 0:
            raise Failed(f"exit status {status}\n{self.text()[-3000:]}{self.complaints()}")
        if self.complaints():
            raise Failed(self.complaints())

    def kill(self):
        """SIGKILL; nothing is demanded."""
        if self.is_running():
            self.process.kill()
        self.process.wait()
        self.output.close()

    def complaints(self):
        """What sanitizers wrote."""
        texts = [path.read_text(errors="replace") for path in self.san.parent.glob(self.san.name + ".*")]
        text = self.text()
        if re.search(r"runtime error:|AddressSanitizer|LeakSanitizer|Assertion .* failed", text):
            texts.append(text[-5000:])
        return "\n".join(texts)

    def memory_kib(self, field="VmHWM"):
        """A figure of /proc/PID/status: VmHWM is the most that was ever resident."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB", status, re.M).group(1))


def program_env(san: Path):
    """The environment of a `roost`: nothing of the caller's but what it needs to run."""
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "HOME": str(san.parent)}
    env["ASAN_OPTIONS"] = f"log_path={san}:detect_leaks=1:abort_on_error=0:exitcode=99"
    env["UBSAN_OPTIONS"] = f"log_path={san}:print_stacktrace=1:halt_on_error=1:exitcode=99"
    for name in ("LSAN_OPTIONS", "MALLOC_PERTURB_"):
        if name in os.environ:
            env[name] = os.environ[name]
    return env


class Server:
    """A server that an installation knows."""

    def __init__(self, roost, uuid, directory: Path, key):
        self.roost = roost
        self.uuid = uuid
        self.short = uuid[:8]
        self.directory = directory
        self.key = key
        self.api = f"/api/client/servers/{uuid}"

    # ---- the client API ----

    def client(self, accept=CLASSIC, key=None):
        return self.roost.client(key or self.key, accept)

    def create(self, body=None, accept=CLASSIC, key=None):
        return self.client(accept, key).post(f"{self.api}/backups", json=body if body is not None else {})

    def view(self, backup):
        answer = self.client().get(f"{self.api}/backups/{backup}")
        return answer.json()["attributes"] if answer.status_code == 200 else None

    def wait(self, backup, timeout_s=None):
        """The backup's attributes once it has ended."""
        def ended():
            view = self.view(backup)
            return view if view and view["completed_at"] else None
        return wait_until(f"backup {backup} to end", ended, timeout_s)

    def backup(self, **body):
        """A completed backup's attributes."""
        answer = self.create(body)
        if answer.status_code != 200:
            raise Failed(f"create: {answer.status_code} {answer.text}")
        view = self.wait(answer.json()["attributes"]["uuid"])
        if not view["is_successful"]:
            raise Failed(f"backup failed\n{self.roost.log_text()[-3000:]}")
        return view

    def restore(self, backup, accept=CLASSIC, wait=True, **body):
        answer = self.client(accept).post(f"{self.api}/backups/{backup}/restore", json=body or None)
        if wait and answer.status_code in (202, 204):
            self.wait_restored()
        return answer

    def wait_restored(self, timeout_s=None):
        wait_until("the restore to end", lambda: self.status() != "restoring_backup", timeout_s)

    def list(self, **query):
        return self.client().get(f"{self.api}/backups", params=query).json()

    def download_url(self, backup):
        answer = self.client().get(f"{self.api}/backups/{backup}/download")
        assert answer.status_code == 200, answer.text
        return answer.json()["attributes"]["url"]

    # ---- the directory and the store ----

    def write(self, files):
        write_tree(self.directory, files)

    def tree(self):
        return read_tree(self.directory)

    def archive(self, backup):
        return self.roost.backups / self.uuid / f"{backup}.tar.gz"

    def put_archive(self, backup, data):
        """Another archive under the backup's name, with everybody's digest of it right."""
        self.archive(backup).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        self.roost.sql("UPDATE backups SET checksum = ?, bytes = ? WHERE uuid = ?", f"sha256:{digest}", len(data),
                       backup)
        self.roost.sql("UPDATE archives SET checksum = ?, size_bytes = ? WHERE backup = ?", digest, len(data), backup,
                       path=self.roost.journal)

    def stored(self):
        """Names of everything in the server's store."""
        folder = self.roost.backups / self.uuid
        return sorted(os.listdir(folder)) if folder.exists() else []

    def beside(self):
        """Names beside the server's directory that are not it, nor the tree that its node keeps: leftovers of a restore.

        A tree that was replaced is removed soon after the restore was reported; that much is waited for.
        """
        def names():
            known = {self.directory.name, *(row["name"] for row in self.roost.node_rows("kept"))}
            return sorted(n for n in os.listdir(self.directory.parent) if n not in known)
        with contextlib.suppress(Failed):
            wait_until("replaced trees to go",
                       lambda: not [n for n in names() if n.startswith((".roost-trash-", ".roost-kept-"))])
        return names()

    # ---- rows ----

    @property
    def id(self):
        return self.roost.value("SELECT id FROM servers WHERE uuid = ?", self.uuid)

    def status(self):
        return self.roost.value("SELECT status FROM servers WHERE uuid = ?", self.uuid)

    def set(self, **columns):
        names = ", ".join(f"{name} = ?" for name in columns)
        self.roost.sql(f"UPDATE servers SET {names} WHERE uuid = ?", *columns.values(), self.uuid)

    def put_backup(self, state="completed", created_s=-60, lease_s=600, **columns):
        """A row without a node's knowledge: state is completed, failed or creating."""
        row = {
            "server_id": self.id, "uuid": str(uuids.uuid4()), "name": f"put {state}", "ignored_files": "[]",
            "disk": "wings", "is_locked": 0, "is_successful": int(state == "completed"),
            "checksum": "sha256:" + "ab" * 32 if state == "completed" else None,
            "bytes": 1234 if state == "completed" else 0, "created_at": utc_text(created_s),
            "updated_at": utc_text(created_s), "completed_at": None if state == "creating" else utc_text(created_s + 5),
        }
        row.update(columns)
        names = ", ".join(row)
        self.roost.sql(f"INSERT INTO backups ({names}) VALUES ({', '.join('?' * len(row))})", *row.values())
        if state == "creating":
            number = self.roost.value("SELECT id FROM backups WHERE uuid = ?", row["uuid"])
            self.roost.sql("INSERT INTO roost_backups (backup_id, lease_until) VALUES (?, ?)", number,
                           utc_text(lease_s))
        return row["uuid"]

    def row(self, backup):
        return self.roost.row("SELECT * FROM backups WHERE uuid = ?", backup)

    def begin_restore(self, backup):
        """The rows of a restore that some node is at work on."""
        self.set(status="restoring_backup")
        number = self.roost.value("SELECT id FROM backups WHERE uuid = ?", backup)
        self.roost.sql("INSERT INTO roost_restores (server_id, backup_id, started_at) VALUES (?, ?, ?)", self.id,
                       number, utc_text())

    def transfer(self, successful=None):
        """A row of a move to another node; `successful` None is one that goes on."""
        node = self.roost.value("SELECT node_id FROM servers WHERE uuid = ?", self.uuid)
        self.roost.sql("INSERT INTO server_transfers (server_id, successful, old_node, new_node, old_allocation, "
                       "new_allocation, created_at, updated_at) VALUES (?, ?, ?, ?, 0, 0, ?, ?)", self.id,
                       successful, node, node, utc_text(), utc_text())


class Installation:
    """A data directory and the processes that serve it."""

    # Tests make more backups in a minute than people may.
    SETTINGS = {"panel.rate_limit": 0, "panel.throttle.limit": 0}

    def __init__(self, base: Path, settings=None, tls=None, apart=False):
        self.base = base
        self.data = base / "data"
        self.config = self.data / "roost.yml"
        self.backups = self.data / "node" / "backups"
        self.journal = self.data / "node" / "node.db"
        self.database = self.data / "panel.db"
        self.tls = tls
        self.apart = apart
        self.port = free_port()
        self.node_port = free_port() if apart else self.port
        # An address, not a name: what "localhost" means differs, and some clients try ::1 first.
        scheme, host = "https" if tls else "http", "127.0.0.1"
        self.url = f"{scheme}://{host}:{self.port}"
        self.node_url = f"{scheme}://{host}:{self.node_port}"
        self.programs = []
        self.env = {}
        self.preload = None
        self.counter = 0
        self.keys = {}
        base.mkdir(parents=True, exist_ok=True)
        self.settings = {**self.SETTINGS, **(settings or {})}
        self.init()
        self.key = self.add_user("owner").key

    # ---- the command line ----

    def run(self, *args, status=0, env=None, stdin=None, config=None, cwd=None):
        """`roost ARGS` with this installation's configuration; `status` None takes any."""
        environment = program_env(self.base / "cli.sanitizer")
        environment["ROOST_CONFIG"] = str(config or self.config)
        environment.update(env or {})
        done = subprocess.run([ROOST, *map(str, args)], capture_output=True, text=True, errors="surrogateescape",
                              env=environment, input=stdin, timeout=PATIENCE_S * 3, check=False,
                              cwd=cwd or self.base)
        if status is not None and done.returncode != status:
            raise Failed(f"roost {' '.join(map(str, args))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def json(self, *args, **options):
        """What `roost ARGS --json` prints."""
        return json.loads(self.run(*args, "--json", **options).stdout)

    def init(self):
        self.run("init", "--data", self.data, "--port", self.port, "--url", self.url, "--config", self.config)
        self.configure({})
        if self.apart:
            # The panel knows its node under the node's own address.
            self.run("node", "delete", "local")
            (self.data / "node.token").unlink()
            self.run("node", "add", "apart", "--url", self.node_url, "--token-file", self.data / "node.token")

    def configure(self, settings):
        """roost.yml as this installation and the test want it."""
        self.settings.update(settings)
        values = {"data": str(self.data), "listen.address": "127.0.0.1", "listen.port": self.port,
                  "panel.url": self.url}
        if self.tls:
            values.update({"listen.tls_certificate_file": str(self.tls.certificate),
                           "listen.tls_key_file": str(self.tls.key), "ca_file": str(self.tls.authority)})
        values.update(self.settings)
        self.config.write_text(yaml_text(values))
        if self.apart:
            values["listen.port"] = self.node_port
            self.node_config().write_text(yaml_text(values))

    def node_config(self):
        return self.data / "node.yml"

    # ---- processes ----

    def start(self, wait=True):
        """Everything, until it answers."""
        if self.apart:
            self.start_panel()
            self.start_node()
        else:
            self.launch("serve")
            if wait:
                self.wait_ready()
        return self

    def launch(self, *args, config=None):
        program = Program([*args, "--config", config or self.config], self.base / f"{args[0]}-{len(self.programs)}.log",
                          self.env, self.preload)
        self.programs.append(program)
        return program

    def start_panel(self):
        self.panel = self.launch("panel")
        self.wait_answer(self.panel, f"{self.url}/api/client")

    def start_node(self, wait=True):
        self.node = self.launch("node", "run", config=self.node_config())
        if wait:
            self.wait_answer(self.node, f"{self.node_url}/api/system")

    @property
    def program(self):
        return self.programs[-1]

    def wait_ready(self):
        self.wait_answer(self.program, f"{self.url}/api/client")
        self.wait_answer(self.program, f"{self.node_url}/api/system")

    def wait_answer(self, program, url):
        def answers():
            if not program.is_running():
                raise Failed(f"exit {program.process.returncode} on start\n{program.text()[-3000:]}"
                             f"{program.complaints()}")
            with contextlib.suppress(requests.ConnectionError):
                return self.bare().get(url).status_code == 401
        wait_until(f"{url} to answer", answers)

    def stop(self):
        programs, self.programs = self.programs, []
        errors = []
        for program in reversed(programs):
            if program.process.returncode == -signal.SIGKILL:
                continue
            try:
                program.stop()
            except Failed as failure:
                errors.append(str(failure))
        for path in self.base.glob("cli.sanitizer.*"):
            errors.append(path.read_text(errors="replace"))
        if errors:
            raise Failed("\n".join(errors))

    def kill(self):
        for program in self.programs:
            program.kill()
        self.programs = []

    def restart(self):
        self.stop()
        return self.start()

    def log_text(self):
        return "".join(path.read_text(errors="replace") for path in sorted(self.base.glob("*.log")))

    # ---- who speaks ----

    def client(self, key=None, accept=CLASSIC):
        return Client(self.url, key, accept, self.trust())

    def bare(self):
        """Nobody: no token, no Accept."""
        return Client(self.url, None, None, self.trust())

    def node_client(self, token=...):
        return Client(self.node_url, self.node_token()[1] if token is ... else token, CLASSIC, self.trust())

    def remote(self, token=None):
        return Client(self.url, token or ".".join(self.node_token()), CLASSIC, self.trust())

    def trust(self):
        return str(self.tls.authority) if self.tls else None

    def node_token(self):
        """Id and secret of the node that this installation runs."""
        return tuple((self.data / "node.token").read_text().strip().split("."))

    # ---- users, keys, servers ----

    def add_user(self, name, *options):
        user = User(name)
        self.run("user", "add", name, "--email", f"{name}@example.com", *options)
        user.key = self.add_key(name)
        self.keys[name] = user.key
        return user

    def add_key(self, name, *options):
        return self.json("key", "create", "--user", name, *options)["key"]

    def once(self, name, *options):
        """The key of a user that is made at the first call."""
        return self.keys.get(name) or self.add_user(name, *options).key

    def admin(self):
        return self.once("admin", "--admin")

    def stranger_key(self):
        return self.once("stranger")

    def application_key(self):
        """An application key of the owner; no command makes one."""
        key = self.add_key("owner")
        other = "ptla_" + key[5:]
        self.sql("UPDATE api_keys SET key_type = 2, identifier = ? WHERE identifier = ?", other[:16], key[:16])
        return other

    def confined(self, key):
        """A fresh key of the same user that works from another address only."""
        user = self.value("SELECT user_id FROM api_keys WHERE identifier = ?", key[:16])
        return self.add_key(self.value("SELECT username FROM users WHERE id = ?", user), "--allowed-ips", "10.1.2.3")

    def require_two_factor(self, is_required):
        self.sql("DELETE FROM settings WHERE key = 'settings::pterodactyl:auth:2fa_required'")
        if is_required:
            self.sql("INSERT INTO settings (key, value) VALUES ('settings::pterodactyl:auth:2fa_required', '2')")

    def add_server(self, files=None, limit=50, uuid=None, name=None, owner="owner", options=()):
        self.counter += 1
        uuid = uuid or str(uuids.uuid4())
        name = name or f"server {self.counter}"
        directory = self.base / "volumes" / uuid / "world"
        write_tree(directory, files if files is not None else {"a.txt": b"one\n", "dir/b.bin": b"\0" * 5000})
        self.run("server", "add", name, "--uuid", uuid, "--owner", owner, "--directory", directory,
                 "--backup-limit", limit, "--node", "apart" if self.apart else "local", *options)
        return Server(self, uuid, directory, self.keys.get(owner) or self.key)

    def attach(self, server, directory):
        """Let the server live elsewhere."""
        self.run("node", "attach", server.uuid, directory)
        server.directory = Path(directory)

    def add_subuser(self, server, permissions):
        """The key of a new user that has these permissions."""
        self.counter += 1
        name = f"sub{self.counter}"
        key = self.add_user(name).key
        self.share(server, name, permissions)
        return key

    def share(self, server, name, permissions):
        self.sql("INSERT INTO subusers (user_id, server_id, permissions, created_at, updated_at) "
                 "SELECT id, ?, ?, ?, ? FROM users WHERE username = ?", server.id,
                 json.dumps(sorted(permissions)), utc_text(), utc_text(), name)

    def each_server(self, key):
        data, page = [], 1
        while True:
            body = self.client(key).get("/api/client", params={"page": page, "per_page": 50}).json()
            data += body["data"]
            if page >= body["meta"]["pagination"]["total_pages"]:
                return data
            page += 1

    # ---- databases ----

    def connect(self, path=None):
        connection = sqlite3.connect(path or self.database, timeout=10, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return contextlib.closing(connection)

    def sql(self, statement, *params, path=None):
        with self.connect(path) as connection:
            connection.execute(statement, params)

    def rows(self, statement, *params, path=None):
        with self.connect(path) as connection:
            return connection.execute(statement, params).fetchall()

    def row(self, statement, *params, path=None):
        found = self.rows(statement, *params, path=path)
        return found[0] if found else None

    def value(self, statement, *params, path=None):
        row = self.row(statement, *params, path=path)
        return row[0] if row else None

    def node_rows(self, table):
        return self.rows(f"SELECT * FROM {table}", path=self.journal)

    def is_node_idle(self):
        return not self.node_rows("jobs") and not self.node_rows("outbox")

    def wait_node_idle(self, timeout_s=None):
        """No job, and nothing left to report."""
        wait_until("the node to be idle", self.is_node_idle, timeout_s)

    # ---- tokens ----

    def token_claims(self, url):
        """What stands in a signed token, or in the token of an address; not verified."""
        return token_part(token_of(url), 1)

    def sign(self, claims, key=None, header=None):
        """A token with these claims, signed as this installation's panel would (or with another key)."""
        head = {"typ": "JWT", "alg": "HS256", **(header or {})}
        text = ".".join(base64url(json.dumps(part).encode()) for part in (head, claims))
        secret = (self.node_token()[1] if key is None else key).encode()
        return text + "." + base64url(hmac.new(secret, text.encode(), hashlib.sha256).digest())

    def download(self, token, method="GET", **options):
        return Client(self.node_url, None, None, self.trust()).request(
            method, "/download/backup", params={"token": token}, **options)


class User:
    def __init__(self, name):
        self.name = name
        self.key = None


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token_of(url):
    return parse_qs(urlsplit(url).query)["token"][0] if "://" in url else url


def token_part(token, index):
    part = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
