import { expect, onTestFinished, test } from "vitest";
import { parseCommandLine } from "../../cli/words/parse-command-line.ts";
import { fail, FakeEdge, type FakeRoute } from "../helpers/fake-edge.ts";
import { OctoMachine } from "../helpers/octo-run.ts";

const path = "/api/v1/account/workers";
const id = `-${"w".repeat(42)}`;
const seen = {
  online: true,
  hub: "weur:0",
  region: "weur",
  agent: "octo-worker/0.1.0",
  last_seen_at: "2026-11-05T09:30:00.000Z",
  models: ["a", "b"],
};
const worker = {
  object: "account_worker",
  id,
  name: "desk",
  taken_by: "k",
  taken_at: "2026-11-04T00:00:00.000Z",
  seen,
};

/** An edge with a key, and `octo` signed in to it. */
async function signedIn(routes: Record<string, FakeRoute>) {
  const edge = await FakeEdge.start(routes);
  onTestFinished(() => edge[Symbol.asyncDispose]());
  const octo = new OctoMachine();
  const env = { OCTO_URL: edge.url, OCTO_API_KEY: "octo_sk_test" };
  return { edge, run: (...words: string[]) => octo.run(words, { env }) };
}

test("the workers of an account are a table for people, and JSON for programs", async () => {
  const away = { ...worker, id: "A".repeat(43), name: null, seen: null };
  const gone = { ...worker, id: "B".repeat(43), seen: { ...seen, online: false, models: [] } };
  const page = { object: "list", data: [worker, away, gone], next_cursor: null };
  const { edge, run } = await signedIn({ [`GET ${path}`]: () => page });
  const { code, out, err } = await run("workers");
  expect([code, err]).toEqual([0, ""]);
  const lines = out.trimEnd().split("\n");
  expect(lines.map((line) => line.split(/\s+/).slice(0, 4))).toEqual([
    ["ID", "NAME", "STATE", "HUB"],
    [id, "desk", "online", "weur:0"],
    [away.id, "-", "never", "seen"],
    [gone.id, "desk", "offline", "weur:0"],
  ]);
  expect(lines[1]).toContain("a,b");
  const json = await run("workers", "list", "--json", "--account", "acct_1");
  expect(JSON.parse(json.out)).toEqual({ data: page.data });
  expect(edge.requests.at(-1)?.url.search).toContain("account_id=acct_1");
});

test("an account without workers is told how to take one on", async () => {
  const none = { object: "list", data: [], next_cursor: null };
  const { run } = await signedIn({ [`GET ${path}`]: () => none });
  expect((await run("workers")).out).toBe("No workers; octo workers add ID takes one on\n");
});

test("a worker is taken on by its id, hyphen and all, with its name or with none", async () => {
  const { edge, run } = await signedIn({ [`PUT ${path}/${id}`]: () => worker });
  const said = { code: 0, out: `Worker ${id} may earn for the account\n`, err: "" };
  expect(await run("workers", "add", "--", id)).toEqual(said);
  expect(edge.requests.at(-1)?.body).toEqual({});
  expect(await run("workers", "add", "--name", "desk", "--", id)).toEqual(said);
  expect(edge.requests.at(-1)?.body).toEqual({ name: "desk" });
  const json = await run("workers", "add", "--json", "--", id);
  expect(JSON.parse(json.out)).toEqual(worker);
});

test("a worker is let go by its id; one that is not there is an error", async () => {
  const removed = { object: "account_worker", id, removed: true };
  const other = "A".repeat(43);
  const { run } = await signedIn({
    [`DELETE ${path}/${id}`]: () => removed,
    [`DELETE ${path}/${other}`]: (_, response) =>
      fail(response, 404, "not_found", `The account has no worker ${other}`),
  });
  const out = `Worker ${id} earns for the account no more\n`;
  expect(await run("workers", "remove", "--", id)).toEqual({ code: 0, out, err: "" });
  expect(JSON.parse((await run("workers", "remove", "--json", "--", id)).out)).toEqual(removed);
  const { code, err } = await run("workers", "remove", other);
  expect(code).toBe(1);
  expect(err).toContain(`The account has no worker ${other}`);
});

test("the family's name alone lists, whatever options follow, and helps where it is asked to", () => {
  const list = { kind: "command", name: "workers list", args: [] };
  expect(parseCommandLine(["workers"])).toEqual({ ...list, options: {} });
  expect(parseCommandLine(["workers", "--json"])).toEqual({ ...list, options: { json: "" } });
  const names = ["workers list", "workers add", "workers remove"];
  expect(parseCommandLine(["workers", "--help"])).toEqual({ kind: "help", names });
});
