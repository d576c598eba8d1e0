"""Packages from npm that tests need, installed where they are not there yet."""

import shutil
import subprocess
from pathlib import Path


def install(folder: Path) -> str:
    """Install what the lock file of a folder names, and return the program that runs it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    assert node, "node is needed; scripts/test installs it"
    assert npm, "npm is needed; scripts/test installs it"
    # npm writes this file last: without it an installation is missing or was cut off.
    if not (folder / "node_modules" / ".package-lock.json").exists():
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    return node
