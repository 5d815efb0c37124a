"""Calls that are wrong: the text says what is, and nothing is sent."""

from mcp.shared.exceptions import MCPError

from harness import Case, Newest, Older


class Mistakes:
    async def test_a_tool_that_does_not_exist_is_an_error_of_the_protocol(self) -> None:
        async with self.session() as session:
            with self.assertRaises(MCPError) as unknown:
                await session.client.call_tool("list_host", {})
            self.assertEqual(unknown.exception.code, -32602)
            self.assertIn('there is no tool "list_host"; did you mean list_hosts?', str(unknown.exception))
            with self.assertRaisesRegex(MCPError, "there is no tool"):
                await session.client.call_tool("deploy_admin", {"tier": "prod", "all": True, "confirm": True})

    async def test_wrong_arguments_are_named_and_nothing_is_sent(self) -> None:
        await self.hosts("web1", "web2", "db1")
        ears = await self.ears()
        exactly_one = "give exactly one of hostname, all and role; given: "
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
            ({"hostname": "web3"}, "no host web3 answers or is known (did you mean web1, web2?)"),
            ({"role": "wed"}, "no host of tier test with role wed answers"),
        ]
        async with self.session() as session:
            for arguments, reason in wrong:
                with self.subTest(arguments):
                    self.assertIn(reason, await session.refused("deploy", **arguments))
            # What is sent now goes over the same connection, behind what was sent before.
            await session.told("deploy", hostname="db1")
        self.assertEqual(await ears.requests(), ["deploy.test.db1"])
        self.assertEqual(len(session.audit()), len(wrong) + 1)

    async def test_questions_name_what_is_wrong_too(self) -> None:
        await self.hosts("web1", "db1")
        wrong = [
            ("list_hosts", {"teir": "test"}, "unknown field `teir`"),
            ("host_status", {}, "missing field `hostname`"),
            ("host_status", {"hostname": "web1", "wait_s": 4000}, "wait_s is 4000; it must be 0 to 3600"),
            ("host_status", {"hostname": "web2"}, "did you mean web1?"),
            ("host_logs", {"hostname": "web1", "lines": 0}, "lines is 0; it must be 1 to 1000"),
            ("host_logs", {"hostname": "web1", "deployment": "never"}, "keeps no log of deployment never"),
            ("host_history", {"hostname": "web1", "limit": "all"}, "limit: "),
            ("host_history", {"hostname": "bd1"}, "did you mean db1?"),
        ]
        async with self.session() as session:
            for tool, arguments, reason in wrong:
                with self.subTest(tool=tool, arguments=arguments):
                    self.assertIn(reason, await session.refused(tool, **arguments))


class NewestMistakes(Mistakes, Newest, Case):
    pass


class OlderMistakes(Mistakes, Older, Case):
    pass
