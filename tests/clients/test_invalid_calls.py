"""Invalid calls: the error names the problem, and nothing is sent."""

from mcp.shared.exceptions import MCPError

from harness import Case, Newest, Older


class InvalidCalls:
    async def test_an_unknown_tool_is_a_protocol_error(self) -> None:
        async with self.session() as session:
            with self.assertRaises(MCPError) as unknown:
                await session.client.call_tool("list_host", {})
            self.assertEqual(unknown.exception.code, -32602)
            self.assertIn('unknown tool "list_host"; did you mean list_hosts?', str(unknown.exception))
            with self.assertRaisesRegex(MCPError, "unknown tool"):
                await session.client.call_tool("deploy_admin", {"tier": "prod", "all": True, "confirm": True})

    async def test_wrong_arguments_are_named_and_nothing_is_sent(self) -> None:
        await self.hosts("web1", "web2", "db1")
        subscriber = await self.subscribe()
        exactly_one = "expected exactly one of hostname, all and role, got "
        wrong = [
            ({"hostnme": "web1"}, "unknown field `hostnme`"),
            ({"hostname": 5}, "hostname: "),
            ({"all": "yes"}, "all: "),
            ({"hostname": "web1", "action": "reboot"}, "unknown variant `reboot`"),
            ({"hostname": "web1", "branch": "--upload-pack=x"}, "branch: "),
            ({"hostname": "web 1"}, "hostname: "),
            ({"hostname": "web1", "all": True}, exactly_one + "hostname and all"),
            ({"hostname": "web1", "role": "web"}, exactly_one + "hostname and role"),
            ({}, exactly_one + "none"),
            ({"all": False}, exactly_one + "none"),
            ({"hostname": "web3"}, "unknown host web3 (did you mean web1, web2?)"),
            ({"role": "wed"}, "no known host in tier test with role wed"),
        ]
        async with self.session() as session:
            for arguments, reason in wrong:
                with self.subTest(arguments):
                    self.assertIn(reason, await session.refused("deploy", **arguments))
            # This request uses the same connection, so it arrives after any earlier one.
            await session.ok("deploy", hostname="db1")
        self.assertEqual(await subscriber.requests(), ["deploy.test.db1"])
        self.assertEqual(len(session.audit()), len(wrong) + 1)

    async def test_queries_explain_invalid_arguments(self) -> None:
        await self.hosts("web1", "db1")
        wrong = [
            ("list_hosts", {"teir": "test"}, "unknown field `teir`"),
            ("host_status", {}, "missing field `hostname`"),
            ("host_status", {"hostname": "web1", "wait_s": 4000}, "invalid wait_s 4000: expected 0 to 3600"),
            ("host_status", {"hostname": "web2"}, "did you mean web1?"),
            ("host_logs", {"hostname": "web1", "lines": 0}, "invalid lines 0: expected 1 to 1000"),
            ("host_logs", {"hostname": "web1", "deployment": "never"}, "has no log of deployment never"),
            ("host_history", {"hostname": "web1", "limit": "all"}, "limit: "),
            ("host_history", {"hostname": "bd1"}, "did you mean db1?"),
        ]
        async with self.session() as session:
            for tool, arguments, reason in wrong:
                with self.subTest(tool=tool, arguments=arguments):
                    self.assertIn(reason, await session.refused(tool, **arguments))


class NewestInvalidCalls(InvalidCalls, Newest, Case):
    pass


class OlderInvalidCalls(InvalidCalls, Older, Case):
    pass
