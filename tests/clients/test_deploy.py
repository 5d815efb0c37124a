"""The tool `deploy`: one host, a role, all of the tier test, and no other tier."""

from typing import Any

from harness import Case, Newest, Older, progress_marker, text_of

FAILS = f"{progress_marker(phase='build')}\necho 'error: a dull builder'\nexit 1"


def results_by_host(structure: dict[str, Any]) -> dict[str, str]:
    return {host["hostname"]: host["result"] for host in structure["hosts"]}


class Deploy:
    async def test_one_host_completes(self) -> None:
        await self.hosts("web1", "web2")
        subscriber = await self.subscribe()
        async with self.session() as session:
            content = await session.ok("deploy", hostname="web1", branch="next")
            self.assertEqual(results_by_host(content), {"web1": "completed"})
            self.assertEqual((content["tier"], content["action"], content["branch"]), ("test", "switch", "next"))
            self.assertTrue(content["completed"])
            self.assertEqual(content["hosts"][0]["job"]["deployment"], content["deployment"])
        self.assertEqual(await subscriber.requests(), ["deploy.test.web1"])
        [line] = session.audit()
        self.assertEqual((line["tool"], line["issuer"], line["deployment"]), ("deploy", "mcp", content["deployment"]))
        self.assertEqual(line["what"], "switch next on 1 host of tier test: web1")
        self.assertIn("1 completed", line["result"])

    async def test_a_role_selects_only_its_hosts(self) -> None:
        await self.hosts("web1", "web2", "db1")
        async with self.session() as session:
            content = await session.ok("deploy", role="web", action="dry-activate")
            self.assertEqual(results_by_host(content), {"web1": "completed", "web2": "completed"})
            self.assertEqual(content["action"], "dry-activate")

    async def test_a_failed_host_makes_the_result_an_error_with_every_host(self) -> None:
        await self.hosts("web1", "db1", "ns1")
        await self.host("web2", FAILS)
        async with self.session() as session:
            result = await session.call("deploy", all=True)
            self.assertTrue(result.is_error)
            content = result.structured_content
            self.assertEqual(results_by_host(content), {"db1": "completed", "web1": "completed", "web2": "failed"})
            self.assertFalse(content["completed"])
            [failed] = [host["job"] for host in content["hosts"] if host["hostname"] == "web2"]
            self.assertEqual((failed["error"], failed["phase"]), ("build_failed", "build"))
            self.assertIn("error: a dull builder", failed["diagnostics"])
            self.assertIn("2 completed, 1 failed", text_of(result))
            self.assertIn("web2: failed (build failed)", text_of(result))

    async def test_prod_is_refused_before_anything_is_sent(self) -> None:
        await self.hosts("ns1", "web1")
        subscriber = await self.subscribe()
        async with self.session(admin=True) as session:
            self.assertIn("ns1 is in tier prod", await session.refused("deploy", hostname="ns1"))
            self.assertIn("no known host in tier test with role dns", await session.refused("deploy", role="dns"))
            # This request uses the same connection, so it arrives after any earlier one.
            await session.ok("deploy", all=True)
            self.assertEqual((await session.ok("host_history", hostname="ns1"))["jobs"], [])
        self.assertEqual(await subscriber.requests(), ["deploy.test.web1"])
        results = [line["result"] for line in session.audit()]
        self.assertEqual(len(results), 3)
        self.assertIn("nothing was sent", results[0])


class NewestDeploy(Deploy, Newest, Case):
    pass


class OlderDeploy(Deploy, Older, Case):
    pass
