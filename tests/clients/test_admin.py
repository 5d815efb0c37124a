"""The tool `deploy_admin`: nothing is sent until the person has agreed to the exact hosts."""

import asyncio
from typing import Any

from mcp_types import ElicitResult

from harness import DEADLINE, Case, Newest, Older, text_of

NS1 = {"tier": "prod", "hostname": "ns1", "branch": "next"}


class Person:
    """Answers the questions of the client and records them."""

    def __init__(self, *answers: ElicitResult) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, _context: Any, params: Any) -> ElicitResult:
        self.asked.append(params.message)
        schema = params.requested_schema
        assert schema["required"] == ["confirm"] and schema["properties"]["confirm"]["type"] == "boolean", schema
        return self._answers.pop(0)


YES = ElicitResult(action="accept", content={"confirm": True})
NOT_TICKED = ElicitResult(action="accept", content={"confirm": False})
NO = ElicitResult(action="decline")
AWAY = ElicitResult(action="cancel")


def code_of(refusal: str) -> str:
    """The code in a refusal."""
    return refusal.split('confirm: "')[1].split('"')[0]


class Admin:
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.hosts("ns1", "web1")
        self.what = "switch next on 1 host of tier prod: ns1"
        self.question = f"{self.what}; flake path:{self.directory / 'ns1'}, commit unknown?"
        self.subscriber = await self.subscribe()

    async def test_an_approved_deployment_runs(self) -> None:
        person = Person(YES)
        async with self.session(admin=True, elicitation=person) as session:
            content = await session.ok("deploy_admin", **NS1)
            self.assertEqual((content["completed"], content["tier"]), (True, "prod"))
            [job] = (await session.ok("host_history", hostname="ns1"))["jobs"]
            self.assertEqual((job["issuer"], job["deployment"]), ("mcp", content["deployment"]))
        self.assertEqual(person.asked, [self.question])
        self.assertEqual(await self.subscriber.requests(), ["deploy.prod.ns1"])
        line = session.audit()[-1]
        self.assertEqual((line["tool"], line["deployment"]), ("deploy_admin", content["deployment"]))
        self.assertEqual(line["what"], self.what)

    async def test_a_declined_deployment_sends_nothing(self) -> None:
        person = Person(NO, AWAY, NOT_TICKED, YES)
        async with self.session(admin=True, elicitation=person) as session:
            for _ in range(3):
                # The argument is ignored if the client can ask the person.
                refusal = await session.refused("deploy_admin", **NS1, confirm="some code")
                self.assertIn("the person did not agree; nothing was sent", refusal)
                self.assertEqual((await session.ok("host_history", hostname="ns1"))["jobs"], [])
            # This request uses the same connection, so it arrives after any earlier one.
            await session.ok("deploy_admin", **NS1)
        self.assertEqual(person.asked, [self.question] * 4)
        self.assertEqual(await self.subscriber.requests(), ["deploy.prod.ns1"])

    async def test_a_call_cancelled_during_confirmation_sends_nothing(self) -> None:
        thinking = asyncio.Event()

        async def person(*_: Any) -> ElicitResult:
            thinking.set()
            return await asyncio.Future()

        async with self.session(admin=True, elicitation=person) as session:
            call = asyncio.create_task(session.call("deploy_admin", **NS1))
            async with asyncio.timeout(DEADLINE):
                await thinking.wait()
            call.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await call
            # The reply uses the same connection, so it arrives after any earlier request.
            await session.refused("deploy_admin", tier="prod", hostname="web1")
        self.assertEqual(await self.subscriber.requests(), [])
        self.assertIn("nothing was sent", session.audit()[0]["result"])

    async def test_a_client_that_cannot_ask_must_confirm(self) -> None:
        async with self.session(admin=True) as session:
            for unconfirmed in ({}, {"confirm": "yes"}):
                refusal = await session.refused("deploy_admin", **NS1, **unconfirmed)
                self.assertIn(f"not confirmed, nothing was sent. Ask the person: {self.question}", refusal)
            other = await session.refused("deploy_admin", **NS1 | {"branch": "main"}, confirm=code_of(refusal))
            self.assertIn("the code belongs to another question", other)
            self.assertEqual((await session.ok("host_history", hostname="ns1"))["jobs"], [])
            await session.ok("deploy_admin", **NS1, confirm=code_of(refusal))
        self.assertEqual(await self.subscriber.requests(), ["deploy.prod.ns1"])
        results = [line["result"] for line in session.audit()]
        self.assertEqual([("nothing was sent" in result) for result in results], [True, True, True, False])

    async def test_no_other_tier_than_the_named_one_is_reached(self) -> None:
        async with self.session(admin=True, elicitation=Person()) as session:
            refusal = await session.refused("deploy_admin", tier="prod", hostname="web1")
            self.assertIn("web1 is in tier test", refusal)
            self.assertIn("missing field `tier`", await session.refused("deploy_admin", all=True))
        self.assertEqual(await self.subscriber.requests(), [])

    async def test_all_of_a_tier_are_named_in_the_question(self) -> None:
        await self.host("db1")
        person = Person(YES)
        async with self.session(admin=True, elicitation=person) as session:
            result = await session.call("deploy_admin", tier="test", all=True, action="build")
            self.assertIn("2 completed", text_of(result))
        [asked] = person.asked
        self.assertTrue(asked.startswith("build master on 2 hosts of tier test: db1, web1; flake path:"), asked)


class NewestAdmin(Admin, Newest, Case):
    pass


class OlderAdmin(Admin, Older, Case):
    pass
