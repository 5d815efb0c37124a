"""The tool `deploy`: to one host, to a role, to all of the tier test, and to nothing else."""

from typing import Any

from harness import Case, Newest, Older, tell, text_of

FAILS = f"{tell(phase='build')}\necho 'error: a dull builder'\nexit 1"


def verdicts(structure: dict[str, Any]) -> dict[str, str]:
    return {host["hostname"]: host["verdict"] for host in structure["hosts"]}


class Deploy:
    async def test_one_host_completes(self) -> None:
        await self.hosts("web1", "web2")
        ears = await self.ears()
        async with self.session() as session:
            told = await session.told("deploy", hostname="web1", branch="next")
            self.assertEqual(verdicts(told), {"web1": "completed"})
            self.assertEqual((told["tier"], told["action"], told["branch"]), ("test", "switch", "next"))
            self.assertTrue(told["completed"])
            self.assertEqual(told["hosts"][0]["job"]["deployment"], told["deployment"])
        self.assertEqual(await ears.requests(), ["deploy.test.web1"])
        [line] = session.audit()
        self.assertEqual((line["tool"], line["issuer"], line["deployment"]), ("deploy", "mcp", told["deployment"]))
        self.assertEqual(line["what"], "switch next on 1 host of tier test: web1")
        self.assertIn("1 completed", line["result"])

    async def test_a_role_is_its_hosts_alone(self) -> None:
        await self.hosts("web1", "web2", "db1")
        async with self.session() as session:
            told = await session.told("deploy", role="web", action="dry-activate")
            self.assertEqual(verdicts(told), {"web1": "completed", "web2": "completed"})
            self.assertEqual(told["action"], "dry-activate")

    async def test_a_host_that_fails_makes_the_result_an_error_which_tells_of_all(self) -> None:
        await self.hosts("web1", "db1", "ns1")
        await self.host("web2", FAILS)
        async with self.session() as session:
            result = await session.call("deploy", all=True)
            self.assertTrue(result.is_error)
            told = result.structured_content
            self.assertEqual(verdicts(told), {"db1": "completed", "web1": "completed", "web2": "failed"})
            self.assertFalse(told["completed"])
            [failed] = [host["job"] for host in told["hosts"] if host["hostname"] == "web2"]
            self.assertEqual((failed["error"], failed["phase"]), ("build_failed", "build"))
            self.assertIn("error: a dull builder", failed["diagnostics"])
            self.assertIn("2 completed, 1 failed", text_of(result))
            self.assertIn("web2: failed (build_failed)", text_of(result))

    async def test_prod_is_refused_before_anything_is_sent(self) -> None:
        await self.hosts("ns1", "web1")
        ears = await self.ears()
        async with self.session(admin=True) as session:
            self.assertIn("ns1 is of tier prod", await session.refused("deploy", hostname="ns1"))
            self.assertIn("no host of tier test with role dns", await session.refused("deploy", role="dns"))
            # What is sent now goes over the same connection, behind what was sent before.
            await session.told("deploy", all=True)
            self.assertEqual((await session.told("host_history", hostname="ns1"))["jobs"], [])
        self.assertEqual(await ears.requests(), ["deploy.test.web1"])
        results = [line["result"] for line in session.audit()]
        self.assertEqual(len(results), 3)
        self.assertIn("nothing was sent", results[0])


class NewestDeploy(Deploy, Newest, Case):
    pass


class OlderDeploy(Deploy, Older, Case):
    pass
