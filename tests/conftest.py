# SPDX-License-Identifier: Apache-2.0
"""Fixtures: installations of the real program, one a file where tests only add servers to it."""
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import harness  # noqa: E402

numbers = itertools.count()


def pytest_sessionstart(session):
    if not harness.ROOST.exists():
        pytest.exit(f"{harness.ROOST} is not built; ROOST_BUILD names the build directory", 4)


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """Where installations are; not world-writable, on a real file system."""
    return tmp_path_factory.mktemp("roost")


@pytest.fixture(scope="session")
def make(base):
    """A function that makes installations and stops them at the end."""
    made = []

    def installation(settings=None, start=True, **options):
        roost = harness.Installation(base / f"r{next(numbers)}", settings, **options)
        made.append(roost)
        return roost.start() if start else roost

    yield installation
    failures = []
    for roost in made:
        try:
            roost.stop()
        except harness.Failed as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture(scope="module")
def roost(make):
    """`roost serve`, shared by the tests of a file: add servers, do not stop it."""
    roost = make()
    yield roost
    roost.stop()


@pytest.fixture
def server(roost):
    """A fresh server of the shared installation."""
    return roost.add_server()


@pytest.fixture(scope="module")
def shared_server(roost):
    """A server for tests that leave it as it is."""
    return roost.add_server()


@pytest.fixture(scope="module")
def private(make):
    """An installation for tests that put all of it into a state."""
    roost = make({"panel.lease": "10 s"})
    yield roost
    roost.stop()


@pytest.fixture
def fresh(make):
    """An installation of one test's own, running."""
    roost = make()
    yield roost
    roost.stop()


@pytest.fixture
def limited(make):
    """An installation with narrow limits."""
    roost = make({"panel.rate_limit": 4, "panel.throttle.limit": 2, "panel.throttle.period": "600 s"})
    yield roost
    roost.stop()


class Disk:
    """A small file system."""

    def __init__(self, path, mib):
        self.path = path
        path.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "tmpfs", path], check=True)

    def fill(self, leave_bytes=0):
        """A file that takes what is free, but for so many bytes; removed by unfill()."""
        free = os.statvfs(self.path).f_bavail * os.statvfs(self.path).f_frsize
        with open(self.path / "filler", "wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, max(free - leave_bytes, 4096))

    def unfill(self):
        (self.path / "filler").unlink(missing_ok=True)

    def unmount(self):
        subprocess.run(["umount", "-l", self.path], check=True)


@pytest.fixture
def make_disk(base):
    """A function that mounts small file systems."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    made = []

    def disk(mib=32):
        path = base / f"disk{next(numbers)}"
        try:
            made.append(Disk(path, mib))
        except subprocess.CalledProcessError:
            pytest.skip("may not mount here")
        return made[-1]

    yield disk
    for item in made:
        item.unmount()


@pytest.fixture
def small_disk(make, make_disk):
    """An installation whose store is on a file system of 32 MiB; fill_store() fills it."""
    disk = make_disk()
    roost = make({"node.backup_directory": str(disk.path / "backups")})
    roost.backups = disk.path / "backups"
    roost.disk = disk
    roost.fill_store = disk.fill
    yield roost
    roost.stop()


class Authority:
    """A certificate authority, and a certificate for localhost."""

    def __init__(self, path):
        path.mkdir(parents=True, exist_ok=True)
        self.authority, self.certificate, self.key = path / "ca.pem", path / "cert.pem", path / "key.pem"
        run = lambda *args: subprocess.run(args, check=True, capture_output=True, cwd=path)  # noqa: E731
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test CA",
            "-keyout", "ca.key", "-out", "ca.pem", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
            "keyUsage=critical,keyCertSign,cRLSign")
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out",
            "cert.csr")
        (path / "ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"
                                  "basicConstraints=critical,CA:FALSE\n")
        run("openssl", "x509", "-req", "-in", "cert.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "ext", "-out", "cert.pem")


@pytest.fixture(scope="session")
def authority(base):
    return Authority(base / "tls")


@pytest.fixture(scope="session")
def crash_shim(base):
    """The library that kills the program at the n-th change of a file system."""
    if harness.SANITIZED:
        pytest.skip("a preloaded library and sanitizers do not go together")
    built = base / "crash.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", built,
                    Path(__file__).parent / "shim" / "crash.c", "-ldl"], check=True)
    return built
