import { once } from "node:events";
import { mkdirSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Flow, script, scripted } from "../helpers/flow-world.ts";
import { OctoUser } from "../helpers/octo-process.ts";
import { until } from "../helpers/until.ts";

let flow: Flow;
let user: OctoUser;

beforeAll(async () => {
  flow = await Flow.start({ models: [`synthetic:${scripted}`] });
  user = new OctoUser();
});
afterAll(async () => {
  user?.[Symbol.dispose]();
  await flow?.[Symbol.asyncDispose]();
});

/** As the operator of the network. */
function asOperator(): string[] {
  return ["--key", flow.network.adminKey];
}

describe("a consumer with the command line", () => {
  test("signs in, by a key that the edge knows", async () => {
    const login = ["login", "--url", flow.url, "--key", "-"];
    const wrong = await user.run(login, flow.network.consumer.apiKey.replace(/.$/, "-"));
    expect([wrong.code, wrong.out]).toEqual([1, ""]);
    expect(wrong.err).toContain("does not know this key; nothing was stored");
    expect((await user.run(["balance"])).err).toContain("No edge is known");
    const right = await user.run(login, flow.network.consumer.apiKey);
    expect(right).toEqual({ code: 0, out: `Signed in to ${flow.url}\n`, err: "" });
    expect(await user.json(["whoami"])).toMatchObject({
      url: flow.url,
      account_id: flow.network.consumer.accountId,
      status: "active",
      from: "octo login",
    });
  });

  test("sees what is offered", async () => {
    const { out } = await user.run(["models"]);
    expect(out).toMatch(new RegExp(`^MODEL .*\\n${scripted} +chat`));
    const listings = await user.json(["listings", "--model", scripted, "--sort", "speed"]);
    expect(listings).toMatchObject({ data: [{ model: scripted, online: true }] });
    const none = await user.run(["listings", "--model", "nothing"]);
    expect([none.code, none.out]).toEqual([0, "No worker offers that now\n"]);
  });

  test("asks, and finds the task and its cost in the books", async () => {
    const { code, out, err } = await user.run(["ask", "--usage", script("tokens=5")]);
    expect([code, out.trim()]).not.toEqual([0, ""]);
    const [, taskId = ""] = /; (tsk_\w+)\n$/.exec(err) ?? [];
    const task = await flow.untilTask(taskId);
    expect(err).toContain(`, ${task.completion_tokens} written; `);
    expect(task).toMatchObject({ state: "settled", completion_tokens: 5, streamed: true });
    const shown = await user.run(["task", taskId]);
    expect(shown.out).toMatch(/Receipts +signed by worker and edge, of attempt 1/);
    expect(await user.json(["task", taskId])).toMatchObject({ id: taskId });
    expect((await user.run(["tasks", "--limit", "1"])).out).toContain(taskId);
    const { balance_micros: balance } = await flow.money();
    expect(await user.json(["balance"])).toMatchObject({ balance_micros: balance });
  });

  test("talks through a pipe, line by line", async () => {
    const lines = [script("tokens=3"), script("tokens=4"), "/exit"];
    const { code, out, err } = await user.run(["chat", scripted, "--usage"], lines.join("\n"));
    expect([code, out.trimEnd().split("\n").length]).toEqual([0, 2]);
    expect([...err.matchAll(/(\d+) written/g)].map(([, count]) => count)).toEqual(["3", "4"]);
  });

  test("stops an answer by Ctrl-C, and its worker with it", async () => {
    // It keeps writing: only a write finds out that nobody reads.
    const child = user.start(["ask", script("tokens=8000 rate=20")]);
    let out = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    await until("the answer has begun", () => out !== "");
    child.kill("SIGINT");
    await once(child, "close");
    expect([child.exitCode, child.signalCode]).toEqual([130, null]);
    await flow.untilNothingHeld();
    await flow.untilFreeSlots((await flow.models())[0]?.octo.slots ?? 0);
  });

  test("is told what is wrong in one line", async () => {
    for (const [words, code, said] of [
      [["ask", "--model", "nothing", "hi"], 1, "nothing"],
      [["task", "tsk_0000000000000000000000"], 1, "There is no task tsk_0000000000000000000000"],
      [["task", "frob"], 1, "not a task id"],
      [["top-up", "1", "--account", flow.network.consumer.accountId], 1, "network:operate"],
      [["ask"], 1, "The question is empty"],
      [["frob"], 2, 'Cannot run "frob"'],
    ] as const) {
      const failed = await user.run(words);
      expect([failed.code, failed.out, failed.err.split("\n").length]).toEqual([code, "", 2]);
      expect(failed.err).toContain(said);
    }
  });

  test("ends quietly where the next program has read enough", async () => {
    const child = user.start(["ask", script("tokens=8000 rate=200")]);
    child.stdout.once("data", () => child.stdout.destroy());
    let err = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
    await once(child, "close");
    expect([child.exitCode, err]).toEqual([141, ""]);
    await flow.untilNothingHeld();
  });
});

describe("an operator with the command line", () => {
  test("gives credit to the micro, once a key", async () => {
    const { accountId } = await flow.newConsumer(1_000_000);
    const words = ["top-up", "0.25", "--account", accountId, "--idempotency-key", "again"];
    for (const _ of [1, 2]) {
      expect(await user.json([...words, ...asOperator()])).toMatchObject({
        amount_micros: 250_000,
        balance_micros: 1_250_000,
      });
    }
    const other = await user.run([...words.with(1, "0.5"), ...asOperator()]);
    expect(other.code).toBe(1);
  });

  test("makes a key that works until it is revoked", async () => {
    const { accountId } = flow.network.consumer;
    const create = ["keys", "create", "ci", "--scopes", "inference", "--expires", "1d"];
    const account = ["--account", accountId];
    const made = await user.run([...create, ...account, ...asOperator()]);
    expect([made.code, made.out]).toEqual([0, expect.stringMatching(/^octo_sk_dev_\w+\n$/)]);
    const [, id = ""] = /key (\w{8}) \(inference, until /.exec(made.err) ?? [];
    const listed = await user.run(["keys", "list", ...account, ...asOperator()]);
    expect(listed.out).toMatch(new RegExp(`${id} +ci +until \\d{4}-\\d\\d-\\d\\d +inference`));

    const key = made.out.trim();
    const asked = await user.run(["ask", "--key", key, script("tokens=2")]);
    expect([asked.code, asked.err]).toEqual([0, ""]);
    const revoke = ["keys", "revoke", id, ...asOperator()];
    const revoked = await user.run(revoke);
    expect(revoked).toEqual({ code: 0, out: `Key ${id} is revoked\n`, err: "" });
    const refused = await user.run(["ask", "--key", key, "--model", scripted, script("tokens=2")]);
    expect([refused.code, refused.out]).toEqual([1, ""]);
    expect(refused.err).toContain("octo login stores another key");
  });
});

test("a new wallet signs in, and is told that no account has it yet", async () => {
  using stranger = new OctoUser();
  const words = ["login", "--url", flow.url, "--wallet", "w.pem"];
  const { code, out, err } = await stranger.run([...words, "--new"]);
  expect([code, out]).toEqual([0, `Signed in to ${flow.url}\n`]);
  expect(err).toContain("no account has this key yet; tell an owner your public key: ");
  const other = ["--account", flow.network.consumer.accountId];
  const refused = await stranger.run([...words, ...other]);
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("You are no member")]);
});

test("in the folder of a local network, nothing has to be said", async () => {
  // The flow's state folder stands where a repository has its .octo.
  using stranger = new OctoUser();
  mkdirSync(`${stranger.home}/repository/.git`, { recursive: true });
  symlinkSync(flow.folder, `${stranger.home}/repository/.octo`);
  const cwd = `${stranger.home}/repository`;
  const { code, out, err } = await stranger.run(["models"], "", cwd);
  expect([code, out]).toEqual([0, expect.stringContaining(scripted)]);
  expect(err).toBe(`octo: asking ${flow.url}, which runs here (${cwd}/.octo/dev.json)\n`);
  expect((await stranger.run(["models"], "", dirname(cwd))).code).toBe(1);
});
