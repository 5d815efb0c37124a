"""The official clients in TypeScript, versions 1 and 2, which check what a tool brings against its schema."""

import asyncio
import json
import os
import unittest
from typing import Any

from harness import DEADLINE, Case
from harness.process import BINARY



class TypeScript:
    async def told(self, *calls: dict[str, Any]) -> dict[str, Any]:
        """What comes of these calls, in one session."""
        arguments = ["mcp", "--nats-url", self.broker.url, "--nkey-file", str(self.broker.key("mcp"))]
        places = {name: str(self.folder) for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME")}
        order = {"command": str(BINARY), "args": arguments, "env": places, "calls": calls}
        client = await asyncio.create_subprocess_exec(
            "node",
            os.environ["HOMELAB_DEPLOY_TYPESCRIPT"] + "/client.mjs",
            self.version,
            json.dumps(order),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(DEADLINE):
            output, said = await client.communicate()
        self.assertEqual(client.returncode, 0, said)
        # What the server logs are JSON objects; the client itself has nothing to complain of.
        self.assertEqual([line for line in said.decode().splitlines() if not line.startswith("{")], [])
        return json.loads(output)

    async def test_a_host_is_found_and_deployed(self) -> None:
        await self.hosts("web1", "ns1")
        told = await self.told(
            {"name": "list_hosts", "arguments": {"tier": "test"}},
            {"name": "deploy", "arguments": {"hostname": "web1", "branch": "next"}},
        )
        self.assertEqual(told["server"]["name"], "homelab-deploy")
        self.assertIn("deploy", told["tools"])
        hosts, deployed = (result["structuredContent"] for result in told["results"])
        self.assertEqual([host["hostname"] for host in hosts["hosts"]], ["web1"])
        self.assertTrue(deployed["completed"], deployed)

    async def test_null_whole_floats_and_arguments_of_the_client_are_taken(self) -> None:
        await self.hosts("web1")
        deploy = {"hostname": "web1", "role": None, "action": None, "task_progress": "- [ ] deploy"}
        history = {"hostname": "web1", "limit": 5.0}
        told = await self.told(
            {"name": "deploy", "arguments": deploy}, {"name": "host_history", "arguments": history}
        )
        deployed, past = told["results"]
        self.assertTrue(deployed["structuredContent"]["completed"], deployed)
        self.assertIn("deploy has no argument \\\"task_progress\\\"", json.dumps(deployed["content"]))
        self.assertEqual(len(past["structuredContent"]["jobs"]), 1, past)

    async def test_a_refusal_is_an_error_with_its_reason(self) -> None:
        told = await self.told({"name": "deploy", "arguments": {"hostname": "nobody"}})
        [refused] = told["results"]
        self.assertTrue(refused["isError"], refused)
        self.assertIn("nobody", json.dumps(refused["content"]))


@unittest.skipUnless("HOMELAB_DEPLOY_TYPESCRIPT" in os.environ, "NOT RUN: make test-clients installs the clients")
class Version1(TypeScript, Case):
    version = "1"


@unittest.skipUnless("HOMELAB_DEPLOY_TYPESCRIPT" in os.environ, "NOT RUN: make test-clients installs the clients")
class Version2(TypeScript, Case):
    version = "2"
