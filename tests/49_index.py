# SPDX-License-Identifier: Apache-2.0
"""Archives are listed, and files taken out of them, by reading little; their index misleads nobody."""
import gzip
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness import PATIENCE_S, ROOST, program_env, read_tree

TRAILER_BYTES = 104
LITTLE = 200 << 10
GOLDEN = Path(__file__).resolve().parent / "golden" / "v1" / "indexed.tar.gz"


def run(tmp_path, *args, status=0):
    done = subprocess.run([ROOST, "archive", *map(str, args)], capture_output=True, text=True, timeout=PATIENCE_S,
                          env=program_env(tmp_path / "san"), cwd=tmp_path, check=False)
    assert done.returncode == status, done.stderr
    return done


def bytes_read(tmp_path, *args):
    """What `roost archive` reads until it ends, less what it reads to start at all."""
    def measure(*args):
        child = subprocess.Popen([ROOST, *map(str, args)], stdout=subprocess.DEVNULL, cwd=tmp_path,
                                 env=program_env(tmp_path / "san"))
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        with open(f"/proc/{child.pid}/io", encoding="ascii") as file:
            counted = int(file.readline().split()[1])
        assert child.wait() == 0
        return counted
    return measure("archive", *args) - measure("--version")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An archive of 40,000 files and 60 MB that do not compress."""
    path = tmp_path_factory.mktemp("index")
    tree = path / "tree"
    for directory in range(200):
        (tree / f"d{directory:03}").mkdir(parents=True)
        for file in range(200):
            (tree / f"d{directory:03}" / f"f{file:03}").write_bytes(b"%d" % file)
    for number in range(6):
        (tree / f"big{number}").write_bytes(os.urandom(10_000_000))
    (tree / "links").mkdir()
    os.link(tree / "d100" / "f100", tree / "links" / "a")
    os.link(tree / "d100" / "f100", tree / "links" / "b")
    run(path, "create", tree, "all.tar.gz")
    return path


def test_a_directory_is_listed_by_reading_little(made, tmp_path):
    archive = made / "all.tar.gz"
    assert os.stat(archive).st_size > 60_000_000
    listed = run(tmp_path, "list", archive, "--directory", "d123").stdout.splitlines()
    assert listed == [f"d123/f{file:03}" for file in range(200)]
    top = run(tmp_path, "list", archive, "--directory", "").stdout.splitlines()
    assert top == [f"big{n}" for n in range(6)] + [f"d{n:03}/" for n in range(200)] + ["links/"]
    assert 0 < bytes_read(tmp_path, "list", archive, "--directory", "d123") < LITTLE
    assert 0 < bytes_read(tmp_path, "list", archive, "--directory", "/") < 2 * LITTLE
    # All 40,000 entries: the index, and no content.
    assert len(run(tmp_path, "list", archive).stdout.splitlines()) == 1 + 6 + 200 * 201 + 3
    assert 0 < bytes_read(tmp_path, "list", archive) < 1 << 20


def test_a_file_comes_out_by_reading_little_more_than_it(made, tmp_path):
    archive = made / "all.tar.gz"
    run(tmp_path, "extract", archive, "out", "--only", "d123/f045", "--only", "/big3")
    assert sorted(read_tree(tmp_path / "out")) == ["big3", "d123/f045"]
    assert (tmp_path / "out" / "d123" / "f045").read_bytes() == b"45"
    assert (tmp_path / "out" / "big3").read_bytes() == (made / "tree" / "big3").read_bytes()
    assert 0 < bytes_read(tmp_path, "extract", archive, "one", "--only", "d123/f045") < (1 << 20) + LITTLE
    assert 0 < bytes_read(tmp_path, "extract", archive, "big", "--only", "big3") < (12 << 20) + LITTLE


def test_links_out_of_what_is_selected_bring_the_file(made, tmp_path):
    with gzip.open(made / "all.tar.gz") as whole, open(tmp_path / "plain.tar", "wb") as plain:
        shutil.copyfileobj(whole, plain)
    for archive in (made / "all.tar.gz", "plain.tar"):
        run(tmp_path, "extract", archive, "out", "--only", "links")
        assert (tmp_path / "out" / "links" / "a").read_bytes() == b"100"
        assert os.path.samefile(tmp_path / "out" / "links" / "a", tmp_path / "out" / "links" / "b")
        shutil.rmtree(tmp_path / "out")


def test_what_is_not_there_is_named(made, tmp_path):
    done = run(tmp_path, "extract", made / "all.tar.gz", "out", "--only", "d123", "--only", "d123x/y", status=1)
    assert "d123x/y" in done.stderr and not (tmp_path / "out").exists()
    assert "d999" in run(tmp_path, "list", made / "all.tar.gz", "--directory", "d999", status=1).stderr
    done = run(tmp_path, "extract", made / "all.tar.gz", "out", "--only", "../etc", status=2)
    assert "--only" in done.stderr


def test_archives_of_others_are_listed_and_selected_from(tmp_path):
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "file").write_bytes(b"file")
    (tree / "z").write_bytes(b"z")
    with tarfile.open(tmp_path / "wings.tar.gz", "w:gz") as archive:  # Wings writes no directories
        archive.add(tree / "a" / "b" / "file", "a/b/file")
        archive.add(tree / "z", "z")
    assert run(tmp_path, "list", "wings.tar.gz", "--directory", "").stdout.splitlines() == ["a/", "z"]
    assert run(tmp_path, "list", "wings.tar.gz", "--directory", "a").stdout.splitlines() == ["a/b/"]
    run(tmp_path, "extract", "wings.tar.gz", "out", "--only", "a")
    assert (tmp_path / "out" / "a" / "b" / "file").read_bytes() == b"file"
    assert not (tmp_path / "out" / "z").exists()


def test_every_other_tool_passes_over_the_index(made, tmp_path):
    archive = made / "all.tar.gz"
    subprocess.run(["gzip", "-t", archive], check=True)
    if shutil.which("pigz"):
        subprocess.run(["pigz", "-t", archive], check=True)
    expected = run(tmp_path, "list", archive, "--checksum", "sha256:" + digest(archive)).stdout.splitlines()
    for tool in ("tar", "bsdtar"):
        names = subprocess.run([tool, "-tzf", archive], check=True, capture_output=True, text=True).stdout.splitlines()
        assert names == expected
    with tarfile.open(archive) as opened:
        assert ["./" if name == "." else name for name in opened.getnames()] == [n.rstrip("/") or "./" if n != "./" else n
                                                                               for n in expected]


def digest(path):
    return subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout.split()[0]


def test_a_damaged_index_is_no_hindrance_and_is_said(made, tmp_path):
    good = (made / "all.tar.gz").read_bytes()
    expected = run(tmp_path, "list", made / "all.tar.gz").stdout
    bad = tmp_path / "bad.tar.gz"
    # In the trailer, and in the last page of entries before it.
    for at in (len(good) - TRAILER_BYTES + 40, len(good) - 3000):
        data = bytearray(good)
        data[at] ^= 1
        bad.write_bytes(data)
        done = run(tmp_path, "list", bad)
        assert done.stdout == expected and "index" in done.stderr
        assert "index" in run(tmp_path, "verify", bad, status=1).stderr
        run(tmp_path, "extract", bad, "out", "--only", "d199/f199")
        assert (tmp_path / "out" / "d199" / "f199").read_bytes() == b"199"
        shutil.rmtree(tmp_path / "out")
    # Without it, it is an archive like any other.
    bad.write_bytes(good[:-TRAILER_BYTES])
    done = run(tmp_path, "list", bad)
    assert done.stdout == expected and done.stderr == ""
    run(tmp_path, "verify", bad)


def test_listing_does_not_look_at_content_and_verify_does(made, tmp_path):
    data = bytearray((made / "all.tar.gz").read_bytes())
    data[30_000_000] ^= 1
    bad = tmp_path / "bad.tar.gz"
    bad.write_bytes(data)
    assert run(tmp_path, "list", bad).stdout == run(tmp_path, "list", made / "all.tar.gz").stdout
    assert "bad.tar.gz" in run(tmp_path, "verify", bad, status=1).stderr
    run(tmp_path, "extract", bad, "out", "--only", "d000")
    entries = [json.loads(line) for line in run(tmp_path, "list", "--json", bad, "--directory", "links").stdout.splitlines()]
    assert [(entry["type"], entry["link"]) for entry in entries] == [("hardlink", "d100/f100")] * 2


def test_the_first_archive_with_an_index_is_read_for_ever(tmp_path):
    run(tmp_path, "verify", GOLDEN)
    by_reading = run(tmp_path, "list", "-l", GOLDEN, "--checksum", "sha256:" + digest(GOLDEN)).stdout
    assert run(tmp_path, "list", "-l", GOLDEN).stdout == by_reading
    assert run(tmp_path, "list", GOLDEN, "--directory", "world").stdout == "world/region/\n"
    run(tmp_path, "extract", GOLDEN, "some", "--only", "world", "--only", "again.sh")
    run(tmp_path, "extract", GOLDEN, "all")
    assert {"world/region/r.0.0.mca", "again.sh"} == set(read_tree(tmp_path / "some"))
    for name in ("world/region/r.0.0.mca", "again.sh"):
        assert (tmp_path / "some" / name).read_bytes() == (tmp_path / "all" / name).read_bytes()
    # It is the index that a list reads.
    data = bytearray(GOLDEN.read_bytes())
    data[len(data) // 3] ^= 1
    (tmp_path / "bad").write_bytes(data)
    assert run(tmp_path, "list", "-l", "bad").stdout == by_reading
