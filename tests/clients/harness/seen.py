"""Things that arrive one by one: log lines, messages, progress."""

import asyncio
from collections.abc import Callable
from typing import Any

# Seconds that any single event may take; far longer than it ever should.
DEADLINE = 30


class Seen:
    """All that has arrived, in order. Whoever waits for something gets it, also where it came before."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self._more = asyncio.Event()

    def add(self, thing: Any) -> None:
        self.all.append(thing)
        self._more.set()

    async def until(self, wanted: Callable[[Any], Any]) -> Any:
        """The first thing that `wanted` accepts."""
        looked_at = 0
        try:
            async with asyncio.timeout(DEADLINE):
                while True:
                    while looked_at < len(self.all):
                        thing = self.all[looked_at]
                        if wanted(thing):
                            return thing
                        looked_at += 1
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            seen = "\n".join(map(str, self.all))
            raise AssertionError(f"it did not come; seen:\n{seen}") from None
