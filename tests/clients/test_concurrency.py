"""Concurrent calls do not block each other."""

import asyncio

from harness import WAIT, Case, Newest, Older, Progress, progress_marker

GATED = f"{progress_marker(phase='build')}\n{WAIT}"


class Concurrency:
    async def test_two_deployments_run_concurrently(self) -> None:
        hosts = [await self.host(name, GATED) for name in ("web1", "db1")]
        async with self.session() as session:
            progresses = [Progress() for _ in hosts]
            calls = [
                asyncio.create_task(session.call("deploy", progress, hostname=host.name))
                for host, progress in zip(hosts, progresses, strict=True)
            ]
            for host, progress in zip(hosts, progresses, strict=True):
                await progress.wait_for(f"{host.name}: build")
            # Both hosts wait at their gates. Queries are still answered, and each host rejects another job.
            listed = (await session.ok("list_hosts"))["hosts"]
            self.assertEqual([host["job"]["status"] for host in listed], ["running", "running"])
            busy = await session.call("deploy", all=True)
            results = [host["result"] for host in busy.structured_content["hosts"]]
            self.assertEqual((busy.is_error, results), (True, ["rejected", "rejected"]))
            self.assertFalse(any(call.done() for call in calls))
            # The later call ends first.
            for host, call in reversed(list(zip(hosts, calls, strict=True))):
                host.open_gate()
                self.assertTrue((await call).structured_content["completed"])
            # Each call received the progress of its own host only.
            for host, progress in zip(hosts, progresses, strict=True):
                # The first message names the deployment.
                self.assertEqual({text.partition(":")[0] for text in progress.texts[1:]}, {host.name})


class NewestConcurrency(Concurrency, Newest, Case):
    pass


class OlderConcurrency(Concurrency, Older, Case):
    pass
