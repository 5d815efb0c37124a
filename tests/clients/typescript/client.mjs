// A session of the official TypeScript client: client.mjs VERSION SCRIPT. The script and the output are JSON.

const [version, text] = process.argv.slice(2);
const script = JSON.parse(text);

const client_at = { 1: "@modelcontextprotocol/sdk/client/index.js", 2: "@modelcontextprotocol/client" }[version];
const stdio_at = { 1: "@modelcontextprotocol/sdk/client/stdio.js", 2: "@modelcontextprotocol/client/stdio" }[version];
const { Client } = await import(client_at);
const { StdioClientTransport } = await import(stdio_at);

const client = new Client({ name: "homelab-deploy-tests", version: "1" }, { capabilities: {} });
const { command, args, env } = script;
await client.connect(new StdioClientTransport({ command, args, env, stderr: "inherit" }));
try {
  const { tools } = await client.listTools();
  const results = [];
  for (const call of script.calls) {
    results.push(await client.callTool(call));
  }
  const server = client.getServerVersion();
  console.log(JSON.stringify({ server, tools: tools.map((tool) => tool.name), results }));
} finally {
  await client.close();
}
