# SPDX-License-Identifier: Apache-2.0
"""Ignore rules: mode `git` is what git does, and git is asked; the preview tells what a backup then leaves out."""
import base64
import json
import os
import random
import subprocess
import tarfile

import pytest

from harness import ROOST, program_env

GIT_ENV = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}

# (patterns, paths); a path that ends with a slash is a directory.  Nothing here says what is right: git does.
TREE = ["a", "b", "x/a", "x/b", "x/y/a", "x/y/b", "x/y/z/a.log", "x/a.log", "a.log", "logs/keep.log", "logs/deep/k.txt",
        "dir/", "dir2/f", "x/dir/f", "A", "foobar", "foo/bar", "fooxxx/yyy/bar", "x/foobar/baz", "a1b2/c", "a1b/x/c"]
ODD = ["#a", "!a", "!!a", "a ", " a", "a b", "a\t", "\\", "a\\", "a\\b", "*", "a*b", "axb", "?", "[", "]", "a[b", "a]", "-",
       "a-", "^", "[a]", "{a,b}", "~", ".hidden", "a.b", "aXb/c", "é", "tab\there", "[:alpha:]", "d ir/f", "\\!a", "a\r"]
CASES = [
    # lines
    ("", TREE), ("\n\n", TREE), ("# a\n#a\n", ODD), ("\\#a\n", ODD), ("\\!a\n", ODD), ("a\r\nb\r\n", TREE), ("a", TREE),
    ("a\n", ODD), (" a\n", ODD), ("a \n", ODD), ("a\\ \n", ODD), ("a\\  \n", ODD), ("a\t\n", ODD), ("a b\n", ODD),
    ("\ufeffa\n", TREE), ("a\r", ODD), ("a\\\r\n", ODD), ("\\\n", ODD), ("a\\\n", ODD), ("a\\\\\n", ODD), ("\\\\\n", ODD),
    ("   \n", ODD), (" \\ \n", ODD), ("a \\\n", ODD), ("!!a\n", ODD), ("*\n!!a\n", ODD), ("!\n", ODD), ("*\n!\n", ODD),
    ("*\n!\\!a\n", ODD), ("a\0b\n", TREE), ("\0\n", TREE),
    # anchors
    ("/a\n", TREE), ("x/a\n", TREE), ("/x/a\n", TREE), ("y/a\n", TREE), ("a/\n", TREE), ("dir/\n", TREE), ("/dir/\n", TREE),
    ("x/dir/\n", TREE), ("dir\n", TREE), ("/\n", TREE), ("//\n", TREE), ("//a\n", TREE), ("x//a\n", TREE), ("x/\n", TREE),
    ("./a\n", TREE), ("../a\n", TREE), ("x/./a\n", TREE), ("foo/bar\n", TREE), ("x\\/a\n", TREE), ("\\a\n", TREE),
    ("x\\/\n", TREE), ("\\/a\n", TREE), ("/\\a\n", TREE), ("A\n", TREE), ("é\n", ODD), ("{a,b}\n", ODD), ("~\n", ODD),
    # one star, a question mark
    ("*\n", TREE), ("/*\n", TREE), ("*/\n", TREE), ("/*/\n", TREE), ("*.log\n", TREE), ("/*.log\n", TREE), ("x/*\n", TREE),
    ("x/*.log\n", TREE), ("x/*/a\n", TREE), ("*/a\n", TREE), ("/*/a\n", TREE), ("*/*\n", TREE), ("*/*/a\n", TREE),
    ("a?\n", ODD), ("?\n", ODD), ("??\n", ODD), ("x?a\n", TREE), ("*x*\n", ODD), ("a*b\n", ODD), ("a\\*b\n", ODD),
    ("\\*\n", ODD), ("\\?\n", ODD), ("*\\\n", ODD), (".*\n", ODD), ("*.*\n", ODD), ("foo*/\n", TREE), ("foo*/bar\n", TREE),
    ("*a\n", ODD), ("a*\n", ODD), ("d*r/\n", ODD), ("/x*/y*/a\n", TREE), ("x/*/*\n", TREE), ("x/*y*/*\n", TREE),
    # two stars
    ("**\n", TREE), ("/**\n", TREE), ("**/\n", TREE), ("**/a\n", TREE), ("/**/a\n", TREE), ("x/**\n", TREE), ("x/**/a\n", TREE),
    ("x/**/\n", TREE), ("**/y/**\n", TREE), ("**/x/a\n", TREE), ("**x/a\n", TREE), ("x/y**\n", TREE), ("x/**y/a\n", TREE),
    ("**a\n", TREE), ("a**\n", TREE), ("foo**/bar\n", TREE), ("foo**bar\n", TREE), ("x/foo**\n", TREE), ("a?b**/c\n", TREE),
    ("?oo**/bar\n", TREE), ("**\\/a\n", TREE), ("x/**\\/a\n", TREE), ("x\\/**/a\n", TREE), ("***/a\n", TREE), ("x/***\n", TREE),
    ("**/**/a\n", TREE), ("x/**/**/a\n", TREE), ("**/*.log\n", TREE), ("**/*/a\n", TREE), ("*/**/a\n", TREE), ("x/**/*\n", TREE),
    ("f**/**r\n", TREE), ("**/*o*/*\n", TREE), ("[x]**/a\n", TREE), ("[x]/**\n", TREE), ("\\**/a\n", ODD), ("x/\\**\n", TREE),
    # classes
    ("[ab]\n", TREE), ("[!a]\n", ODD), ("[^a]\n", ODD), ("[a-c]\n", TREE), ("[c-a]\n", TREE), ("[]]\n", ODD), ("[!]]\n", ODD),
    ("[]-a]\n", ODD), ("[a-]\n", ODD), ("[-a]\n", ODD), ("[--0]\n", ODD), ("[a\\]]\n", ODD), ("[\\]]\n", ODD), ("[\\\\]\n", ODD),
    ("[a\n", ODD), ("a[b\n", ODD), ("a\\[b\n", ODD), ("[\n", ODD), ("[!\n", ODD), ("[]\n", ODD), ("[a-\n", ODD), ("[\\\n", ODD),
    ("[[:alpha:]]\n", ODD), ("[[:alpha:]\n", ODD), ("[:alpha:]\n", ODD), ("[[:nope:]]\n", ODD), ("[[:nope:]a]\n", ODD),
    ("[[:digit:]a-]\n", ODD), ("[![:alpha:]]\n", ODD), ("[[:alpha:]-z]\n", ODD), ("[[:]\n", ODD), ("[[:a]\n", ODD),
    ("[[:]]\n", ODD), ("[[::]]\n", ODD), ("[a-[:alpha:]]\n", ODD), ("[a[:punct:]]\n", ODD), ("[[]\n", ODD), ("[[a]\n", ODD),
    ("x[/]a\n", TREE), ("x[!b]a\n", TREE), ("x[.-0]a\n", TREE), ("[!x]/a\n", TREE), ("x/[^c]/a\n", TREE), ("[[:space:]]*\n", ODD),
    ("*[[:space:]]\n", ODD), ("[\\a-b]\n", TREE), ("[a-\\c]\n", TREE), ("[!!a]\n", ODD), ("[a!]a\n", ODD), ("[!-~]a\n", ODD),
    # taking back
    ("*\n!a\n", TREE), ("*\n!/a\n", TREE), ("*\n!*/\n!a\n", TREE), ("x\n!x/a\n", TREE), ("x/\n!x/a\n", TREE), ("x/*\n!x/a\n", TREE),
    ("x/*\n!x/y\n", TREE), ("x/*\n!x/y/\n", TREE), ("x/**\n!x/y/\n!x/y/a\n", TREE), ("x/**\n!x/**/\n", TREE), ("a\n!a\na\n", TREE),
    ("!a\na\n", TREE), ("*.log\n!keep.log\n", TREE), ("logs\n!keep.log\n", TREE), ("logs/*\n!keep.log\n", TREE), ("/*\n!/x\n", TREE),
    ("/*\n!/x/\n/x/*\n!/x/y\n", TREE), ("*\n!dir/\n", TREE), ("*\n!dir\n", TREE), ("**\n!**/\n!*.txt\n", TREE), ("a\n!a/\n", TREE),
    ("dir\n!dir/\n", TREE), ("!*\n*\n", TREE), ("*\n!*\n", TREE), ("x\n!x\nx/y\n", TREE),
]

CLASSES = ["alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit"]


class Judge:
    """A directory, and what git and roost say about it."""

    def __init__(self, base, paths):
        self.root = os.fsencode(base / "tree")
        self.rules = base / "rules"
        os.makedirs(self.root)
        # Its own directory stands elsewhere: the tree is nothing but the question.
        self.env = {**GIT_ENV, "GIT_DIR": str(base / "git"), "GIT_WORK_TREE": os.fsdecode(self.root)}
        subprocess.run(["git", "init", "-q"], check=True, env=self.env)
        for path in paths:
            self.put(path)
        self.paths = []
        for directory, folders, files in os.walk(self.root):
            self.paths += [os.path.relpath(os.path.join(directory, name), self.root) for name in folders + files]
        self.base = base

    def put(self, path):
        full = os.path.join(self.root, path)
        os.makedirs(full if path.endswith(b"/") else os.path.dirname(full), exist_ok=True)
        if not path.endswith(b"/"):
            with open(full, "wb") as file:
                file.write(path)

    def git(self, rules):
        """{path: number of the line that leaves it out}"""
        self.rules.write_bytes(rules)
        done = subprocess.run(
            ["git", "-c", f"core.excludesFile={self.rules}", "-c", "core.ignoreCase=false", "check-ignore", "--no-index",
             "--verbose", "--non-matching", "--stdin", "-z"],
            cwd=self.root, input=b"".join(b"./%s\0" % path for path in self.paths), capture_output=True, env=self.env, check=False)
        assert done.returncode in (0, 1), done.stderr
        fields = done.stdout.split(b"\0")[:-1]
        answers = [(line, pattern, path[2:]) for _, line, pattern, path in zip(*[iter(fields)] * 4)]
        assert [path for *_, path in answers] == self.paths
        return {path: int(line) for line, pattern, path in answers if line and not pattern.startswith(b"!")}

    def roost(self, rules):
        self.rules.write_bytes(rules)
        done = subprocess.run([ROOST, "archive", "preview", self.root, "--ignore-file", self.rules, "--ignore-mode", "git",
                               "--json"], capture_output=True, env=program_env(self.base / "sanitizer"), check=False)
        assert done.returncode == 0, done.stderr
        left_out, below = {}, {}
        *items, totals = [json.loads(line) for line in done.stdout.splitlines()]
        for item in items:
            path = item_path(item)
            left_out[path] = int(item["rule"].rpartition(":")[2])
            if item["type"] == "directory":
                below[path + b"/"] = item
        for directory, item in below.items():
            inside = [path for path in self.paths if path.startswith(directory)]
            assert item["objects"] == len(inside) and item["keeps_directory"] is False
            left_out.update({path: left_out[directory[:-1]] for path in inside})
        assert sum(totals["left_out"][kind] for kind in ("files", "directories", "links")) == len(left_out)
        return left_out

    def agree(self, rules):
        assert self.roost(rules) == self.git(rules), rules


def item_path(item):
    if "path_base64" in item:
        return base64.b64decode(item["path_base64"])
    return item["path"].encode()


@pytest.fixture(scope="module")
def judges(tmp_path_factory):
    return {id(paths): Judge(tmp_path_factory.mktemp(name), [path.encode() for path in paths])
            for name, paths in (("plain", TREE), ("odd", ODD))}


def test_there_are_enough_cases():
    assert len({(rules, id(paths)) for rules, paths in CASES}) == len(CASES) >= 100


@pytest.mark.parametrize("rules,paths", CASES, ids=[repr(rules) for rules, _ in CASES])
def test_git_is_of_the_same_opinion(judges, rules, paths):
    judges[id(paths)].agree(rules.encode())


def test_every_byte_in_every_class(tmp_path):
    names = [bytes([byte]) for byte in range(1, 256) if byte not in b"/."]
    judge = Judge(tmp_path, names)
    for name in CLASSES:
        judge.agree(b"[[:%s:]]\n" % name.encode())
        judge.agree(b"[![:%s:]]\n" % name.encode())
    judge.agree(b"?\n")
    judge.agree(b"[\x80-\xff]\n")


def random_rules(chance):
    pieces = ["a", "b", "c", "a", "b", "a", "b", "ab", "*", "*", "**", "**/", "/**", "/", "/", "?", "[ab]", "[!a]", "[a-c]", "[", "]", "\\", "-",
              "!", " ", "#", ".", "[[:alpha:]]", "[^b]", "[]a]", "\\*", "\\/", "[", "[[:b", ":]", "[a-", "\\ "]
    lines = []
    for _ in range(chance.randint(1, 6)):
        line = "".join(chance.choice(pieces) for _ in range(chance.randint(1, 6)))
        if chance.random() < 0.3:
            line = "!" + line
        lines.append(line + chance.choice(["", "", "", "/", " ", "\r"]))
    return "\n".join(lines).encode() + chance.choice([b"", b"\n"])


def random_paths(chance, count):
    names = ["a", "b", "c", "ab", "ba", "abc", "aa", "a b", "[", "]", "a-", "-", "!a", "#", "*", "\\", "a]", ".b", ":"]
    files, directories = set(), set()
    while len(files) + len(directories) < count:
        parts = [chance.choice(names[:6] if chance.random() < 0.7 else names) for _ in range(chance.randint(1, 4))]
        path = "/".join(parts)
        above = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
        if above & files or path in files | directories:
            continue
        directories |= above
        (directories if chance.random() < 0.25 else files).add(path)
    return [path.encode() for path in sorted(files) + sorted(path + "/" for path in directories)]


@pytest.mark.parametrize("seed", range(4))
def test_random_lists_get_the_same_verdicts(tmp_path, seed):
    """Small alphabets, so that patterns and paths meet."""
    chance = random.Random(seed)
    judge = Judge(tmp_path, random_paths(chance, 90))
    decided = 0
    for _ in range(100):
        rules = random_rules(chance)
        expected = judge.git(rules)
        assert judge.roost(rules) == expected, rules
        decided += 0 < len(expected) < len(judge.paths)
    assert decided >= 30


# ---- the preview, and what it foretells ----

FILES = {"keep/a.txt": b"1", "keep/b.log": b"22", "cache/c": b"333", "cache/deep/d": b"4444", "e.log": b"55555"}


def put_files(root):
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def names_of(archive):
    with tarfile.open(archive) as tar:
        return {member.name for member in tar if member.name not in ("", ".")}


@pytest.mark.parametrize("mode,kept", [
    ("wings", {"keep", "keep/a.txt", "cache", "cache/deep", "cache/deep/d"}),
    ("git", {"keep", "keep/a.txt"}),
])
def test_create_leaves_out_what_the_preview_said(roost, tmp_path, mode, kept):
    put_files(tmp_path / "tree")
    options = ["--ignore", "*.log", "--ignore", "cache", "--ignore", "!d", "--ignore-mode", mode]
    archive = tmp_path / "a.tar.gz"
    roost.run("archive", "create", tmp_path / "tree", archive, *options)
    assert names_of(archive) == kept
    lines = roost.run("archive", "preview", tmp_path / "tree", "--json", *options).stdout.splitlines()
    *items, totals = [json.loads(line) for line in lines]
    everything = {str(path.relative_to(tmp_path / "tree")) for path in (tmp_path / "tree").rglob("*")}
    gone = {item["path"] for item in items}
    gone |= {name for name in everything for item in items
             if item["type"] == "directory" and name.startswith(item["path"] + "/")}
    assert everything - gone == kept
    assert totals["kept"]["bytes"] == sum(len(FILES[name]) for name in kept & set(FILES))
    assert totals["left_out"]["bytes"] == sum(len(FILES[name]) for name in set(FILES) - kept)
    assert [rule["pattern"] for rule in totals["without_effect"]] == ([] if mode == "wings" else ["!d"])


def test_preview_for_people(roost, tmp_path):
    put_files(tmp_path / "tree")
    (tmp_path / "list").write_text("# mine\n*.log\ncache/\nnothing\n")
    done = roost.run("archive", "preview", tmp_path / "tree", "--ignore-file", "list", "-i", "a.txt", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "list:3:cache/\t7 B\tcache/ (3 objects; the directory itself stays)",
        "list:2:*.log\t5 B\te.log",
        "--ignore:1:a.txt\t1 B\tkeep/a.txt",
        "list:2:*.log\t2 B\tkeep/b.log",
        "left out: 15 B in 5 files, 1 directories, 0 links",
        "kept: 0 B in 0 files, 3 directories, 0 links",
    ]
    assert done.stderr == "roost: list:4: 'nothing' decides about nothing here\n"


def test_preview_takes_the_tenants_list_where_none_is_given(roost, tmp_path):
    put_files(tmp_path / "tree")
    (tmp_path / "tree" / ".pteroignore").write_text("cache\n")
    done = roost.run("archive", "preview", tmp_path / "tree")
    assert done.stdout.startswith(".pteroignore:1:cache\t7 B\tcache/ (3 objects)\n")
    assert ".pteroignore" not in roost.run("archive", "preview", tmp_path / "tree", "-i", "e.log").stdout


def test_preview_names_control_bytes_and_refuses_what_is_wrong(roost, tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a\x1b[31m").write_bytes(b"")
    done = roost.run("archive", "preview", tmp_path / "tree", "-i", "a*")
    assert "\x1b" not in done.stdout and "a\\x1b[31m" in done.stdout
    assert "wings or git" in roost.run("archive", "preview", ".", "--ignore-mode", "hg", status=2).stderr
    assert "16 wildcards" in roost.run("archive", "preview", tmp_path / "tree", "-i", "?" * 17, status=1).stderr
    roost.run("archive", "preview", tmp_path / "missing", status=1)


def test_preview_of_a_large_tree_needs_no_memory(roost, tmp_path):
    """All of it pruned, all of it listed: neither is held."""
    for folder in range(20):
        (tmp_path / "tree" / f"d{folder}").mkdir(parents=True)
        for number in range(1000):
            (tmp_path / "tree" / f"d{folder}" / f"f{number}").touch()
    for pattern, lines in (("d*", 22), ("f*", 20_002)):
        with open(tmp_path / "out", "wb") as out:
            command = [ROOST, "archive", "preview", tmp_path / "tree", "-i", pattern]
            # From a small process: what the one that forks is large counts for its child.
            small = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
                     "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)")
            done = subprocess.run(["/usr/bin/python3", "-c", small, *command], stdout=out, stderr=subprocess.PIPE,
                                  text=True, check=True, env=program_env(tmp_path / "sanitizer"))
        assert (tmp_path / "out").read_bytes().count(b"\n") == lines
        assert int(done.stderr.split()[-1]) < 64 * 1024 or os.environ.get("ROOST_SANITIZED")


# ---- the node ----

def test_the_node_reads_patterns_in_the_configured_mode(make):
    roost = make({"node.ignore_mode": "git"})
    server = roost.add_server({"x/a": b"1", "x/b": b"2", "b": b"3", "y/x/a": b"4"})
    done = server.backup(ignored="x/\n!x/a\n/b")
    assert names_of(server.archive(done["uuid"])) == {"y"}
    server.write({".pteroignore": b"x/*\n!x/a\n"})
    done = server.backup()
    assert names_of(server.archive(done["uuid"])) == {".pteroignore", "x", "x/a", "b", "y", "y/x", "y/x/a"}


def test_a_list_in_a_directory_below_is_a_file_like_any_other(make):
    for mode in ("wings", "git"):
        roost = make({"node.ignore_mode": mode})
        server = roost.add_server({"d/.pteroignore": b"*", "d/.gitignore": b"*", "d/a": b"1"})
        done = server.backup()
        assert names_of(server.archive(done["uuid"])) == {"d", "d/.pteroignore", "d/.gitignore", "d/a"}
