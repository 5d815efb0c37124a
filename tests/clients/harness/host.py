"""A real listener, with a rebuild program that the test controls."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

from . import process
from .nats_server import HOSTS, NatsServer
from .message_log import MessageLog

# Line of a rebuild program that waits at the gate.
WAIT = "read go < $DIR/gate || exit 1"


def progress_marker(**fields: object) -> str:
    """Line of a rebuild program that reports its progress."""
    return f"echo '@homelab-deploy {json.dumps(fields)}'"


class Host:
    """A listener for one of the known hosts, with its files in a directory. Its rebuild program is a shell script, in
    which `$DIR` is that directory."""

    def __init__(self, nats: NatsServer, name: str, script: str, directory: Path) -> None:
        self.name = name
        self._nats, self._script, self._directory = nats, script, directory
        self._lines = MessageLog()
        self._process: asyncio.subprocess.Process
        self._read: asyncio.Task[None]

    async def start(self) -> None:
        """Starts the listener and waits until it is connected."""
        self._directory.mkdir()
        gate = self._directory / "gate"
        os.mkfifo(gate)
        # Opened for reading and writing, so that neither side blocks in `open`.
        self._gate = os.open(gate, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        rebuild = self._directory / "rebuild"
        rebuild.write_text(f"#!/bin/sh\nDIR={self._directory}\n{self._script}\n")
        rebuild.chmod(0o755)
        tier, role = HOSTS[self.name]
        flags = {
            "--hostname": self.name,
            "--tier": tier,
            "--role": role,
            "--nats-url": self._nats.url,
            "--nkey-file": self._nats.key(self.name),
            "--state-dir": self._directory / "state",
            "--rebuild-command": rebuild,
            "--flake-url": f"path:{self._directory}",
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
        """Lets one program pass, now or when it arrives."""
        os.write(self._gate, b"go\n")

    def stored_log(self, deployment: str) -> str:
        """The log of a job as stored on the host."""
        return (self._directory / "state" / "jobs" / deployment / "log").read_text()

    async def stop(self) -> None:
        await process.kill(self._process)
        # A later program finds no gate; a waiting one reads the end of the file.
        (self._directory / "gate").unlink()
        os.close(self._gate)
        await self._read
