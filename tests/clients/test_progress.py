"""Progress: each host through its phases, for a client that asks for it."""

import asyncio

from harness import WAIT, Case, Newest, Older, Progress, tell

PHASES = "\n".join([tell(phase="build", done=1, expected=3), WAIT, tell(phase="activate"), WAIT])


class Telling:
    def check(self, progress: Progress, hosts: int) -> None:
        """Six phases and the verdict of each host, and never back."""
        values = progress.values
        self.assertEqual(values, sorted(set(values)))
        self.assertEqual(progress.total, hosts * 7)
        self.assertGreaterEqual(values[0], 0)
        self.assertLessEqual(values[-1], progress.total)

    async def test_each_host_is_told_through_its_phases(self) -> None:
        hosts = [await self.host(name, PHASES) for name in ("web1", "web2")]
        async with self.session() as session:
            progress = Progress()
            call = asyncio.create_task(session.call("deploy", progress, role="web"))
            for phase in ("build 1/3", "activate"):
                for host in hosts:
                    await progress.says(f"{host.name}: {phase}")
                for host in hosts:
                    host.open_gate()
            self.assertFalse((await call).is_error)
            for host in hosts:
                await progress.says(f"{host.name}: completed")
            self.check(progress, hosts=2)

    async def test_a_deployment_that_fails_tells_progress_too(self) -> None:
        await self.host("web1", f"{tell(phase='build')}\nexit 1")
        async with self.session() as session:
            progress = Progress()
            self.assertTrue((await session.call("deploy", progress, hostname="web1")).is_error)
            await progress.says("web1: failed")
            self.check(progress, hosts=1)

    async def test_without_a_token_nothing_is_told(self) -> None:
        await self.host("web1", PHASES.replace(WAIT, "true"))
        async with self.session() as session:
            await session.told("deploy", hostname="web1")
            await session.told("host_status", hostname="web1")
            self.assertEqual(session.messages.all, [])
            # The same with one, so that the silence before means something.
            await session.call("deploy", Progress(), hostname="web1")
            self.assertNotEqual(session.messages.all, [])


class NewestTelling(Telling, Newest, Case):
    pass


class OlderTelling(Telling, Older, Case):
    pass
