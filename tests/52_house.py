# SPDX-License-Identifier: Apache-2.0
"""The house keeps its own rules, and the checks can fail."""
import re
import subprocess

import pytest

from harness import ROOT


def floors(root):
    return subprocess.run([ROOT / "tools" / "floors", root], capture_output=True, text=True, check=False)


def test_floors_hold():
    done = floors(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("files,says", [
    ({"base/a.c": '#include "crypt/b.h"\n', "crypt/b.h": ""}, "must not include"),
    ({"tree/a.c": '#include "archive/b.h"\n', "archive/b.h": ""}, "must not include"),
    ({"panel/a.c": '#include "node/b.h"\n', "node/b.h": ""}, "must not include"),
    ({"base/a.c": '#include "a.h"\n'}, "is not floor/name.h"),
    ({"base/a.c": '#include "base/missing.h"\n'}, "does not exist"),
    ({"attic/a.c": ""}, "without a floor"),
    ({"base/a.c": "", "base/unnamed.c": ""}, "does not name `unnamed`"),
])
def test_floors_finds_offences(tmp_path, files, says):
    for name, text in files.items():
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        (path.parent / "README.md").write_text("- `a`\n- `b`\n")
    done = floors(tmp_path)
    assert done.returncode == 1 and says in done.stdout


def test_every_source_says_its_licence():
    for folder, pattern in (("src", "*.[ch]"), ("fuzz", "*.c"), ("tests", "*.py"), ("tests/shim", "*.c")):
        for path in (ROOT / folder).rglob(pattern):
            if "data" in path.parts:
                continue
            head = path.read_text().splitlines()[:2]
            assert any("SPDX-License-Identifier: Apache-2.0" in line for line in head), path


def test_functions_and_files_stay_small():
    """At most 100 lines a function (clang-format puts its braces in column 0), 1,000 a file."""
    for path in (ROOT / "src").rglob("*.c"):
        lines = path.read_text().splitlines()
        assert len(lines) < 1000, path
        start = None
        for number, line in enumerate(lines):
            if line == "{":
                start = number
            elif line == "}" and start is not None:
                assert number - start <= 100, f"{path}:{start}"
                start = None


def test_readmes_of_folders_name_their_files():
    """tests/, tools/, bench/, fuzz/: a line a file."""
    for folder in ("tests", "tools", "bench"):
        text = (ROOT / folder / "README.md").read_text()
        named = set(re.findall(r"`([^`]+)`", text))
        for path in (ROOT / folder).iterdir():
            if path.is_file() and path.name != "README.md":
                assert path.name in named, path


def test_every_listed_package_is_a_name():
    lines = (ROOT / "tools" / "packages.txt").read_text().splitlines()
    names = [line for line in lines if line and not line.startswith(("#", "["))]
    assert names and all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name) for name in names)
