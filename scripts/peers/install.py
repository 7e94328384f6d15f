"""Installs the peers into a folder of their own: from PyPI, and from the packages of Debian or a relative."""

import shutil
import subprocess
import sys
from pathlib import Path

WHEELS = ["polars", "duckdb", "chdb"]
PACKAGES = ["mawk", "goaccess", "libmaxminddb0", "mtail"]


class Peers:
    """What is there of the peers; what could not be had is left out, and said."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.python = self.folder / "venv/bin/python"
        self.tree = self.folder / "debian"
        self._wheels()
        self._packages()

    def _wheels(self):
        done = self.folder / "wheels-are-installed"
        if done.exists():
            return
        try:
            subprocess.run([sys.executable, "-m", "venv", self.python.parent.parent], check=True)
            subprocess.run([self.python, "-m", "pip", "install", "--quiet", *WHEELS], check=True)
            done.touch()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"the peers from PyPI could not be installed: {error}", file=sys.stderr)

    def _packages(self):
        if self.tree.exists() or not shutil.which("apt-get"):
            return
        downloads = self.folder / "packages"
        downloads.mkdir(exist_ok=True)
        for name in PACKAGES:
            got = subprocess.run(["apt-get", "download", name], cwd=downloads, capture_output=True, text=True)
            if got.returncode:
                print(f"{name} could not be downloaded: {got.stderr.strip()}", file=sys.stderr)
        for package in downloads.glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", package, self.tree], check=True)

    def has_wheel(self, name):
        return any(self.folder.glob(f"venv/lib/python*/site-packages/{name}"))

    def program(self, name):
        """Where a program is, the installed one first; `None` if it could not be had."""
        own = self.tree / "usr/bin" / name
        return str(own) if own.exists() else shutil.which(name)

    def libraries(self):
        """The environment in which programs find libraries that came with them."""
        folders = [str(folder) for folder in self.tree.glob("usr/lib/*-linux-gnu")]
        return {"LD_LIBRARY_PATH": ":".join(folders)} if folders else {}

    def version(self, name):
        if name in WHEELS:
            code = f"from importlib.metadata import version; print(version('{name}'))"
            return subprocess.run([self.python, "-c", code], capture_output=True, text=True).stdout.strip()
        option = "-W" if name == "mawk" else "--version"
        got = subprocess.run(
            [self.program(name), option, "version"] if name == "mawk" else [self.program(name), option],
            capture_output=True,
            text=True,
            env=self.libraries(),
        )
        words = (got.stdout or got.stderr).split("\n")[0].replace(",", " ").split()
        return next((word.strip(".") for word in words if word[:1].isdigit()), "")
