"""A private `nats-server` with a key for each host and operator, and the permissions that `keys nats-config` prints."""

import asyncio
import json
import subprocess
from pathlib import Path

from . import process
from .ears import Ears
from .seen import DEADLINE

# Every host that the broker knows: name, tier, role.
HOSTS = {"web1": ("test", "web"), "web2": ("test", "web"), "db1": ("test", "db"), "ns1": ("prod", "dns")}
# Every operator that it knows, by its name, which is its kind.
OPERATORS = ("mcp", "admin")
# Who may hear everything, for proving what was sent.
_LISTENER = '    { user: ears, password: ears, permissions: { publish: "_none", subscribe: ">" } }\n'


class Broker:
    """A server on a free port of the loopback, with its files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._server: asyncio.subprocess.Process

    async def start(self) -> None:
        self.folder.mkdir()
        config = self.folder / "nats.conf"
        config.write_text(await asyncio.to_thread(self._configuration))
        with (self.folder / "nats.log").open("wb") as log:
            self._server = await process.start(
                "nats-server", "-a", "127.0.0.1", "-p", "-1", "-c", config, "--ports_file_dir", self.folder,
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.port = await self._listens()

    def _configuration(self) -> str:
        """Makes all keys; gives the permissions for them."""
        fleet = ""
        for host, (tier, role) in HOSTS.items():
            key = process.run("keys", "new", "listener", "--host", host, "--tier", tier, "--out", self.key(host))
            fleet += f'[hosts.{host}]\ntier = "{tier}"\nrole = "{role}"\npublic_key = "{key.strip()}"\n'
        for kind in OPERATORS:
            key = process.run("keys", "new", kind, "--out", self.key(kind))
            fleet += f'[operators.{kind}]\nkind = "{kind}"\npublic_key = "{key.strip()}"\n'
        file = self.folder / "fleet.toml"
        file.write_text(fleet)
        start, users, rest = process.run("keys", "nats-config", file).partition("users = [\n")
        assert users, start
        return start + users + _LISTENER + rest

    async def _listens(self) -> int:
        """Waits until the server has written where it listens; it tells so in no other way."""
        ports = self.folder / f"nats-server_{self._server.pid}.ports"
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
        """The file with the seed of a host or operator."""
        return self.folder / f"{name}.nkey"

    def log(self) -> str:
        return (self.folder / "nats.log").read_text()

    async def listen(self, subject: str) -> Ears:
        """Hears all on a subject from now on."""
        return await Ears.connect(self.port, subject)

    async def stop(self) -> None:
        await process.kill(self._server)
