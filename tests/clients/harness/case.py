"""What each test has: a broker, hosts as it wants them, and sessions. One class of tests runs with each protocol."""

import asyncio
import tempfile
import unittest
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from .broker import Broker
from .ears import Ears
from .host import Host
from .seen import DEADLINE
from .session import Session, open_session


class Case(unittest.IsolatedAsyncioTestCase):
    """A test with a broker of its own. Its subclasses say which protocol the client asks for."""

    maxDiff = None
    mode: str
    version: str

    async def asyncSetUp(self) -> None:
        # On a busy machine a step may take longer than asyncio thinks it should, which is no fault.
        asyncio.get_running_loop().slow_callback_duration = DEADLINE
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="clients-")))
        self._sessions = 0
        self.broker = Broker(self.folder / "broker")
        await self.broker.start()
        self.addAsyncCleanup(self.broker.stop)

    async def asyncTearDown(self) -> None:
        # Nobody even tries what the generated permissions do not allow.
        self.assertNotIn("Violation", self.broker.log())

    async def host(self, name: str, script: str = "echo done") -> Host:
        """Starts the listener of a host with a rebuild program."""
        host = Host(self.broker, name, script, self.folder / name)
        await host.start()
        self.addAsyncCleanup(host.stop)
        return host

    async def hosts(self, *names: str) -> list[Host]:
        """Starts hosts that complete whatever they are told."""
        return await asyncio.gather(*(self.host(name) for name in names))

    async def ears(self, subject: str = "deploy.>") -> Ears:
        ears = await self.broker.listen(subject)
        self.addAsyncCleanup(ears.close)
        return ears

    def session(
        self, admin: bool = False, elicitation: Callable[..., Any] | None = None
    ) -> AbstractAsyncContextManager[Session]:
        """A session with a server of its own."""
        self._sessions += 1
        folder = self.folder / f"session-{self._sessions}"
        return open_session(self.broker, folder, self.mode, admin, elicitation)


class Newest:
    """The client asks which protocols the server speaks and takes the newest."""

    mode, version = "auto", "2026-07-28"


class Older:
    """The client greets the server as clients did before."""

    mode, version = "legacy", "2025-11-25"
