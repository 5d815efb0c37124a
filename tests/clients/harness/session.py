"""A session of the official client, which starts the MCP server."""

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
from .nats_server import NatsServer
from .message_log import DEADLINE, MessageLog


def text_of(result: CallToolResult) -> str:
    """The text of a result."""
    return "\n".join(block.text for block in result.content)


class Progress(MessageLog):
    """The progress notifications of one call, as pairs of value and text."""

    total: float | None = None

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.total = total
        self.add((progress, message or ""))

    async def wait_for(self, text: str) -> None:
        await self.until(lambda content: text in content[1])

    @property
    def values(self) -> list[float]:
        return [value for value, _ in self.all]

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.all]


class Session:
    """The client, its unsolicited messages, and the server's log, which is complete once the server has ended."""

    def __init__(self, client: Client, messages: MessageLog, errors: Path) -> None:
        self.client = client
        self.messages = messages
        self._errors = errors
        self._schemas: dict[str, Draft202012Validator] = {}

    async def call(self, tool: str, progress: Progress | None = None, **arguments: Any) -> CallToolResult:
        """Calls a tool. The structure of the result must match its schema, even if it is an error."""
        async with asyncio.timeout(DEADLINE):
            result = await self.client.call_tool(tool, arguments, progress_callback=progress)
        await self.check(tool, result)
        return result

    async def ok(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structure of a call's result, which must not be an error."""
        result = await self.call(tool, **arguments)
        assert not result.is_error, text_of(result)
        return result.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        """The reason of a refused call, whose result must not have a structure."""
        result = await self.call(tool, **arguments)
        assert result.is_error and result.structured_content is None, text_of(result)
        return text_of(result)

    async def check(self, tool: str, result: CallToolResult) -> None:
        """Validates the structure of a result. The client validates only successful results."""
        if not self._schemas:
            for listed in (await self.client.list_tools()).tools:
                Draft202012Validator.check_schema(listed.output_schema)
                self._schemas[listed.name] = Draft202012Validator(listed.output_schema)
        if result.structured_content is None:
            assert result.is_error, text_of(result)
        else:
            self._schemas[tool].validate(result.structured_content)

    def audit(self) -> list[dict[str, Any]]:
        """The log lines about calls that change something. They are complete once the session has ended."""
        lines = [json.loads(line) for line in self._errors.read_text().splitlines()]
        return [line for line in lines if line["msg"] == "tool called"]


@asynccontextmanager
async def open_session(
    nats: NatsServer, directory: Path, mode: str, admin: bool, elicitation: Callable[..., Any] | None
) -> AsyncIterator[Session]:
    """Starts the server with the key `mcp`, and optionally the admin's key. It ends with the session."""
    directory.mkdir()
    arguments = ["mcp", "--nats-url", nats.url, "--nkey-file", str(nats.key("mcp"))]
    if admin:
        arguments += ["--enable-admin", "--admin-nkey-file", str(nats.key("admin"))]
    directories = {"HOME": str(directory), "XDG_STATE_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
    server = StdioServerParameters(command=str(process.BINARY), args=arguments, env=directories)
    errors, messages, failure = directory / "stderr", MessageLog(), None

    async def record(message: Any) -> None:
        messages.add(message)

    with errors.open("w") as log:
        transport = stdio_client(server, errlog=log)
        async with Client(
            transport,
            mode=mode,
            read_timeout_seconds=DEADLINE,
            elicitation_callback=elicitation,
            message_handler=record,
        ) as client:
            try:
                yield Session(client, messages, errors)
            except Exception as error:
                # Raised inside the client, it would be wrapped in exception groups, which hide it.
                failure = error
    if failure:
        raise failure
    broken = [message for message in messages.all if isinstance(message, Exception)]
    assert not broken, broken
