import { beforeAll, describe, expect, test } from "vitest";
import { newId } from "../../../shared/ids.ts";
import { recordSettlements } from "../../../edge/db/ledger/tasks.ts";
import { recordWorkers } from "../../../edge/db/network/workers.ts";
import { sampleListing, sampleReport, sampleSettlements } from "../../edge/db/samples.ts";
import { call, newConsumer, openDatabase, refusal } from "./edge-client.ts";

type Row = Record<string, unknown>;
const rowsOf = (json: Row) => json["data"] as Row[];

describe("workers and listings", () => {
  const workerId = "W".repeat(43);
  const digest = "b".repeat(64);
  const model = `model-${newId("lst")}`;
  let key: string;

  beforeAll(async () => {
    ({ key } = await newConsumer());
    await using db = openDatabase();
    const listings = [sampleListing({ model, digest, abilities: ["chat", "json_schema"] })];
    await recordWorkers(db, [sampleReport({ id: workerId, accountId: newId("acct"), listings })]);
  });

  test("an operator finds a worker in the list and by its key", async () => {
    const read = await call(`GET /api/v1/workers/${workerId}`);
    expect(read.json).toMatchObject({ id: workerId, region: "weur", hub: "weur:0", online: true });
    const { json } = await call("GET /api/v1/workers?limit=100");
    expect(rowsOf(json)).toContainEqual(read.json);
    const accountId = String(read.json["account_id"]);
    const own = await call(`GET /api/v1/workers?account_id=${accountId}`);
    expect(rowsOf(own.json)).toEqual([read.json]);
  });

  test.each([
    [""],
    [`&digest=${digest}`],
    [`&digest=sha256:${digest}`],
    ["&region=weur"],
    ["&class=public"],
    ["&class=shared"],
    ["&ability=json_schema"],
    ["&input_max=100&output_max=200"],
    ["&quantization=Q4_K_M"],
    ["&online=false"],
  ])("any key finds the listing by its model%s", async (query) => {
    const { json } = await call(`GET /api/v1/listings?model=${model}${query}`, { key });
    expect(rowsOf(json)).toMatchObject([
      { worker_id: workerId, digest: `sha256:${digest}`, class_ceiling: "shared" },
    ]);
  });

  test.each([
    [`&digest=${"c".repeat(64)}`],
    ["&region=oc"],
    ["&class=private"],
    ["&ability=vision"],
    ["&input_max=99"],
    ["&output_max=199"],
    ["&quantization=F16"],
  ])("a search for%s does not find it", async (query) => {
    const { json } = await call(`GET /api/v1/listings?model=${model}${query}`, { key });
    expect(rowsOf(json)).toEqual([]);
  });

  test.each([
    ["region=atlantis", "region"],
    ["class=secret", "class"],
    ["digest=abc", "digest"],
    ["input_max=-1", "input_max"],
    ["output_max=0.5", "output_max"],
    ["online=yes", "online"],
    ["limit=101", "limit"],
    ["modell=x", "modell"],
  ])("the search %s is refused by name", async (query, param) => {
    const error = await refusal(`GET /api/v1/listings?${query}`, { key });
    expect(error).toMatchObject({ status: 400, code: "invalid_request", param });
  });
});

describe("tasks", () => {
  const taskId = newId("tsk");
  let owner: Awaited<ReturnType<typeof newConsumer>>;
  let stranger: Awaited<ReturnType<typeof newConsumer>>;

  beforeAll(async () => {
    [owner, stranger] = [await newConsumer(), await newConsumer()];
    const route = JSON.stringify({ considered: 2, workerId: "w", excluded: { no_credit: 1 } });
    await using db = openDatabase();
    const { transfers: _, ...rest } = sampleSettlements(taskId, {
      accountId: owner.accountId,
      route,
    });
    await recordSettlements(db, { ...rest, transfers: [] });
  });

  test("its owner reads a task with attempts, receipts and route", async () => {
    const { json } = await call(`GET /api/v1/tasks/${taskId}`, { key: owner.key });
    expect(json).toMatchObject({
      id: taskId,
      account_id: owner.accountId,
      hold_micros: 5_000,
      cost_micros: 4_000,
      created_at: "1970-01-01T00:00:10.000Z",
      route: { considered: 2, worker_id: "w", excluded: { no_credit: 1 } },
      attempts: [{ number: 1, worker_id: "worker-one", outcome: "complete", tokens: 34 }],
      receipts: [
        {
          attempt: 1,
          body: '{"attempt":"tsk_one.1","v":1}',
          worker_signature: "worker-signature",
          edge_signature: "edge-signature",
          edge_key: "edge-key",
        },
      ],
    });
    const list = await call("GET /api/v1/tasks", { key: owner.key });
    expect(rowsOf(list.json).map(({ id }) => id)).toEqual([taskId]);
  });

  test("to another account the task, and the account, do not exist", async () => {
    const { key } = stranger;
    expect(rowsOf((await call("GET /api/v1/tasks", { key })).json)).toEqual([]);
    const asked = `account_id=${owner.accountId}`;
    const hidden = await refusal(`GET /api/v1/tasks/${taskId}`, { key });
    expect(hidden).toMatchObject({ status: 404, code: "not_found" });
    for (const route of [`GET /api/v1/tasks?${asked}`, `GET /api/v1/tasks/${taskId}?${asked}`]) {
      expect((await refusal(route, { key })).status).toBe(404);
    }
  });

  test("an operator reads any account's task by naming the account", async () => {
    const asked = `account_id=${owner.accountId}`;
    expect((await call(`GET /api/v1/tasks/${taskId}?${asked}`)).json).toMatchObject({ id: taskId });
    expect(rowsOf((await call(`GET /api/v1/tasks?${asked}`)).json)).toHaveLength(1);
    expect((await refusal(`GET /api/v1/tasks/${taskId}`)).status).toBe(404);
  });
});
