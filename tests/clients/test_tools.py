"""The listed tools match the snapshots in `tools/`; UPDATE_SNAPSHOTS=1 rewrites them."""

import json
import os
from pathlib import Path

from harness import Case, Newest, Older, Session

SNAPSHOTS = Path(__file__).with_name("tools")
NAMES = ["deploy", "deploy_admin", "list_hosts", "host_status", "host_logs", "host_history"]


class Tools:
    async def test_each_tool_matches_its_snapshot(self) -> None:
        async with self.session(admin=True) as session:
            self.assertEqual(session.client.protocol_version, self.version)
            self.assertEqual(session.client.server_info.name, "homelab-deploy")
            self.assertIn("Start with list_hosts.", session.client.instructions)
            await self.check(session, NAMES)

    async def test_without_the_flag_only_deploy_admin_is_missing(self) -> None:
        async with self.session() as session:
            await self.check(session, [name for name in NAMES if name != "deploy_admin"])

    async def check(self, session: Session, names: list[str]) -> None:
        tools = (await session.client.list_tools()).tools
        self.assertEqual([tool.name for tool in tools], names)
        for tool in tools:
            content = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
            snapshot = SNAPSHOTS / f"{tool.name}.json"
            if os.environ.get("UPDATE_SNAPSHOTS"):
                snapshot.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
            self.assertEqual(content, json.loads(snapshot.read_text()))


class NewestTools(Tools, Newest, Case):
    pass


class OlderTools(Tools, Older, Case):
    pass
