#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""manual_test.py ROOST PAGE: the page holds every command and option, word for word."""
import subprocess
import sys

roost, page = sys.argv[1:]
commands = subprocess.run([roost, "completion", "--man"], capture_output=True, text=True, check=True).stdout
with open(page, encoding="utf-8") as file:
    if commands not in file.read():
        sys.exit(f"{page} does not hold what 'roost completion --man' prints")
