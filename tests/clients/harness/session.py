"""A session of the official client with the server that it starts."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult

from . import process
from .broker import Broker
from .seen import DEADLINE, Seen


def text_of(result: CallToolResult) -> str:
    """What a person or model reads."""
    return "\n".join(block.text for block in result.content)


class Progress(Seen):
    """The progress of one call, as pairs of value and text."""

    total: float | None = None

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.total = total
        self.add((progress, message or ""))

    async def says(self, text: str) -> None:
        await self.until(lambda told: text in told[1])

    @property
    def values(self) -> list[float]:
        return [value for value, _ in self.all]

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.all]


class Session:
    """The client, the messages that came by themselves, and what the server logged once it has ended."""

    def __init__(self, client: Client, messages: Seen, errors: Path) -> None:
        self.client = client
        self.messages = messages
        self._errors = errors
        self._schemas: dict[str, Draft202012Validator] = {}

    async def call(self, tool: str, progress: Progress | None = None, **arguments: Any) -> CallToolResult:
        """Calls a tool. What it tells in a structure must be as its schema says, also where it is an error."""
        async with asyncio.timeout(DEADLINE):
            result = await self.client.call_tool(tool, arguments, progress_callback=progress)
        await self.check(tool, result)
        return result

    async def told(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structure that a call brings, which must be no error."""
        result = await self.call(tool, **arguments)
        assert not result.is_error, text_of(result)
        return result.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        """Why a call was refused; it must bring nothing else."""
        result = await self.call(tool, **arguments)
        assert result.is_error and result.structured_content is None, text_of(result)
        return text_of(result)

    async def check(self, tool: str, result: CallToolResult) -> None:
        """The client looks at the structure of what is no error, and we at all."""
        if not self._schemas:
            for listed in (await self.client.list_tools()).tools:
                Draft202012Validator.check_schema(listed.output_schema)
                self._schemas[listed.name] = Draft202012Validator(listed.output_schema)
        if result.structured_content is None:
            assert result.is_error, text_of(result)
        else:
            self._schemas[tool].validate(result.structured_content)

    def audit(self) -> list[dict[str, Any]]:
        """The lines of the log that tell of calls to deploy. All are there once the session has ended."""
        lines = [json.loads(line) for line in self._errors.read_text().splitlines()]
        return [line for line in lines if line["msg"] == "called to deploy"]


@asynccontextmanager
async def open_session(
    broker: Broker, folder: Path, mode: str, admin: bool, elicitation: Callable[..., Any] | None
) -> AsyncIterator[Session]:
    """Starts the server with the key of `mcp`, and with `admin` that key too. It ends with the session."""
    folder.mkdir()
    arguments = ["mcp", "--nats-url", broker.url, "--nkey-file", str(broker.key("mcp"))]
    if admin:
        arguments += ["--enable-admin", "--admin-nkey-file", str(broker.key("admin"))]
    places = {"HOME": str(folder), "XDG_STATE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    server = StdioServerParameters(command=str(process.BINARY), args=arguments, env=places)
    errors, messages, failure = folder / "stderr", Seen(), None

    async def keep(message: Any) -> None:
        messages.add(message)

    with errors.open("w") as log:
        transport = stdio_client(server, errlog=log)
        async with Client(
            transport,
            mode=mode,
            read_timeout_seconds=DEADLINE,
            elicitation_callback=elicitation,
            message_handler=keep,
        ) as client:
            try:
                yield Session(client, messages, errors)
            except Exception as error:
                # On its way through the client it would be wrapped in groups, in which nobody finds it.
                failure = error
    if failure:
        raise failure
    broken = [message for message in messages.all if isinstance(message, Exception)]
    assert not broken, broken
