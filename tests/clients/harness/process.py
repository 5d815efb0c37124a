"""Programs that end with whoever started them."""

import asyncio
import ctypes
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

# The binary under test, as `make test-clients` builds it.
BINARY = Path(os.environ.get("HOMELAB_DEPLOY_BINARY", "target/debug/homelab-deploy")).absolute()

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


def _dies_with_us() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def environment() -> dict[str, str]:
    """This process's environment without what would configure the binary."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HOMELAB_DEPLOY_")}


def run(*arguments: str | Path) -> str:
    """Runs the binary to its end; gives what it prints."""
    ended = subprocess.run([BINARY, *arguments], env=environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{arguments}: {ended.stderr}"
    return ended.stdout


async def start(*command: str | Path, **streams: object) -> asyncio.subprocess.Process:
    """Starts a program that is killed at the latest when we end."""
    return await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.DEVNULL, env=environment(), preexec_fn=_dies_with_us, **streams
    )


async def kill(process: asyncio.subprocess.Process) -> None:
    """Ends a program and waits until it is gone."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
