"""Two calls at once do not wait for each other."""

import asyncio

from harness import WAIT, Case, Newest, Older, Progress, tell

HELD = f"{tell(phase='build')}\n{WAIT}"


class Together:
    async def test_two_deployments_are_under_way_at_the_same_time(self) -> None:
        hosts = [await self.host(name, HELD) for name in ("web1", "db1")]
        async with self.session() as session:
            told = [Progress() for _ in hosts]
            calls = [
                asyncio.create_task(session.call("deploy", progress, hostname=host.name))
                for host, progress in zip(hosts, told, strict=True)
            ]
            for host, progress in zip(hosts, told, strict=True):
                await progress.says(f"{host.name}: build")
            # Both wait at their gates; a question is answered all the same, and each host rejects another job.
            listed = (await session.told("list_hosts"))["hosts"]
            self.assertEqual([host["job"]["status"] for host in listed], ["running", "running"])
            busy = await session.call("deploy", all=True)
            verdicts = [host["verdict"] for host in busy.structured_content["hosts"]]
            self.assertEqual((busy.is_error, verdicts), (True, ["rejected", "rejected"]))
            self.assertFalse(any(call.done() for call in calls))
            # The later one ends first.
            for host, call in reversed(list(zip(hosts, calls, strict=True))):
                host.open_gate()
                self.assertTrue((await call).structured_content["completed"])
            # Each was told of its own host alone.
            for host, progress in zip(hosts, told, strict=True):
                # The first tells which deployment is followed.
                self.assertEqual({text.partition(":")[0] for text in progress.texts[1:]}, {host.name})


class NewestTogether(Together, Newest, Case):
    pass


class OlderTogether(Together, Older, Case):
    pass
