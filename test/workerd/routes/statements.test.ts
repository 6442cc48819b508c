import { beforeAll, describe, expect, test } from "vitest";
import { dayOf } from "../../../edge/routes/money/days.ts";
import { recordSettlements } from "../../../edge/db/ledger/tasks.ts";
import { recordWorkers } from "../../../edge/db/network/workers.ts";
import { runScheduled } from "../../../edge/scheduled.ts";
import { newId } from "../../../shared/ids.ts";
import { ledgerRecordSchema } from "../../../shared/ledger-record.ts";
import { joinSettlements, sampleReport } from "../../edge/db/samples.ts";
import { settledTask } from "../../edge/db/settled.ts";
import { newFunded, untilSettled } from "../world.ts";
import { call, env, newConsumer, openDatabase, refusal } from "./edge-client.ts";

type Row = Record<string, unknown>;
const rowsOf = (json: Row) => json["data"] as Row[];

const nowMs = Date.now();
const today = dayOf(nowMs);
const month = today.slice(0, 7);
const worker = newId("lst").padEnd(43, "w").slice(0, 43);

let owner: Awaited<ReturnType<typeof newFunded>>;
let provider: Awaited<ReturnType<typeof newConsumer>>;
let stranger: Awaited<ReturnType<typeof newConsumer>>;

beforeAll(async () => {
  owner = await newFunded(10_000);
  [provider, stranger] = [await newConsumer(), await newConsumer()];
  await untilSettled(owner);
  const at = { nowMs, account: owner.accountId, key: owner.keyId, model: "=octo, tiny" };
  const part = { workerId: worker, providerAccountId: provider.accountId };
  await using db = openDatabase();
  const report = { id: worker, accountId: provider.accountId, listings: [] };
  await recordWorkers(db, [sampleReport(report)]);
  await recordSettlements(
    db,
    joinSettlements([
      settledTask(newId("tsk"), [{ ...part, tokens: 100 }], at),
      settledTask(newId("tsk"), [{ ...part, tokens: 50 }], { ...at, model: "other" }),
      settledTask(newId("tsk"), [{ ...part, outcome: "refused: busy" }], at),
    ]),
  );
});

describe("usage", () => {
  test("its owner reads it by model and key, with a total that the groups add up to", async () => {
    const { json } = await call("GET /api/v1/usage?group_by=model,key", { key: owner.key });
    expect(json).toMatchObject({
      object: "usage",
      account_id: owner.accountId,
      from: `${month}-01`,
      to: today,
      group_by: ["model", "key"],
      data: [
        { model: "=octo, tiny", key_id: owner.keyId, tasks: 2, failed_tasks: 1, cost_micros: 100 },
        { model: "other", key_id: owner.keyId, tasks: 1, failed_tasks: 0, cost_micros: 50 },
      ],
      total: { tasks: 3, failed_tasks: 1, completion_tokens: 150, cost_micros: 150 },
    });
    const byDay = await call("GET /api/v1/usage", { key: owner.key });
    expect(rowsOf(byDay.json)).toMatchObject([{ day: today, tasks: 3, cost_micros: 150 }]);
    const byTeam = await call("GET /api/v1/usage?group_by=team,project", { key: owner.key });
    expect(rowsOf(byTeam.json)).toMatchObject([{ team_id: null, project_id: null, tasks: 3 }]);
  });

  test("as CSV it is a file whose cells run nothing", async () => {
    const query = `group_by=model&from=${today}&to=${today}&format=csv`;
    const { headers, text } = await call(`GET /api/v1/usage?${query}`, { key: owner.key });
    expect(headers.get("content-type")).toBe("text/csv; charset=utf-8; header=present");
    const name = `usage-${today}-${today}.csv`;
    expect(headers.get("content-disposition")).toBe(`attachment; filename="${name}"`);
    expect(text).toBe(
      "model,tasks,failed_tasks,prompt_tokens,completion_tokens,cost_micros\r\n" +
        `"'=octo, tiny",2,1,0,100,100\r\nother,1,0,0,50,50\r\n`,
    );
  });

  test("nobody else's is shown, but to an operator who asks by name", async () => {
    const own = await call("GET /api/v1/usage", { key: stranger.key });
    expect(own.json).toMatchObject({ data: [], total: { tasks: 0, cost_micros: 0 } });
    const asked = `GET /api/v1/usage?account_id=${owner.accountId}`;
    expect((await refusal(asked, { key: stranger.key })).status).toBe(404);
    expect((await call(asked)).json).toMatchObject({ total: { tasks: 3 } });
  });

  test.each([
    ["from=2026-03-02&to=2026-03-01", "from", "2026-03-02 is after 2026-03-01"],
    ["from=2025-01-01&to=2026-01-02", "from", "367 days, and 366 are the most"],
    ["from=2026-02-30", "from", "not a day"],
    ["to=2026-13-01", "to", "not a day"],
    ["from=yesterday", "from", "not a day"],
    ["from=2026-1-1", "from", "not a day"],
    ["from=2026-01-01T00:00:00Z", "from", "not a day"],
    ["group_by=colour", "group_by[0]", "expected one of"],
    ["group_by=", "group_by[0]", "expected one of"],
    ["group_by=key,key", "group_by", "a group twice"],
    ["group_by=key&group_by=model", "group_by", "expected string"],
    ["format=xml", "format", "expected one of"],
    ["account_id=me", "account_id", "not an account id"],
    ["limit=5", "limit", "no such field"],
  ])("the query %s is refused by name", async (query, param, message) => {
    const error = await refusal(`GET /api/v1/usage?${query}`, { key: owner.key });
    expect(error).toMatchObject({ status: 400, code: "invalid_request", param });
    expect(error.message).toContain(message);
  });
});

describe("invoices", () => {
  test("the month leads from opening to closing, and its figures agree", async () => {
    const { json } = await call(`GET /api/v1/invoices/${month}`, { key: owner.key });
    expect(json).toMatchObject({
      object: "invoice",
      month,
      pending: true,
      opening_micros: 0,
      credited_micros: 10_000,
      spent_micros: 150,
      closing_micros: 9_850,
      difference_micros: 0,
      by_key: [{ key_id: owner.keyId, tasks: 2, spent_micros: 150 }],
    });
    expect(json["by_model"]).toMatchObject([
      { model: "=octo, tiny", spent_micros: 100 },
      { model: "other", spent_micros: 50 },
    ]);
    const list = await call("GET /api/v1/invoices", { key: owner.key });
    expect(rowsOf(list.json)).toMatchObject([
      { month, opening_micros: 0, closing_micros: 9_850, pending: true },
    ]);
  });

  test("as CSV there is a line a figure", async () => {
    const { text } = await call(`GET /api/v1/invoices/${month}?format=csv`, { key: owner.key });
    expect(text.split("\r\n")).toEqual(
      expect.arrayContaining([
        "line,name,tasks,prompt_tokens,completion_tokens,micros",
        "spent,,,,,150",
        "closing,,,,,9850",
        `spent by model,"'=octo, tiny",1,0,100,100`,
        `spent by key,${owner.keyId},2,0,150,150`,
      ]),
    );
  });

  test("a month in which nothing moved has no invoice, nor has another's account", async () => {
    const { key } = owner;
    expect((await refusal("GET /api/v1/invoices/2020-01", { key })).status).toBe(404);
    const asked = `/api/v1/invoices/${month}?account_id=${owner.accountId}`;
    expect((await refusal(`GET ${asked}`, { key: stranger.key })).status).toBe(404);
    expect((await call("GET /api/v1/invoices", { key: stranger.key })).json).toMatchObject({
      data: [],
    });
    expect((await call(`GET ${asked}`)).json).toMatchObject({ spent_micros: 150 });
  });

  test.each(["2026-13", "2026-00", "26-01", "2026-1", "1999-01", "2026-01-01", "november"])(
    "%s is no month",
    async (wrong) => {
      const error = await refusal(`GET /api/v1/invoices/${wrong}`, { key: owner.key });
      expect(error).toMatchObject({ status: 400, param: "month" });
    },
  );
});

describe("provider statements", () => {
  test("a provider reads what its worker earned, and why an attempt earned nothing", async () => {
    const path = "GET /api/v1/statements/provider";
    const { json } = await call(path, { key: provider.key });
    const line = {
      served: 2,
      tokens: 150,
      gross_micros: 150,
      earned_micros: 105,
      unpaid: [{ reason: "refused", attempts: 1, tokens: 0 }],
    };
    expect(json).toMatchObject({
      object: "provider_statement",
      account_id: provider.accountId,
      workers: [{ worker_id: worker, ...line }],
      total: line,
      difference_micros: 0,
    });
    const { text } = await call(`${path}?format=csv`, { key: provider.key });
    expect(text).toContain(`\r\n${worker},served,2,150,150,105,\r\n${worker},refused,1,0,0,0,`);
    const others = await call(path, { key: owner.key });
    expect(others.json).toMatchObject({ workers: [], total: { earned_micros: 0 } });
  });
});

describe("transfers", () => {
  test("an account lists its own, and does not learn who is on the other side", async () => {
    const earned = await call("GET /api/v1/transfers", { key: provider.key });
    const amounts = rowsOf(earned.json).map((row) => row["amount_micros"]);
    expect(amounts.toSorted()).toEqual([35, 70]);
    expect(earned.text).not.toContain(owner.accountId);
    expect(rowsOf(earned.json)[0]).toMatchObject({
      direction: "in",
      debit: null,
      credit: `${provider.accountId}:earned`,
    });
    const spent = await call("GET /api/v1/transfers?limit=100", { key: owner.key });
    expect(rowsOf(spent.json)).toHaveLength(11);
    expect(spent.text).not.toContain(provider.accountId);
    expect(rowsOf(spent.json)).toContainEqual(
      expect.objectContaining({ direction: "in", debit: "system:mint", amount_micros: 10_000 }),
    );
  });
});

describe("supply", () => {
  test("any key reads it, every asset is there, and nothing is missing", async () => {
    const { json } = await call("GET /api/v1/supply", { key: stranger.key });
    expect(rowsOf(json).map((row) => row["asset"])).toContain("OCTO-N");
    for (const row of rowsOf(json)) expect(row["difference_micros"]).toBe(0);
    const credit = await call("GET /api/v1/supply/CREDIT", { key: stranger.key });
    expect(Number(credit.json["minted_micros"])).toBeGreaterThanOrEqual(10_000);
    expect(Number(credit.json["burned_micros"])).toBeGreaterThanOrEqual(7);
  });

  test.each(["GOLD", "credit", "OCTO-Z"])("%s is no asset", async (asset) => {
    const error = await refusal(`GET /api/v1/supply/${asset}`, { key: stranger.key });
    expect(error).toMatchObject({ status: 404, code: "not_found" });
  });
});

describe("the whole ledger", () => {
  test("an operator reads every transfer, and balances that are theirs to the micro", async () => {
    const first = await call("GET /api/v1/ledger/transfers?limit=7");
    const through = Number(first.json["through"]);
    const records = rowsOf(first.json);
    let next = first.json["next_cursor"];
    while (next !== null) {
      const page = await call(`GET /api/v1/ledger/transfers?limit=1000&cursor=${String(next)}`);
      expect(page.json["through"]).toBe(through);
      records.push(...rowsOf(page.json));
      next = page.json["next_cursor"];
    }
    expect(records).toHaveLength(through);
    const sums = new Map<string, bigint>();
    for (const row of records.map((each) => ledgerRecordSchema.parse(each))) {
      const amount = BigInt(row.amount);
      for (const [book, micros] of [
        [row.debit, -amount],
        [row.credit, amount],
      ] as const) {
        const key = `${book} ${row.asset}`;
        sums.set(key, (sums.get(key) ?? 0n) + micros);
      }
    }
    const { json } = await call(`GET /api/v1/ledger/balances?through=${through}`);
    const claimed = rowsOf(json).map((row) => [`${row["book"]} ${row["asset"]}`, row["balance"]]);
    expect(new Map(claimed as [string, string][])).toEqual(
      new Map([...sums].map(([key, micros]) => [key, String(micros)])),
    );
  });

  test("an account says itself what it has", async () => {
    const { json } = await call(`GET /api/v1/ledger/accounts/${owner.accountId}`);
    expect(json).toMatchObject({ account_id: owner.accountId, held: "0", ledger_pending: false });
    expect(json["balances"]).toContainEqual({
      book: `${owner.accountId}:available`,
      asset: "CREDIT",
      balance: "10000",
    });
  });

  test("a check asked for is listed, and its ledger adds up", async () => {
    const made = await call("POST /api/v1/ledger/checks", { body: { whole: true } });
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({ object: "ledger.check", whole: true });
    const { json } = await call("GET /api/v1/ledger/checks?limit=100");
    expect(rowsOf(json)).toContainEqual(made.json);
    const books = await call("GET /api/v1/ledger/conservation");
    expect(books.json["checked_at"]).not.toBeNull();
  });

  test("the timer checks it too", async () => {
    const numbers = async () =>
      rowsOf((await call("GET /api/v1/ledger/checks?limit=1")).json).map((row) => row["number"]);
    const [before = 0] = await numbers();
    await runScheduled(env);
    expect(Number((await numbers())[0])).toBeGreaterThan(Number(before));
  });

  test.each([
    ["transfers?limit=1001", "limit"],
    ["transfers?cursor=abc", "cursor"],
    ["transfers?through=-1", "through"],
    ["balances?through=x", "through"],
    ["checks?cursor=abc", "cursor"],
  ])("%s is refused", async (path, param) => {
    expect(await refusal(`GET /api/v1/ledger/${path}`)).toMatchObject({ status: 400, param });
  });
});

test("a key that may only ask for inference reads usage, and no invoice, statement or transfer", async () => {
  const body = { account_id: owner.accountId, name: "app", scopes: ["inference"] };
  const made = await call("POST /api/v1/keys", { body });
  const key = String(made.json["key"]);
  expect((await call("GET /api/v1/usage", { key })).status).toBe(200);
  for (const path of ["invoices", `invoices/${month}`, "statements/provider", "transfers"]) {
    const error = await refusal(`GET /api/v1/${path}`, { key });
    expect(error).toMatchObject({ status: 403, code: "insufficient_scope" });
  }
});
