"""A real listener on the real binary, with a rebuild program that the test steers."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

from . import process
from .broker import HOSTS, Broker
from .seen import Seen

# The line of a rebuild program that waits at the gate.
WAIT = "read go < $DIR/gate || exit 1"


def tell(**fields: object) -> str:
    """The line of a rebuild program that tells how far it is."""
    return f"echo '@homelab-deploy {json.dumps(fields)}'"


class Host:
    """A listener of one of the broker's hosts, with its files in a folder. Its rebuild program is a shell script, which
    knows the folder as `$DIR`."""

    def __init__(self, broker: Broker, name: str, script: str, folder: Path) -> None:
        self.name = name
        self._broker, self._script, self._folder = broker, script, folder
        self._lines = Seen()
        self._process: asyncio.subprocess.Process
        self._read: asyncio.Task[None]

    async def start(self) -> None:
        """Starts it and waits until it is connected."""
        self._folder.mkdir()
        gate = self._folder / "gate"
        os.mkfifo(gate)
        # Open for both, so that neither side blocks in opening it.
        self._gate = os.open(gate, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        rebuild = self._folder / "rebuild"
        rebuild.write_text(f"#!/bin/sh\nDIR={self._folder}\n{self._script}\n")
        rebuild.chmod(0o755)
        tier, role = HOSTS[self.name]
        flags = {
            "--hostname": self.name,
            "--tier": tier,
            "--role": role,
            "--nats-url": self._broker.url,
            "--nkey-file": self._broker.key(self.name),
            "--state-dir": self._folder / "state",
            "--rebuild-command": rebuild,
            "--flake-url": f"path:{self._folder}",
        }
        flags = [part for flag in flags.items() for part in flag]
        self._process = await process.start(process.BINARY, "listener", *flags, stderr=subprocess.PIPE)
        self._read = asyncio.create_task(self._read_on())
        await self._lines.until(lambda line: line.get("msg") == "connected")

    async def _read_on(self) -> None:
        assert self._process.stderr
        async for line in self._process.stderr:
            self._lines.add(json.loads(line))

    def open_gate(self) -> None:
        """Lets one program pass, now or when it comes."""
        os.write(self._gate, b"go\n")

    def kept_log(self, deployment: str) -> str:
        """The log of a job as the host keeps it."""
        return (self._folder / "state" / "jobs" / deployment / "log").read_text()

    async def stop(self) -> None:
        await process.kill(self._process)
        # Who comes later finds no gate; who waits reads its end.
        (self._folder / "gate").unlink()
        os.close(self._gate)
        await self._read
