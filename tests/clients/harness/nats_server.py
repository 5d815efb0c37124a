"""A private `nats-server` with a key for each host and operator, and the permissions that `keys nats-config` prints."""

import asyncio
import json
import subprocess
from pathlib import Path

from . import process
from .subscriber import Subscriber
from .message_log import DEADLINE

# All hosts with a key: name, tier, role.
HOSTS = {"web1": ("test", "web"), "web2": ("test", "web"), "db1": ("test", "db"), "ns1": ("prod", "dns")}
# All operators with a key; the name is also the kind.
OPERATORS = ("mcp", "admin")
# A user that may subscribe to everything, to check what was sent.
_LISTENER = '    { user: subscriber, password: subscriber, permissions: { publish: "_none", subscribe: ">" } }\n'


class NatsServer:
    """A server on a free port of the loopback interface, with its files in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self._server: asyncio.subprocess.Process

    async def start(self) -> None:
        self.directory.mkdir()
        config = self.directory / "nats.conf"
        config.write_text(await asyncio.to_thread(self._configuration))
        with (self.directory / "nats.log").open("wb") as log:
            self._server = await process.start(
                "nats-server", "-a", "127.0.0.1", "-p", "-1", "-c", config, "--ports_file_dir", self.directory,
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.port = await self._listens()

    def _configuration(self) -> str:
        """Generates all keys and returns the permissions for them."""
        fleet = ""
        for host, (tier, role) in HOSTS.items():
            key = process.run("keys", "new", "listener", "--host", host, "--tier", tier, "--out", self.key(host))
            fleet += f'[hosts.{host}]\ntier = "{tier}"\nrole = "{role}"\npublic_key = "{key.strip()}"\n'
        for kind in OPERATORS:
            key = process.run("keys", "new", kind, "--out", self.key(kind))
            fleet += f'[operators.{kind}]\nkind = "{kind}"\npublic_key = "{key.strip()}"\n'
        file = self.directory / "fleet.toml"
        file.write_text(fleet)
        start, users, rest = process.run("keys", "nats-config", file).partition("users = [\n")
        assert users, start
        return start + users + _LISTENER + rest

    async def _listens(self) -> int:
        """Waits for the ports file, which is the only source of the server's port."""
        ports = self.directory / f"nats-server_{self._server.pid}.ports"
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    return int(json.loads(ports.read_text())["nats"][0].rpartition(":")[2])
                except (FileNotFoundError, ValueError):
                    assert self._server.returncode is None, self.log()
                    await asyncio.sleep(0.005)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def key(self, name: str) -> Path:
        """The seed file of a host or operator."""
        return self.directory / f"{name}.nkey"

    def log(self) -> str:
        return (self.directory / "nats.log").read_text()

    async def listen(self, subject: str) -> Subscriber:
        """Subscribes to a subject."""
        return await Subscriber.connect(self.port, subject)

    async def stop(self) -> None:
        await process.kill(self._server)
