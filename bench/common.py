# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: a running installation, a load, a table."""
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import harness  # noqa: E402


class Running:
    """An installation that serves while the block runs."""

    def __init__(self, settings=None):
        self.settings = settings

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="roost-bench-")
        self.roost = harness.Installation(Path(self.directory.name), self.settings).start()
        return self.roost

    def __exit__(self, *_):
        self.roost.stop()
        self.directory.cleanup()


def requests_per_s(url, headers=(), seconds=4, connections=64):
    """What wrk says; every answer must be a 200."""
    args = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s"]
    for header in headers:
        args += ["-H", header]
    text = subprocess.run([*args, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(f"not every request was answered:\n{text}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))


def table(title, rows):
    """Rows of (name, value, remark)."""
    print(f"\n{title}")
    for name, value, remark in rows:
        print(f"  {name:<34} {value:>12}  {remark}")


def median(values):
    return statistics.median(values)
