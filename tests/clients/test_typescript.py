"""The official TypeScript clients, versions 1 and 2, which validate results against their schemas."""

import asyncio
import json
import os
import unittest
from typing import Any

from harness import DEADLINE, Case
from harness.process import BINARY



class TypeScript:
    async def run_session(self, *calls: dict[str, Any]) -> dict[str, Any]:
        """Runs these calls in one session and returns their results."""
        arguments = ["mcp", "--nats-url", self.nats.url, "--nkey-file", str(self.nats.key("mcp"))]
        directories = {name: str(self.directory) for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME")}
        script = {"command": str(BINARY), "args": arguments, "env": directories, "calls": calls}
        client = await asyncio.create_subprocess_exec(
            "node",
            os.environ["HOMELAB_DEPLOY_TYPESCRIPT"] + "/client.mjs",
            self.version,
            json.dumps(script),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(DEADLINE):
            output, errors = await client.communicate()
        self.assertEqual(client.returncode, 0, errors)
        # The server logs JSON objects, and the client must not log any warning.
        self.assertEqual([line for line in errors.decode().splitlines() if not line.startswith("{")], [])
        return json.loads(output)

    async def test_a_host_is_listed_and_deployed_to(self) -> None:
        await self.hosts("web1", "ns1")
        content = await self.run_session(
            {"name": "list_hosts", "arguments": {"tier": "test"}},
            {"name": "deploy", "arguments": {"hostname": "web1", "branch": "next"}},
        )
        self.assertEqual(content["server"]["name"], "homelab-deploy")
        self.assertIn("deploy", content["tools"])
        hosts, deployed = (result["structuredContent"] for result in content["results"])
        self.assertEqual([host["hostname"] for host in hosts["hosts"]], ["web1"])
        self.assertTrue(deployed["completed"], deployed)

    async def test_null_whole_floats_and_arguments_of_the_client_are_accepted(self) -> None:
        await self.hosts("web1")
        deploy = {"hostname": "web1", "role": None, "action": None, "task_progress": "- [ ] deploy"}
        history = {"hostname": "web1", "limit": 5.0}
        content = await self.run_session(
            {"name": "deploy", "arguments": deploy}, {"name": "host_history", "arguments": history}
        )
        deployed, past = content["results"]
        self.assertTrue(deployed["structuredContent"]["completed"], deployed)
        self.assertIn("deploy has no argument \\\"task_progress\\\"", json.dumps(deployed["content"]))
        self.assertEqual(len(past["structuredContent"]["jobs"]), 1, past)

    async def test_a_refusal_is_an_error_with_its_reason(self) -> None:
        content = await self.run_session({"name": "deploy", "arguments": {"hostname": "missing"}})
        [refused] = content["results"]
        self.assertTrue(refused["isError"], refused)
        self.assertIn("missing", json.dumps(refused["content"]))


@unittest.skipUnless("HOMELAB_DEPLOY_TYPESCRIPT" in os.environ, "NOT RUN: make test-clients installs the clients")
class Version1(TypeScript, Case):
    version = "1"


@unittest.skipUnless("HOMELAB_DEPLOY_TYPESCRIPT" in os.environ, "NOT RUN: make test-clients installs the clients")
class Version2(TypeScript, Case):
    version = "2"
