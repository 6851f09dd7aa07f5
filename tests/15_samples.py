# SPDX-License-Identifier: Apache-2.0
"""The sample programs of document 003, unchanged but for host and key, against `roost serve` over TLS.

They are the contract as strangers read it: each compares statuses and reads fields, and says so.
"""
import json
import os
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parent / "data" / "samples"
SHORT = "d3aac109"
SERVER = "d3aac109-5d5b-4c71-a5f7-2e9d0c3b1a48"
FIRST = "a4962fe6-90c8-4b89-ba62-a5d3b06426c0"
SECOND = "c3948f1a-67b2-4d89-8c45-a1b2c3d4e5f6"
COMMANDS = {
    "curl": ("sh", lambda path, tls: ["sh", path]),
    "python": ("py", lambda path, tls: ["/usr/bin/python3", path]),
    "javascript": ("mjs", lambda path, tls: ["node", path]),
    "php": ("php", lambda path, tls: ["php", "-d", f"curl.cainfo={tls.authority}", "-d",
                                      f"openssl.cafile={tls.authority}", "-d",
                                      "auto_prepend_file=GuzzleHttp/autoload.php", path]),
    "ruby": ("rb", lambda path, tls: ["ruby", path]),
}
DETAILS = r"Backup Name: Weekly Backup\nStatus: Successful\nSize: 0\.\d+ MB\nCreated: 20.*\nCompleted: 20.*\nLocked: %s\n"
CREATED = (r"Backup created: [0-9a-f-]{36}\nBackup name: Pre-maintenance backup\nLocked: %s\n"
           r"Status: Initiated - backup is now being created\n")
DOWNLOADED = (r"Download URL generated: https://\S+\nURL expires in 1 hour\n"
              rf"Backup downloaded as: backup_{FIRST}\.tar\.gz\nFile size: [1-9]\d* bytes\n")
DELETED = r"Backup successfully deleted\n"
RESTORED = (r"Backup restoration initiated\n"
            r"Server will be restored from backup - this may take several minutes\n")
LOCKED = r"Backup locked successfully\nBackup unlocked successfully\n"
LISTED = r"(Backup: Weekly Backup|Backup: To be deleted)\nSize: [\d,]+ bytes\nStatus: Successful\n---\n"
WORDS = {  # what each prints on success
    ("python", "list"): f"({LISTED}){{2}}", ("php", "list"): f"({LISTED}){{2}}", ("ruby", "list"): f"({LISTED}){{2}}",
    ("javascript", "list"): rf"(?s)Server backups: \[.*{FIRST}.*{SECOND}.*\]\n",
    ("python", "details"): DETAILS % "False", ("php", "details"): DETAILS % "No", ("ruby", "details"): DETAILS % "No",
    ("javascript", "details"):
        rf"(?s)Backup details: \{{.*{FIRST}.*\}}\nStatus: Successful\nSize: \d+\.\d\d MB\n",
    ("python", "create"): CREATED % "True", ("php", "create"): CREATED % "Yes", ("ruby", "create"): CREATED % "Yes",
    ("javascript", "create"): r"Backup created: [0-9a-f-]{36}\nBackup name: Pre-maintenance backup\n"
                              r"Status: Initiated - check progress with backup UUID\n",
    ("python", "download"): DOWNLOADED, ("php", "download"): DOWNLOADED, ("ruby", "download"): DOWNLOADED,
    ("javascript", "download"): r"Download URL generated: https://\S+\nURL expires in 1 hour\n"
                                r"Backup downloaded, size: [1-9]\d* bytes\n",
    ("python", "delete"): DELETED, ("php", "delete"): DELETED, ("ruby", "delete"): DELETED,
    ("javascript", "delete"): DELETED,
    ("python", "restore"): RESTORED, ("php", "restore"): RESTORED, ("ruby", "restore"): RESTORED,
    ("javascript", "restore"): RESTORED,
    ("python", "lock"): LOCKED, ("php", "lock"): LOCKED, ("ruby", "lock"): LOCKED,
    ("javascript", "lock"): r"Backup lock status toggled successfully\n",
}
SECTIONS = ["list", "details", "create", "download", "delete", "restore", "lock"]


def rename_backup(roost, old, new):
    """Give a backup the uuid that the document uses: row, journal and file.  Nothing may run."""
    roost.sql("UPDATE backups SET uuid = ? WHERE uuid = ?", new, old)
    roost.sql("UPDATE archives SET backup = ? WHERE backup = ?", new, old, path=roost.journal)
    folder = roost.backups / SERVER
    os.rename(folder / f"{old}.tar.gz", folder / f"{new}.tar.gz")


@pytest.fixture(scope="module")
def prepared(make, authority):
    """A stopped installation with the document's server and two backups under the document's uuids."""
    roost = make(tls=authority)
    server = roost.add_server({"level.dat": os.urandom(200000), "logs/latest.log": b"log\n" * 100}, uuid=SERVER)
    first = server.backup(name="Weekly Backup")["uuid"]
    second = server.backup(name="To be deleted")["uuid"]
    roost.stop()
    for path in (roost.database, roost.journal):
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    rename_backup(roost, first, FIRST)
    rename_backup(roost, second, SECOND)
    return roost, server


@pytest.fixture
def documented(prepared, base):
    """The installation as prepared, running; what a sample does to it is undone."""
    roost, server = prepared
    pristine = base / "samples.pristine"
    if not pristine.exists():
        shutil.copytree(roost.data, pristine, symlinks=True)
    shutil.rmtree(roost.data)
    shutil.copytree(pristine, roost.data, symlinks=True)
    roost.start()
    yield server
    roost.stop()


def run_sample(server, language, section, directory):
    """What the sample prints, with standard error after it."""
    roost = server.roost
    extension, command = COMMANDS[language]
    text = (SAMPLES / language / f"{section}.{extension}").read_text()
    assert "your-panel.com" in text and "ptlc_YOUR_API_KEY" in text
    text = text.replace("your-panel.com", roost.url.split("//")[1]).replace("ptlc_YOUR_API_KEY", roost.key)
    path = directory / f"{section}.{extension}"
    path.write_text(text)
    authority = str(roost.tls.authority)
    env = {"PATH": os.environ["PATH"], "HOME": str(directory), "LANG": "C.UTF-8", "CURL_CA_BUNDLE": authority,
           "SSL_CERT_FILE": authority, "REQUESTS_CA_BUNDLE": authority, "NODE_EXTRA_CA_CERTS": authority}
    done = subprocess.run(command(path, roost.tls), capture_output=True, text=True, cwd=directory, env=env, timeout=90,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, done.stderr


def check_effect(server, section, directory):
    """What the sample asked for has happened."""
    if section == "create":
        newest = server.list()["data"][-1]["attributes"]
        assert newest["name"] == "Pre-maintenance backup" and newest["is_locked"]
        assert newest["ignored_files"] == ["*.log", "cache/*", "temp/*", "*.tmp"]
        assert server.wait(newest["uuid"])["is_successful"]
    elif section == "download":
        downloaded = directory / f"backup_{FIRST}.tar.gz"
        if downloaded.exists():
            assert downloaded.read_bytes() == server.archive(FIRST).read_bytes()
    elif section == "delete":
        assert server.view(SECOND) is None and not server.archive(SECOND).exists()
    elif section == "restore":
        server.wait_restored()
        assert "planted" not in server.tree() and "level.dat" in server.tree()


@pytest.mark.sample
@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("language", ["python", "javascript", "php", "ruby"])
def test_sample_prints_success(documented, tmp_path, language, section):
    if section == "restore":
        documented.write({"planted": b"planted"})
    out, err = run_sample(documented, language, section, tmp_path)
    assert re.fullmatch(WORDS[language, section], out), out + err
    check_effect(documented, section, tmp_path)


CURL = {
    "list": lambda body: [b["attributes"]["uuid"] for b in body["data"]] == [FIRST, SECOND],
    "details": lambda body: body["attributes"]["uuid"] == FIRST,
    "create": lambda body: body["attributes"]["is_locked"] is True,
    "download": lambda body: body["object"] == "signed_url",
    "delete": None, "restore": None, "lock": None,
}


@pytest.mark.sample
@pytest.mark.parametrize("section", SECTIONS)
def test_curl_sample(documented, tmp_path, section):
    if section == "restore":
        documented.write({"planted": b"planted"})
    out, err = run_sample(documented, "curl", section, tmp_path)
    if CURL[section] is None:
        assert out == "", out + err
    else:
        assert CURL[section](json.loads(out)), out
    if section == "lock":
        assert documented.view(FIRST)["is_locked"]
    check_effect(documented, section, tmp_path)


@pytest.mark.sample
@pytest.mark.parametrize("command", ['curl -L "{url}" -o backup.tar.gz', 'wget "{url}" -O backup.tar.gz'])
def test_using_the_download_url(documented, tmp_path, command):
    authority = str(documented.roost.tls.authority)
    # wget has no variable of its own for authorities; it reads them from a file of its settings.
    (tmp_path / "wgetrc").write_text(f"ca_certificate = {authority}\n")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CURL_CA_BUNDLE": authority,
           "WGETRC": str(tmp_path / "wgetrc")}
    url = documented.download_url(FIRST)
    subprocess.run(["sh", "-c", command.format(url=url)], check=True, cwd=tmp_path, env=env, capture_output=True,
                   timeout=60)
    assert (tmp_path / "backup.tar.gz").read_bytes() == documented.archive(FIRST).read_bytes()
    assert SHORT == documented.short
