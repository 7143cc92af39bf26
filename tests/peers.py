"""Other people's software, installed where it disturbs nothing: each in an environment of its own, made once."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

CACHE = Path(sys.prefix) / "peers"


def python_peer(name: str, *pip_arguments: tuple[str, ...]) -> Path:
    """The Python of an environment in which `pip install` ran with each of these lists of arguments."""
    digest = hashlib.sha256(repr((sys.version, pip_arguments)).encode()).hexdigest()[:12]
    home = CACHE / f"{name}-{digest}"
    python = home / "bin" / "python"
    done = home / "done"
    CACHE.mkdir(exist_ok=True)
    # Workers of pytest-xdist come here at the same time.
    with open(CACHE / f"{home.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            venv.create(home, with_pip=True, clear=True)
            for arguments in pip_arguments:
                subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments], check=True, timeout=300)
            done.touch()
    return python
