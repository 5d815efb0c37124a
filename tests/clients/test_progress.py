"""Progress: the phases of each host, for a client that requests it."""

import asyncio

from harness import WAIT, Case, Newest, Older, Progress, progress_marker

PHASES = "\n".join([progress_marker(phase="build", done=1, expected=3), WAIT, progress_marker(phase="activate"), WAIT])


class ProgressReports:
    def check(self, progress: Progress, hosts: int) -> None:
        """Progress never decreases; each host has six phases and a result."""
        values = progress.values
        self.assertEqual(values, sorted(set(values)))
        self.assertEqual(progress.total, hosts * 7)
        self.assertGreaterEqual(values[0], 0)
        self.assertLessEqual(values[-1], progress.total)

    async def test_each_phase_of_each_host_is_reported(self) -> None:
        hosts = [await self.host(name, PHASES) for name in ("web1", "web2")]
        async with self.session() as session:
            progress = Progress()
            call = asyncio.create_task(session.call("deploy", progress, role="web"))
            for phase in ("build 1/3", "activate"):
                for host in hosts:
                    await progress.wait_for(f"{host.name}: {phase}")
                for host in hosts:
                    host.open_gate()
            self.assertFalse((await call).is_error)
            for host in hosts:
                await progress.wait_for(f"{host.name}: completed")
            self.check(progress, hosts=2)

    async def test_a_failed_deployment_reports_progress(self) -> None:
        await self.host("web1", f"{progress_marker(phase='build')}\nexit 1")
        async with self.session() as session:
            progress = Progress()
            self.assertTrue((await session.call("deploy", progress, hostname="web1")).is_error)
            await progress.wait_for("web1: failed")
            self.check(progress, hosts=1)

    async def test_without_a_token_nothing_is_reported(self) -> None:
        await self.host("web1", PHASES.replace(WAIT, "true"))
        async with self.session() as session:
            await session.ok("deploy", hostname="web1")
            await session.ok("host_status", hostname="web1")
            self.assertEqual(session.messages.all, [])
            # With a token there is progress, which shows that the check above is meaningful.
            await session.call("deploy", Progress(), hostname="web1")
            self.assertNotEqual(session.messages.all, [])


class NewestProgressReports(ProgressReports, Newest, Case):
    pass


class OlderProgressReports(ProgressReports, Older, Case):
    pass
