"""Items that arrive one by one: log lines, messages, progress."""

import asyncio
from collections.abc import Callable
from typing import Any

# Maximum time for a single event in seconds, much longer than any event normally takes.
DEADLINE = 30


class MessageLog:
    """All items in order of arrival. Waiting also finds items that arrived earlier."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self._more = asyncio.Event()

    def add(self, item: Any) -> None:
        self.all.append(item)
        self._more.set()

    async def until(self, matches: Callable[[Any], Any]) -> Any:
        """The first item that `matches` accepts."""
        checked = 0
        try:
            async with asyncio.timeout(DEADLINE):
                while True:
                    while checked < len(self.all):
                        item = self.all[checked]
                        if matches(item):
                            return item
                        checked += 1
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            seen = "\n".join(map(str, self.all))
            raise AssertionError(f"no matching item; seen:\n{seen}") from None
