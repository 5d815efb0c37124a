"""A call that is cancelled ends the following; the host goes on, and `host_status` takes the deployment up again."""

import asyncio

from mcp.shared.exceptions import MCPError

from harness import WAIT, Case, Host, Newest, Older, Progress, Session, tell

HELD = f"{tell(phase='build')}\n{WAIT}\n{tell(phase='activate')}\n{WAIT}\necho over"


class Cancelling:
    async def test_a_host_goes_on_where_the_call_was_cancelled(self) -> None:
        host = await self.host("web1", HELD)
        async with self.session() as session:
            progress = Progress()
            call = asyncio.create_task(session.call("deploy", progress, hostname="web1"))
            await progress.says("web1: build")
            call.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await call
            told = len(session.messages.all)
            deployment = await self.takes_up(session, host)
            # Nobody waits for news of that call any more.
            tokens = [message.params.progress_token for message in session.messages.all]
            self.assertNotIn(tokens[0], tokens[told:])
        self.check(session, deployment)

    async def test_and_where_the_client_goes_away(self) -> None:
        host = await self.host("web1", HELD)
        async with self.session() as session:
            progress = Progress()
            call = asyncio.create_task(session.call("deploy", progress, hostname="web1"))
            await progress.says("web1: build")
        with self.assertRaisesRegex(MCPError, "Connection closed"):
            await call
        [line] = session.audit()
        self.assertEqual(line["result"], "not followed to the end; the hosts go on")
        async with self.session() as session:
            self.assertEqual(await self.takes_up(session, host), line["deployment"])

    async def takes_up(self, session: Session, host: Host) -> str:
        """The host still works; follows it to its verdict."""
        now = await session.told("host_status", hostname="web1")
        self.assertEqual((now["running"], now["job"]["phase"]), (True, "build"))
        self.assertEqual((await session.told("host_history", hostname="web1"))["jobs"], [])
        deployment, progress = now["job"]["deployment"], Progress()
        arguments = {"hostname": "web1", "deployment": deployment, "wait_s": 60}
        waiting = asyncio.create_task(session.call("host_status", progress, **arguments))
        host.open_gate()
        await progress.says("web1: activate")
        self.assertFalse(waiting.done())
        host.open_gate()
        told = (await waiting).structured_content
        self.assertEqual((told["running"], told["job"]["status"]), (False, "completed"))
        self.assertEqual(told["job"]["deployment"], deployment)
        self.assertIn("over\n", (await session.told("host_logs", hostname="web1"))["text"])
        # The server is as good as before.
        host.open_gate()
        host.open_gate()
        await session.told("deploy", hostname="web1")
        return deployment

    def check(self, session: Session, deployment: str) -> None:
        cancelled, afterwards = session.audit()
        self.assertEqual(cancelled["deployment"], deployment)
        self.assertIn("no longer followed; what runs on the hosts goes on", cancelled["result"])
        self.assertIn("1 completed", afterwards["result"])


class NewestCancelling(Cancelling, Newest, Case):
    pass


class OlderCancelling(Cancelling, Older, Case):
    pass
