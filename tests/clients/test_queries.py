"""The read-only tools: `list_hosts`, `host_status`, `host_logs` and `host_history`."""

from harness import Case, Newest, Older, text_of

CHATTY = "for i in $(seq 25); do echo \"line $i grün\"; done"


class Queries:
    async def test_hosts_are_listed_all_and_by_tier(self) -> None:
        await self.hosts("web1", "db1", "ns1")
        async with self.session() as session:
            result = await session.call("list_hosts")
            hosts = result.structured_content["hosts"]
            content = [(host["hostname"], host["tier"], host["role"], host["presence"]) for host in hosts]
            self.assertEqual(
                content,
                [
                    ("db1", "test", "db", "online"),
                    ("ns1", "prod", "dns", "online"),
                    ("web1", "test", "web", "online"),
                ],
            )
            self.assertIn("3 hosts\ndb1 (test, db): online", text_of(result))
            prod = await session.ok("list_hosts", tier="prod")
            self.assertEqual([host["hostname"] for host in prod["hosts"]], ["ns1"])
            none = await session.call("list_hosts", tier="lab")
            self.assertEqual(none.structured_content["hosts"], [])
            self.assertIn("no known host in tier lab", text_of(none))

    async def test_a_host_reports_its_job(self) -> None:
        await self.hosts("web1")
        async with self.session() as session:
            before = await session.ok("host_status", hostname="web1")
            self.assertEqual((before["running"], before.get("job")), (False, None))
            first = await session.ok("deploy", hostname="web1", branch="one")
            second = await session.ok("deploy", hostname="web1", branch="two")
            after = await session.ok("host_status", hostname="web1", wait_s=60)
            self.assertEqual((after["host"]["hostname"], after["running"]), ("web1", False))
            job = after["job"]
            self.assertEqual((job["deployment"], job["status"]), (second["deployment"], "completed"))
            self.assertEqual((job["branch"], job["issuer"]), ("two", "mcp"))
            older = await session.ok("host_status", hostname="web1", deployment=first["deployment"])
            self.assertEqual(older["job"]["branch"], "one")
            unknown = await session.refused("host_status", hostname="web1", deployment="never")
            self.assertIn("web1 has no job of deployment never", unknown)

    async def test_a_log_is_read_from_its_end_and_page_by_page(self) -> None:
        host = await self.host("web1", CHATTY)
        async with self.session() as session:
            self.assertIn("no log", await session.refused("host_logs", hostname="web1"))
            deployment = (await session.ok("deploy", hostname="web1"))["deployment"]
            stored = host.stored_log(deployment)
            self.assertEqual(stored.count("grün"), 25)
            tail = await session.ok("host_logs", hostname="web1", lines=3)
            self.assertEqual(tail["text"], "".join(stored.splitlines(keepends=True)[-3:]))
            self.assertEqual((tail["next_offset"], tail["more"]), (len(stored.encode()), False))
            pages, page = [], {"next_offset": 0, "more": True}
            while page["more"]:
                offset = page["next_offset"]
                page = await session.ok(
                    "host_logs", hostname="web1", deployment=deployment, lines=10, offset=offset
                )
                self.assertEqual(page["offset"], offset)
                pages.append(page["text"])
            self.assertEqual("".join(pages), stored)
            self.assertGreater(len(pages), 2)
            self.assertEqual(page["next_offset"], len(stored.encode()))

    async def test_the_history_contains_the_issuer(self) -> None:
        await self.hosts("web1")
        async with self.session() as session:
            empty = await session.call("host_history", hostname="web1")
            self.assertEqual(empty.structured_content, {"hostname": "web1", "jobs": []})
            for branch in ("one", "two", "three"):
                await session.ok("deploy", hostname="web1", branch=branch)
            jobs = (await session.ok("host_history", hostname="web1"))["jobs"]
            self.assertEqual([job["branch"] for job in jobs], ["three", "two", "one"])
            self.assertEqual([job["issuer"] for job in jobs], ["mcp"] * 3)
            self.assertEqual([job["status"] for job in jobs], ["completed"] * 3)
            last = await session.ok("host_history", hostname="web1", limit=1)
            self.assertEqual(last["jobs"], jobs[:1])


class NewestQueries(Queries, Newest, Case):
    pass


class OlderQueries(Queries, Older, Case):
    pass
