# SPDX-License-Identifier: Apache-2.0
"""Every command line that a document shows is run.

Blocks marked ```sh of a document run in their order, in one shell, in an empty directory, with `roost` in the path, a
panel that serves, and the variables that docs/api.md names.  So do the displays of the manual pages' EXAMPLES.
A block of a document that cannot run here is marked otherwise (```text, ```console).
"""
import os
import re
import subprocess

import pytest

from harness import PATIENCE_S, ROOST, ROOT, free_port, program_env

DOCUMENTS = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")] if "```sh\n" in path.read_text())
PAGES = sorted(ROOT.glob("man/*.[1-8]"))
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)
DISPLAY = re.compile(r"^\.Bd -literal.*?\n(.*?)^\.Ed", re.M | re.S)

PROLOGUE = r"""
set -euo pipefail
# The two commands of README: one would call itself, the other would not end.
tools/check() { echo "not from within itself"; }
tools/quickstart() { "$ROOST_SOURCE/tools/quickstart" --once --data "$PWD/quickstart-data" --port "$FREE_PORT" "$@"; }
"""


def run_blocks(blocks, server, directory):
    """All of them, echoed, in one shell."""
    key = directory / "key"
    key.write_text(server.key)
    (directory / "world").mkdir()
    (directory / "world" / "level.dat").write_bytes(b"level")
    env = {**program_env(directory / "sanitizer"), "PATH": f"{ROOST.parent}:/usr/sbin:/usr/bin:/sbin:/bin",
           "ROOST_URL": server.roost.url, "ROOST_API_KEY": server.key, "ROOST_CONFIG": str(server.roost.config),
           "SERVER": server.uuid, "HOME": str(directory), "ROOST_SOURCE": str(ROOT), "FREE_PORT": str(free_port()),
           "ROOST_BUILD": os.environ.get("ROOST_BUILD", "")}
    if not env["ROOST_BUILD"]:
        del env["ROOST_BUILD"]
    script = PROLOGUE + "set -x\n" + "\n".join(blocks)
    return subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, cwd=directory, env=env,
                          timeout=PATIENCE_S * 30, stdin=subprocess.DEVNULL, check=False)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_command_lines_of_a_document(server, tmp_path, document):
    blocks = BLOCK.findall(document.read_text())
    assert blocks
    done = run_blocks(blocks, server, tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert '"errors":[' not in done.stdout, done.stdout


def examples(page):
    """The displays below EXAMPLES, without roff."""
    section = re.search(r"^\.Sh EXAMPLES\n(.*?)(?=^\.Sh|\Z)", page.read_text(), re.M | re.S)
    text = section.group(1) if section else ""
    return [block.replace("\\e", "\\").replace("\\-", "-").replace("\\&", "") for block in DISPLAY.findall(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_examples_of_a_manual_page(server, tmp_path, page):
    blocks = examples(page)
    if page.suffix == ".5":
        # An example of a configuration file: the program itself must be content with it.
        for number, block in enumerate(blocks):
            path = tmp_path / f"example{number}.yml"
            path.write_text(block)
            server.roost.run("config", "check", "--config", path, env={"ROOST_CONFIG": str(path)})
        return
    assert blocks, "no EXAMPLES"
    done = run_blocks(blocks, server, tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.parametrize("document", sorted([*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("src/*/*.md")]),
                         ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_manual_pages_are_well_made(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
