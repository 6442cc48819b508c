import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo, Server } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { main } from "../../../worker-agent/cli/main.ts";
import { createIdentity } from "../../../worker-agent/identity.ts";
import { takeLock } from "../../../worker-agent/state/lock.ts";
import { FakeHub } from "../../helpers/fake-hub.ts";

const reportSchema = z.object({
  ok: z.boolean(),
  checks: z.array(
    z.object({
      name: z.string(),
      level: z.enum(["ok", "warning", "failure"]),
      found: z.string(),
      remedy: z.string().nullable(),
    }),
  ),
});

function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "octo-doctor-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "state");
}

async function run(...args: readonly string[]) {
  const lines: string[] = [];
  const errors: string[] = [];
  const code = await main([...args, "--upstream", "none"], {
    write: (line) => lines.push(line),
    error: (line) => errors.push(line),
    isInteractive: false,
    paint: (_style, text) => text,
  });
  return { code, lines, errors };
}

async function examine(...flags: readonly string[]) {
  const { code, lines } = await run("doctor", "--gpu", "none", "--json", ...flags);
  const report = reportSchema.parse(JSON.parse(lines.join("\n")));
  const byName = (name: string) => report.checks.filter((check) => check.name === name);
  return { code, report, byName };
}

/** Listens until the test ends; gives `host:port`. */
async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("doctor shows what the owner of an account runs, where no worker could tell more", async () => {
  await using hub = await FakeHub.start();
  const folder = scratchFolder();
  const account = `acct_${"a".repeat(22)}`;
  const args = ["--state-dir", folder, "--edge", hub.edge];
  expect((await examine(...args, "--account", account)).byName("Account")).toEqual([]);
  await run("init", ...args);
  const [check] = (await examine(...args, "--account", account)).byName("Account");
  expect(check).toMatchObject({ level: "ok", remedy: null });
  expect(check?.found).toMatch(new RegExp(`^${account};.* octo workers add (-- )?[\\w-]{43}$`));
  expect((await examine(...args)).byName("Account")).toEqual([]);
  expect(hub.sessions.every(({ proof }) => proof === null)).toBe(true);
});

test("doctor finds everything well, and nothing of what is missing", async () => {
  await using hub = await FakeHub.start();
  const folder = scratchFolder();
  const args = ["--state-dir", folder, "--edge", hub.edge];
  await run("init", ...args);
  const well = await run("doctor", ...args);
  expect(well.lines.filter((line) => line.startsWith("✗"))).toEqual([]);
  expect(well.code).toBe(0);
  const { report } = await examine(...args);
  expect(report.ok).toBe(true);
  const names = report.checks.map(({ name }) => name);
  const rest = ["Folder", "Identity", "Signing", "Model", "Edge", "Clock"];
  expect(names.filter((name) => name !== "GPU" && name !== "Files" && name !== "Proxy")).toEqual([
    "Node",
    "Machine",
    ...rest,
  ]);
  const nowhere = ["--edge", "http://127.0.0.1:9", "--model", "/nowhere.gguf"];
  const ill = await examine("--state-dir", join(folder, "none"), ...nowhere);
  expect(ill.code).toBe(1);
  const failed = ill.report.checks.filter(({ level }) => level === "failure");
  expect(failed.map(({ name }) => name)).toEqual(["Folder", "Identity", "Model", "Edge"]);
  for (const { remedy } of failed) expect(remedy).not.toBeNull();
});

test("what is wrong comes with a mark, a line and its remedy", async () => {
  const { lines } = await run("doctor", "--gpu", "none", "--state-dir", scratchFolder());
  const at = lines.findIndex((line) => line.startsWith("✗ Folder"));
  expect(lines[at]?.split("\n")).toEqual([
    expect.stringMatching(/^✗ Folder {4}no \//),
    "            make it with octo-worker init",
  ]);
});

test("doctor tells a hub of another protocol", async () => {
  await using hub = await FakeHub.start({ version: 9, floor: 9 });
  const { byName } = await examine("--state-dir", scratchFolder(), "--edge", hub.edge);
  expect(byName("Edge")[0]?.remedy).toContain("update it with npm");
});

test("a server that is no edge is told from one that cannot be reached", async () => {
  const edge = await listening(createHttpServer((_request, response) => response.end("hello")));
  const { byName } = await examine("--state-dir", scratchFolder(), "--edge", `http://${edge}`);
  expect(byName("Edge")[0]).toMatchObject({
    level: "failure",
    found: expect.stringContaining("takes no workers: the edge answered 200"),
    remedy: expect.stringContaining("WebSockets"),
  });
  expect(byName("Clock")).toHaveLength(1);
});

test("an edge that speaks no TLS, though its URL says so, is told from one that is away", async () => {
  const plain = await listening(createServer((socket) => socket.end("HTTP/1.1 400 no\r\n\r\n")));
  const { byName } = await examine("--state-dir", scratchFolder(), "--edge", `https://${plain}`);
  expect(byName("Edge")[0]?.found).toContain("no secure connection");
});

test("a server that ends every connection is told", async () => {
  const rude = await listening(createServer((socket) => socket.destroy()));
  const { byName } = await examine("--state-dir", scratchFolder(), "--edge", `http://${rude}`);
  expect(byName("Edge")[0]?.found).toContain("ends connections at once");
});

test("a worker that runs from the folder is a warning, and no failure", async () => {
  await using hub = await FakeHub.start();
  const folder = scratchFolder();
  await createIdentity(folder);
  const lock = await takeLock(folder);
  const { code, byName } = await examine("--state-dir", folder, "--edge", hub.edge);
  lock.release();
  expect(byName("Worker")[0]).toMatchObject({
    level: "warning",
    found: `process ${process.pid} runs from this folder`,
  });
  expect(code).toBe(0);
});

test("an identity that others may read and a folder that they may write are failures", async () => {
  const folder = scratchFolder();
  await createIdentity(folder);
  chmodSync(join(folder, "identity.key"), 0o644);
  chmodSync(folder, 0o777);
  const { code, byName } = await examine("--state-dir", folder);
  expect(code).toBe(1);
  expect(byName("Identity")[0]?.found).toContain("chmod 600");
  expect(byName("Folder").map(({ level, remedy }) => [level, remedy])).toEqual([
    ["ok", null],
    ["failure", `chmod 700 ${folder}`],
  ]);
});
