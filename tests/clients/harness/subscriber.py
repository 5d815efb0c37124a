"""A minimal NATS subscriber, to check which requests were sent and which were not."""

import asyncio
import json
from typing import Any

from .message_log import MessageLog


class Subscriber:
    """A subscription with a separate connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._messages, self._pings = MessageLog(), 0
        self._read = asyncio.create_task(self._read_on())

    @classmethod
    async def connect(cls, port: int, subject: str) -> "Subscriber":
        subscriber = cls(*await asyncio.open_connection("127.0.0.1", port))
        user = {"user": "subscriber", "pass": "subscriber", "verbose": False, "pedantic": False}
        subscriber._writer.write(f"CONNECT {json.dumps(user)}\r\nSUB {subject} 1\r\n".encode())
        await subscriber._round_trip()
        return subscriber

    async def _round_trip(self) -> None:
        """Waits until everything that the server received before has arrived."""
        self._writer.write(b"PING\r\n")
        self._pings += 1
        await self._messages.until(lambda _: self._messages.all.count("PONG") >= self._pings)

    async def _read_on(self) -> None:
        while line := (await self._reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            match verb:
                case "PING":
                    self._writer.write(b"PONG\r\n")
                case "MSG":
                    size = int(rest.split()[-1])
                    body = (await self._reader.readexactly(size + 2))[:size]
                    self._messages.add((rest.split()[0], json.loads(body)))
                case _:
                    self._messages.add(line)

    async def requests(self) -> list[str]:
        """The subject of each deploy request that the server has received so far."""
        await self._round_trip()
        received = [item for item in self._messages.all if isinstance(item, tuple)]
        return [subject for subject, body in received if "action" in body and "reply_to" in body]

    async def close(self) -> None:
        self._read.cancel()
        self._writer.close()
        await self._writer.wait_closed()
