# SPDX-License-Identifier: Apache-2.0
"""Archives as earlier versions wrote them restore for ever, to the same tree."""
import hashlib
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from harness import ROOST

GOLDEN = Path(__file__).resolve().parent / "golden"
ARCHIVES = sorted(GOLDEN.glob("v*/tree/*.tar.gz"))


def facts(root):
    """What a tree is, as JSON can hold it: names are hexadecimal, as some are no text."""
    found = {}
    for directory, names, files in os.walk(os.fsencode(root)):
        for name in [b"."] + names + files:
            if name == b"." and directory != os.fsencode(root):
                continue
            path = os.path.join(directory, name)
            status = os.lstat(path)
            entry = {"mode": stat.S_IMODE(status.st_mode)}
            if stat.S_ISLNK(status.st_mode):
                entry = {"link": os.readlink(path).hex()}
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
                entry["sha256"] = hashlib.sha256(content).hexdigest()
                entry["size"] = status.st_size
                entry["links"] = status.st_nlink
            if not stat.S_ISLNK(status.st_mode):
                entry["mtime_ns"] = status.st_mtime_ns
            found[os.path.relpath(path, os.fsencode(root)).hex()] = entry
    return found


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: f"{path.parent.parent.name}-{path.name}")
def test_an_old_archive_restores_to_the_same_tree(archive, tmp_path):
    subprocess.run([ROOST, "archive", "verify", archive], check=True, capture_output=True)
    subprocess.run([ROOST, "archive", "extract", archive, tmp_path / "out"], check=True, capture_output=True)
    expected = json.loads((archive.parent / "tree.json").read_text())
    assert facts(tmp_path / "out") == expected
    # Holes stay holes.
    sparse = os.stat(tmp_path / "out" / "sparse")
    assert sparse.st_blocks * 512 < sparse.st_size / 4


def test_there_are_archives_of_every_format():
    assert {path.parent.parent.name for path in ARCHIVES} >= {"v1"}
    assert all((path.parent / "tree.json").exists() for path in ARCHIVES)
