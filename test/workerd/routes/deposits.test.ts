import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { newId } from "../../../shared/ids.ts";
import { brokenCall, databaseFailures } from "./broken-call.ts";
import { call, env, newConsumer, operatorKey, refusal } from "./edge-client.ts";

const secrets = (env.OCTO_DEPOSIT_SECRETS ?? "").split(",");
const path = "POST /api/v1/deposits/notices";

/** A notice as whoever takes money sends it. */
function notice(
  data: Record<string, unknown>,
  how: { id?: string; secret?: string; at?: Date; type?: string } = {},
) {
  const { id = newId("req"), secret = secrets[0] ?? "", at = new Date() } = how;
  const text = JSON.stringify({ type: how.type ?? "deposit.confirmed", data });
  const signature = new Webhook(secret).sign(id, at, text);
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": signature,
  };
  return { id, key: null, text, headers };
}

function depositTo(accountId: string, amount: unknown = 5_000_000): Record<string, unknown> {
  return { account_id: accountId, amount_micros: amount, rail: "card", reference: "no. 42" };
}

async function balanceOf(accountId: string): Promise<unknown> {
  return (await call(`GET /api/v1/accounts/${accountId}`)).json["balance_micros"];
}

test("a signed notice is credited once, however often it comes", async () => {
  const { accountId, key } = await newConsumer();
  const sent = notice(depositTo(accountId));
  for (let times = 0; times < 3; times++) {
    const { status, json } = await call(path, sent);
    expect({ status, json }).toEqual({
      status: 200,
      json: { object: "deposit.notice", id: sent.id, taken: true },
    });
  }
  expect(await balanceOf(accountId)).toBe(5_000_000);
  const { json } = await call("GET /api/v1/deposits", { key });
  expect(json["data"]).toMatchObject([
    { id: sent.id, amount_micros: 5_000_000, rail: "card", reference: "no. 42" },
  ]);
});

test("notices that come together are credited once", async () => {
  const { accountId } = await newConsumer();
  const sent = notice(depositTo(accountId));
  const answers = await Promise.all(Array.from({ length: 8 }, () => call(path, sent)));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
  expect(await balanceOf(accountId)).toBe(5_000_000);
});

test("the same id with another amount is a conflict", async () => {
  const { accountId } = await newConsumer();
  const { id } = await call(path, notice(depositTo(accountId), { id: newId("req") })).then(
    ({ json }) => ({ id: String(json["id"]) }),
  );
  const error = await refusal(path, notice(depositTo(accountId, 7), { id }));
  expect(error).toMatchObject({ status: 409, code: "idempotency_conflict" });
  expect(await balanceOf(accountId)).toBe(5_000_000);
});

test("the same id for another account is a conflict", async () => {
  const [first, second] = [await newConsumer(), await newConsumer()];
  const { id } = notice(depositTo(first.accountId));
  expect((await call(path, notice(depositTo(first.accountId), { id }))).status).toBe(200);
  const error = await refusal(path, notice(depositTo(second.accountId), { id }));
  expect(error).toMatchObject({ status: 409, code: "idempotency_conflict" });
  expect(await balanceOf(second.accountId)).toBe(0);
});

test("the secret before the present one still counts, so that it can be replaced", async () => {
  const { accountId } = await newConsumer();
  expect(
    (await call(path, notice(depositTo(accountId), { secret: secrets[1] ?? "" }))).status,
  ).toBe(200);
  expect(await balanceOf(accountId)).toBe(5_000_000);
});

test("a notice of something else is taken note of, and changes nothing", async () => {
  const { accountId } = await newConsumer();
  const { status, json } = await call(path, notice(depositTo(accountId), { type: "card.expired" }));
  expect({ status, taken: json["taken"] }).toEqual({ status: 200, taken: false });
  expect(await balanceOf(accountId)).toBe(0);
});

test("what is not signed by anybody known is refused, and changes nothing", async () => {
  const { accountId } = await newConsumer();
  const good = notice(depositTo(accountId));
  const stranger = `whsec_${btoa("x".repeat(32))}`;
  const old = new Date(Date.now() - 6 * 60_000);
  const wrong = [
    { ...good, text: good.text.replace("5000000", "6000000") },
    { ...good, headers: { ...good.headers, "webhook-id": newId("req") } },
    { ...good, headers: { ...good.headers, "webhook-signature": "v1,AAAA" } },
    { ...good, headers: {} },
    { ...good, key: operatorKey, headers: {} },
    notice(depositTo(accountId), { secret: stranger }),
    notice(depositTo(accountId), { at: old }),
    notice(depositTo(accountId), { at: new Date(Date.now() + 6 * 60_000) }),
  ];
  for (const sent of wrong) {
    expect(await refusal(path, sent)).toMatchObject({ status: 401, code: "invalid_api_key" });
  }
  expect(await balanceOf(accountId)).toBe(0);
});

test.each([
  ["a negative amount", { amount_micros: -5 }, "data.amount_micros"],
  ["no amount", { amount_micros: 0 }, "data.amount_micros"],
  ["half a micro", { amount_micros: 0.5 }, "data.amount_micros"],
  ["more than a number holds", { amount_micros: 2 ** 53 }, "data.amount_micros"],
  ["an amount in words", { amount_micros: "5" }, "data.amount_micros"],
  ["an unknown asset", { asset: "BTC" }, "data.asset"],
  ["a rail in capitals", { rail: "CARD" }, "data.rail"],
  ["no reference", { reference: "" }, "data.reference"],
  ["what is no account", { account_id: "me" }, "data.account_id"],
  ["a field of its own", { balance_micros: 5 }, "data.balance_micros"],
])("%s is refused, and named where it is", async (_, change, param) => {
  const { accountId } = await newConsumer();
  const error = await refusal(path, notice({ ...depositTo(accountId), ...change }));
  expect(error).toMatchObject({ status: 400, param });
  expect(error.message).toMatch(`${param}: `);
  expect(await balanceOf(accountId)).toBe(0);
});

test("an account that does not exist is not found, and a body that is no JSON is refused", async () => {
  expect((await refusal(path, notice(depositTo(newId("acct"))))).status).toBe(404);
  const text = "{";
  const at = new Date();
  const headers = {
    "webhook-id": "n",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(secrets[0] ?? "").sign("n", at, text),
  };
  expect((await refusal(path, { key: null, text, headers })).code).toBe("invalid_json");
});

test("deposits of another account are not seen", async () => {
  const [mine, other] = [await newConsumer(), await newConsumer()];
  await call(path, notice(depositTo(mine.accountId)));
  expect((await call("GET /api/v1/deposits", { key: other.key })).json["data"]).toEqual([]);
});

test("an id that came for one account is a conflict for another, and credits neither twice", async () => {
  const [first, second] = [await newConsumer(), await newConsumer()];
  const sent = notice(depositTo(first.accountId));
  expect((await call(path, sent)).status).toBe(200);
  for (const secret of secrets) {
    const error = await refusal(path, notice(depositTo(second.accountId), { id: sent.id, secret }));
    expect(error).toMatchObject({ status: 409, code: "idempotency_conflict" });
  }
  expect(await balanceOf(first.accountId)).toBe(5_000_000);
  expect(await balanceOf(second.accountId)).toBe(0);
  const { json } = await call("GET /api/v1/deposits", { key: second.key });
  expect(json["data"]).toEqual([]);
});

test("two accounts named under one id at the same time: one of them is credited", async () => {
  const accounts = [await newConsumer(), await newConsumer(), await newConsumer()];
  const id = newId("req");
  const answers = await Promise.all(
    accounts.map(({ accountId }) => call(path, notice(depositTo(accountId), { id }))),
  );
  expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409]);
  const balances = await Promise.all(accounts.map(({ accountId }) => balanceOf(accountId)));
  expect(balances.toSorted()).toEqual([0, 0, 5_000_000]);
});

test.each(databaseFailures)(
  "a notice that breaks off as the database %s comes again",
  async (how) => {
    const { accountId, key } = await newConsumer();
    for (let batch = 1; ; batch++) {
      const sent = notice(depositTo(accountId, 1_000));
      const isBroken = await brokenCall(path, { batch, how }, { ...sent, body: sent.text });
      expect((await call(path, sent)).status).toBe(200);
      expect(await balanceOf(accountId)).toBe(batch * 1_000);
      const { json } = await call("GET /api/v1/deposits?limit=100", { key });
      expect(json["data"]).toHaveLength(batch);
      if (!isBroken) break;
    }
  },
);
