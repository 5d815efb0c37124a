"""In the newest protocol version, the question is returned as a result, and the client calls again with the answer. The
request state is valid only for exactly that question."""

import asyncio
from typing import Any

from mcp_types import CallToolResult, ElicitResult, InputRequiredResult

from harness import DEADLINE, Case, Newest, Session

YES = {"confirm": ElicitResult(action="accept", content={"confirm": True})}


async def never(*_: Any) -> ElicitResult:
    raise AssertionError("the client must not ask: the test answers")


class RequestState(Newest, Case):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.hosts("ns1", "web1")
        self.subscriber = await self.subscribe()

    async def call(self, session: Session, state: str | None, **arguments: str) -> Any:
        return await session.client.session.call_tool(
            "deploy_admin",
            {"tier": "prod", "hostname": "ns1"} | arguments,
            input_responses=YES,
            request_state=state,
            allow_input_required=True,
        )

    async def test_an_answer_counts_only_for_what_was_asked(self) -> None:
        async with self.session(admin=True, elicitation=never) as session:
            asked = await self.call(session, None)
            self.assertIsInstance(asked, InputRequiredResult)
            state = asked.request_state
            for forged in ("", "yes", "switch master on 1 host of tier prod: ns2?", f"{state} "):
                again = await self.call(session, forged)
                self.assertIsInstance(again, InputRequiredResult, forged)
            for other in ({"branch": "next"}, {"action": "boot"}, {"tier": "test", "hostname": "web1"}):
                again = await self.call(session, state, **other)
                self.assertIsInstance(again, InputRequiredResult, other)
                [question] = again.input_requests.values()
                self.assertNotEqual(question.params.message, asked.input_requests["confirm"].params.message)
            for host in ("ns1", "web1"):
                self.assertEqual((await session.ok("host_history", hostname=host))["jobs"], [])
            done = await self.call(session, state)
            self.assertIsInstance(done, CallToolResult)
            self.assertTrue(done.structured_content["completed"])
        self.assertEqual(await self.subscriber.requests(), ["deploy.prod.ns1"])
        *asked, last = [line["result"] for line in session.audit()]
        self.assertEqual(set(asked), {"the client must ask for confirmation; nothing was sent"})
        self.assertIn("1 completed", last)

    async def test_new_hosts_require_a_new_confirmation(self) -> None:
        everyone = {"tier": "test", "all": True}
        async with self.session(admin=True, elicitation=never) as session:
            call = session.client.session.call_tool
            asked = await call("deploy_admin", everyone, allow_input_required=True)
            await self.host("web2")
            # Discovery does not wait for unknown hosts once the known ones have replied.
            async with asyncio.timeout(DEADLINE):
                while len((await session.ok("list_hosts", tier="test"))["hosts"]) < 2:
                    pass
            again = await call(
                "deploy_admin",
                everyone,
                input_responses=YES,
                request_state=asked.request_state,
                allow_input_required=True,
            )
            self.assertIsInstance(again, InputRequiredResult)
            self.assertIn("2 hosts of tier test: web1, web2; flake ", again.input_requests["confirm"].params.message)
        self.assertEqual(await self.subscriber.requests(), [])
