"""Who hears what passes through the broker, to prove what was sent and what was not. It speaks just enough of NATS."""

import asyncio
import json
from typing import Any

from .seen import Seen


class Ears:
    """A subscription with a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._seen, self._asked = Seen(), 0
        self._read = asyncio.create_task(self._read_on())

    @classmethod
    async def connect(cls, port: int, subject: str) -> "Ears":
        ears = cls(*await asyncio.open_connection("127.0.0.1", port))
        user = {"user": "ears", "pass": "ears", "verbose": False, "pedantic": False}
        ears._writer.write(f"CONNECT {json.dumps(user)}\r\nSUB {subject} 1\r\n".encode())
        await ears._round_trip()
        return ears

    async def _round_trip(self) -> None:
        """Waits until all has arrived that the server had taken before."""
        self._writer.write(b"PING\r\n")
        self._asked += 1
        await self._seen.until(lambda _: self._seen.all.count("PONG") >= self._asked)

    async def _read_on(self) -> None:
        while line := (await self._reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            match verb:
                case "PING":
                    self._writer.write(b"PONG\r\n")
                case "MSG":
                    size = int(rest.split()[-1])
                    body = (await self._reader.readexactly(size + 2))[:size]
                    self._seen.add((rest.split()[0], json.loads(body)))
                case _:
                    self._seen.add(line)

    async def requests(self) -> list[str]:
        """Where each request to do something went, of all that the server has taken until now."""
        await self._round_trip()
        heard = [thing for thing in self._seen.all if isinstance(thing, tuple)]
        return [subject for subject, body in heard if "action" in body and "reply_to" in body]

    async def close(self) -> None:
        self._read.cancel()
        self._writer.close()
        await self._writer.wait_closed()
