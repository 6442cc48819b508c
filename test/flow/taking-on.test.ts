import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { WorkerProcess } from "../../dev/worker-process.ts";
import { Flow, script, scripted } from "../helpers/flow-world.ts";
import { OctoUser } from "../helpers/octo-process.ts";
import { until } from "../helpers/until.ts";

const seenSchema = z.object({ online: z.boolean(), models: z.array(z.string()) });
const listSchema = z.object({ data: z.array(z.object({ seen: seenSchema.nullable() })) });

test("a worker is refused, is taken on by its owner's command, joins by itself, and is let go", async () => {
  await using flow = await Flow.start({ models: [`synthetic:${scripted}`] });
  using owner = new OctoUser();
  const { accountId } = flow.network.consumer;
  const asOwner = ["--url", flow.url, "--key", flow.network.adminKey, "--account", accountId];
  const octo = async (verb: string, ...args: string[]): Promise<unknown> => {
    const words = ["workers", verb, ...asOwner, "--json", ...args];
    const { code, out, err } = await owner.run(words);
    expect([code, err]).toEqual([0, ""]);
    return JSON.parse(out);
  };
  await using worker = await WorkerProcess.start({
    edgeUrl: flow.url,
    model: "synthetic:own",
    stateDir: join(flow.folder, "workers", "own"),
    flags: ["--account", accountId],
  });
  const said = (text: string) => {
    const log = existsSync(worker.logPath) ? readFileSync(worker.logPath, "utf8") : "";
    return log.split("\n").filter((line) => line.includes(text));
  };
  const command = `octo workers add ${worker.id.startsWith("-") ? "-- " : ""}${worker.id}`;
  const [refused] = await until("the worker is refused", () => {
    const lines = said("Refused by the edge");
    return lines.length > 0 && lines;
  });
  expect(refused).toContain(`the account has not taken this worker on; its owner runs: ${command}`);
  expect(said("Identity")[0]).toContain(command);
  const { pid } = worker;

  const taken = await octo("add", "--", worker.id);
  expect(taken).toMatchObject({ id: worker.id, seen: null });
  // Its next try comes within ten seconds.
  await until("the worker is in", () => said('"Listed"').length > 0, 20_000);
  expect([worker.pid, worker.failure]).toEqual([pid, null]);
  await until("the owner sees it", async () => {
    const { data } = listSchema.parse(await octo("list"));
    return data[0]?.seen?.online === true && data[0].seen.models.includes("own");
  });
  await flow.untilFreeSlots(4, "own");
  const messages = [{ role: "user", content: script("tokens=3") }];
  const body = JSON.stringify({ model: "own", messages, octo: { include: [accountId] } });
  const answer = await flow.fetch("/v1/chat/completions", { method: "POST", body });
  expect(answer.headers.get("x-octo-worker")).toBe(worker.id);
  await answer.text();

  const before = said("Refused by the edge").length;
  await octo("remove", "--", worker.id);
  await until("it is told", () => said("Refused by the edge").length > before);
  expect([worker.pid, worker.failure]).toEqual([pid, null]);
  expect(await octo("list")).toEqual({ data: [] });
});
