"""Base classes of the tests: a NATS server, hosts and sessions. Each test runs with each protocol version."""

import asyncio
import tempfile
import unittest
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from .nats_server import NatsServer
from .subscriber import Subscriber
from .host import Host
from .message_log import DEADLINE
from .session import Session, open_session


class Case(unittest.IsolatedAsyncioTestCase):
    """A test with a separate NATS server. Its subclasses set the protocol version of the client."""

    maxDiff = None
    mode: str
    version: str

    async def asyncSetUp(self) -> None:
        # On a busy machine, a step may take longer than asyncio's default threshold without being a bug.
        asyncio.get_running_loop().slow_callback_duration = DEADLINE
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="clients-")))
        self._sessions = 0
        self.nats = NatsServer(self.directory / "nats")
        await self.nats.start()
        self.addAsyncCleanup(self.nats.stop)

    async def asyncTearDown(self) -> None:
        # No client attempts anything that the generated permissions do not allow.
        self.assertNotIn("Violation", self.nats.log())

    async def host(self, name: str, script: str = "echo done") -> Host:
        """Starts the listener of a host with a rebuild program."""
        host = Host(self.nats, name, script, self.directory / name)
        await host.start()
        self.addAsyncCleanup(host.stop)
        return host

    async def hosts(self, *names: str) -> list[Host]:
        """Starts hosts that complete every job."""
        return await asyncio.gather(*(self.host(name) for name in names))

    async def subscribe(self, subject: str = "deploy.>") -> Subscriber:
        subscriber = await self.nats.listen(subject)
        self.addAsyncCleanup(subscriber.close)
        return subscriber

    def session(
        self, admin: bool = False, elicitation: Callable[..., Any] | None = None
    ) -> AbstractAsyncContextManager[Session]:
        """A session with a separate MCP server."""
        self._sessions += 1
        directory = self.directory / f"session-{self._sessions}"
        return open_session(self.nats, directory, self.mode, admin, elicitation)


class Newest:
    """The client queries the server's protocol versions and uses the newest."""

    mode, version = "auto", "2026-07-28"


class Older:
    """The client uses the handshake of earlier protocol versions."""

    mode, version = "legacy", "2025-11-25"
