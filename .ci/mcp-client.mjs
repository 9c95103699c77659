// Uses the planner arm as agent hosts do, through the official TypeScript client.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const headers = process.env.MCP_TOKEN ? { Authorization: `Bearer ${process.env.MCP_TOKEN}` } : {};
for (const target of process.argv.slice(2)) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith("PLANNER_")));
  const transport = target.includes("://")
    ? new StreamableHTTPClientTransport(new URL(target), { requestInit: { headers } })
    : new StdioClientTransport({ command: target, args: ["mcp"], env });
  const client = new Client({ name: "ci", version: "1" });
  await client.connect(transport);
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map((tool) => tool.name).sort(), ["create_plan", "list_arms", "replan", "validate_plan"]);
  // The client checks each result against the tool's schema by itself, those of failures too.
  const goal = "Debug the login and add tests";
  const made = await client.callTool({ name: "create_plan", arguments: { goal, constraints: ["Use Python only"] } });
  assert.ok(!made.isError && made.structuredContent.plan.length >= 3, JSON.stringify(made));
  const { plan } = made.structuredContent;
  const checked = await client.callTool({ name: "validate_plan", arguments: { plan } });
  assert.deepEqual(checked.structuredContent.plan, plan);
  const progress = [{ step: 1, status: "done" }, { step: 2, status: "failed", reason: "no access" }];
  const again = await client.callTool({ name: "replan", arguments: { goal, plan, progress, feedback: "Shorter" } });
  assert.deepEqual(again.structuredContent.plan[0], plan[0]);
  const { structuredContent: list } = await client.callTool({ name: "list_arms", arguments: {} });
  assert.ok(list.arms.some((arm) => arm.id === "coder"));
  const failed = await client.callTool({ name: "create_plan", arguments: { goal: " " } });
  assert.ok(failed.isError && failed.structuredContent.errors[0].field === "goal", JSON.stringify(failed));
  console.log(`${target}: ${plan.length} steps`);
  await client.close();
}
