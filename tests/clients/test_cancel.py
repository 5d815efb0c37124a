"""A cancelled call stops following; the host continues, and `host_status` follows the deployment again."""

import asyncio

from mcp.shared.exceptions import MCPError

from harness import WAIT, Case, Host, Newest, Older, Progress, Session, progress_marker

GATED = f"{progress_marker(phase='build')}\n{WAIT}\n{progress_marker(phase='activate')}\n{WAIT}\necho over"


class Cancelling:
    async def test_a_host_continues_after_its_call_is_cancelled(self) -> None:
        host = await self.host("web1", GATED)
        async with self.session() as session:
            progress = Progress()
            call = asyncio.create_task(session.call("deploy", progress, hostname="web1"))
            await progress.wait_for("web1: build")
            call.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await call
            count = len(session.messages.all)
            deployment = await self.attach(session, host)
            # The cancelled call receives no further progress.
            tokens = [message.params.progress_token for message in session.messages.all]
            self.assertNotIn(tokens[0], tokens[count:])
        self.check(session, deployment)

    async def test_a_host_continues_after_the_client_disconnects(self) -> None:
        host = await self.host("web1", GATED)
        async with self.session() as session:
            progress = Progress()
            call = asyncio.create_task(session.call("deploy", progress, hostname="web1"))
            await progress.wait_for("web1: build")
        with self.assertRaisesRegex(MCPError, "Connection closed"):
            await call
        [line] = session.audit()
        self.assertEqual(line["result"], "not followed to the end; the hosts continue")
        async with self.session() as session:
            self.assertEqual(await self.attach(session, host), line["deployment"])

    async def attach(self, session: Session, host: Host) -> str:
        """Follows the host, which is still running its job, to the result."""
        now = await session.ok("host_status", hostname="web1")
        self.assertEqual((now["running"], now["job"]["phase"]), (True, "build"))
        self.assertEqual((await session.ok("host_history", hostname="web1"))["jobs"], [])
        deployment, progress = now["job"]["deployment"], Progress()
        arguments = {"hostname": "web1", "deployment": deployment, "wait_s": 60}
        waiting = asyncio.create_task(session.call("host_status", progress, **arguments))
        host.open_gate()
        await progress.wait_for("web1: activate")
        self.assertFalse(waiting.done())
        host.open_gate()
        content = (await waiting).structured_content
        self.assertEqual((content["running"], content["job"]["status"]), (False, "completed"))
        self.assertEqual(content["job"]["deployment"], deployment)
        self.assertIn("over\n", (await session.ok("host_logs", hostname="web1"))["text"])
        # The server still works.
        host.open_gate()
        host.open_gate()
        await session.ok("deploy", hostname="web1")
        return deployment

    def check(self, session: Session, deployment: str) -> None:
        cancelled, afterwards = session.audit()
        self.assertEqual(cancelled["deployment"], deployment)
        self.assertIn("no longer followed; the hosts continue", cancelled["result"])
        self.assertIn("1 completed", afterwards["result"])


class NewestCancelling(Cancelling, Newest, Case):
    pass


class OlderCancelling(Cancelling, Older, Case):
    pass
