"""Programs that are killed when the test process ends."""

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
    """The environment without variables that configure the binary."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HOMELAB_DEPLOY_")}


def run(*arguments: str | Path) -> str:
    """Runs the binary and returns its standard output."""
    ended = subprocess.run([BINARY, *arguments], env=environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{arguments}: {ended.stderr}"
    return ended.stdout


async def start(*command: str | Path, **streams: object) -> asyncio.subprocess.Process:
    """Starts a program that is killed when this process ends."""
    return await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.DEVNULL, env=environment(), preexec_fn=_dies_with_us, **streams
    )


async def kill(process: asyncio.subprocess.Process) -> None:
    """Kills a program and waits for its exit."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
