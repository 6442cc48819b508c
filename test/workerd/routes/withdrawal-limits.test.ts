import { expect, test } from "vitest";
import { finishMoney } from "../../../edge/routes/money/finish-money.ts";
import { accountObject } from "../../../edge/objects.ts";
import { rejectWithdrawal } from "../../../edge/db/money/withdrawals.ts";
import { systemBooks } from "../../../shared/assets.ts";
import { newId } from "../../../shared/ids.ts";
import { call, env, newConsumer, openDatabase, refusal } from "./edge-client.ts";
import { moneyOf, newAddress, stateOf, takeOut as takeCreditOut } from "./withdrawing.ts";

/*
 * All of it is of one asset that no other test pays out: test files share a database, and a payout
 * takes whatever is queued.
 */
const asset = "OCTO";

/** What leaves without an operator in a day: OCTO_FOUR_EYES_MICROS in vitest.config.ts. */
const limit = 1_000_000_000_000;

async function newRich(micros: number) {
  const consumer = await newConsumer();
  const credit = `${consumer.accountId}:available`;
  const legs = [{ debit: systemBooks.mint, credit, asset, micros: BigInt(micros) }] as const;
  const move = { id: `deposit:${newId("req")}`, kind: "deposit", reason: "a test", legs };
  expect(await accountObject(env, consumer.accountId).move(move)).toEqual({ kind: "moved" });
  return consumer;
}

function takeOut(key: string, amount: number, address = newAddress()): Promise<string> {
  return takeCreditOut(key, { asset, amount_micros: amount, address });
}

/** What there is of the asset, by bucket. */
async function bucketsOf(accountId: string) {
  const { buckets } = await accountObject(env, accountId).summary();
  const own = buckets.filter((one) => one.asset === asset);
  return Object.fromEntries(own.map(({ bucket, micros }) => [bucket, Number(micros)]));
}

test("an account that splits what it takes out gets no more than the limit without an operator", async () => {
  const { key, keyId } = await newRich(3 * limit);
  const take = (share: number) => takeOut(key, share * limit);
  const first = await take(0.6);
  const second = await take(0.6);
  expect(await stateOf(key, first)).toBe("queued");
  expect(await stateOf(key, second)).toBe("waiting");
  // What is left of the limit goes, and what waits does not count.
  const third = await take(0.4);
  expect(await stateOf(key, third)).toBe("queued");
  expect(await stateOf(key, await take(0.000001))).toBe("waiting");
  // What an operator lets go does not count, and what was paid out still does.
  const { json } = await call(`POST /api/v1/withdrawals/${second}/approve`);
  expect(json).toMatchObject({ state: "queued", requested_by: keyId });
  expect(json["approved_by"]).toEqual(expect.any(String));
  await using db = openDatabase();
  const paidOut = `update withdrawals set state = 'paid out' where id = '${first}'`;
  await db.migrate("pay out", [paidOut]);
  expect(await stateOf(key, await take(0.000001))).toBe("waiting");
  const yesterday = `queued_at = queued_at - ${24 * 3_600_000}`;
  await db.migrate("let a day pass", [
    `update withdrawals set ${yesterday} where id in ('${first}', '${third}')`,
  ]);
  expect(await stateOf(key, await take(1))).toBe("queued");
});

test("what was taken back leaves room for as much", async () => {
  const { key } = await newRich(2 * limit);
  const first = await takeOut(key, limit);
  await call(`DELETE /api/v1/withdrawals/${first}`, { key });
  const second = await takeOut(key, limit);
  expect(await stateOf(key, second)).toBe("queued");
});

test("withdrawals asked for all at once do not pass the limit together", async () => {
  const { key } = await newRich(2 * limit);
  const asked = Array.from({ length: 5 }, () => takeOut(key, 0.4 * limit));
  const states = await Promise.all((await Promise.all(asked)).map((id) => stateOf(key, id)));
  expect(states.toSorted()).toEqual(["queued", "queued", "waiting", "waiting", "waiting"]);
});

test("several accounts do not get more than the limit to one address without an operator", async () => {
  const address = newAddress();
  const states: unknown[] = [];
  for (let accounts = 0; accounts < 3; accounts++) {
    const { key } = await newRich(limit);
    const id = await takeOut(key, 0.4 * limit, address);
    states.push(await stateOf(key, id));
  }
  expect(states).toEqual(["queued", "queued", "waiting"]);
});

test("an account is told what it has of every asset, by bucket", async () => {
  const { key } = await newRich(5_000_000);
  await takeOut(key, 2_000_000);
  const { json } = await call("GET /api/v1/account", { key });
  expect(json).toMatchObject({
    balance_micros: 0,
    pending_micros: 0,
    other_balances: [
      { asset, bucket: "available", micros: 3_000_000 },
      { asset, bucket: "held", micros: 2_000_000 },
    ],
  });
});

test("less than the minimum stays, a whole balance too, and the error names the minimum", async () => {
  const { accountId, key } = await newConsumer();
  await call(`POST /api/v1/accounts/${accountId}/credits`, { body: { amount_micros: 999_999 } });
  const body = { amount_micros: 999_999, address: newAddress() };
  const error = await refusal("POST /api/v1/withdrawals", { key, body });
  expect(error).toMatchObject({ status: 400, code: "invalid_request", param: "amount_micros" });
  expect(error.message).toContain("the least is 1000000");
  const token = { ...body, asset };
  expect((await refusal("POST /api/v1/withdrawals", { key, body: token })).status).toBe(400);
  expect(await moneyOf(key)).toEqual({ available: 999_999, pending: 0 });
  expect((await call("GET /api/v1/withdrawals", { key })).json["data"]).toEqual([]);
});

test.each([
  ["of nobody", `0x${"0".repeat(40)}`],
  ["with a wrong checksum", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD".replace("aA", "AA")],
])("nothing is sent to an address %s", async (_, address) => {
  const { key } = await newConsumer();
  const body = { amount_micros: 1_000_000, address };
  const error = await refusal("POST /api/v1/withdrawals", { key, body });
  expect(error).toMatchObject({ status: 400, param: "address" });
});

test("an address with its checksum is the same one in lower case", async () => {
  const { key } = await newRich(5_000_000);
  const address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
  const body = { asset, amount_micros: 1_000_000, address };
  const { json } = await call("POST /api/v1/withdrawals", { key, body });
  expect(json["address"]).toBe(address.toLowerCase());
});

test("an edge that died as it rejected a withdrawal is followed by the timer, which returns the money", async () => {
  const { accountId, key } = await newRich(5_000_000);
  const id = await takeOut(key, 2_000_000);
  await using db = openDatabase();
  const nowMs = Date.now();
  expect(await rejectWithdrawal(db, { id, atMs: nowMs })).toBe(true);
  expect(await bucketsOf(accountId)).toEqual({ available: 3_000_000, held: 2_000_000 });
  for (let times = 0; times < 2; times++) await finishMoney(env, db, nowMs + 20 * 60_000);
  expect(await bucketsOf(accountId)).toEqual({ available: 5_000_000 });
  expect(await accountObject(env, accountId).void(id)).toMatchObject({ kind: "void" });
});

test.each([
  ["a negative amount", { amount_micros: -1 }, "amount_micros"],
  ["no amount", { amount_micros: 0 }, "amount_micros"],
  ["half a micro", { amount_micros: 1.5 }, "amount_micros"],
  ["more than a number holds", { amount_micros: 2 ** 53 }, "amount_micros"],
  ["an unknown asset", { asset: "BTC" }, "asset"],
  ["what is no address", { address: "0x12" }, "address"],
  ["another's account", { account_id: "acct_0000000000000000000000" }, "account_id"],
])("%s is refused", async (_, change, param) => {
  const { key } = await newConsumer();
  const body = { amount_micros: 1_000_000, address: newAddress(), ...change };
  const error = await refusal("POST /api/v1/withdrawals", { key, body });
  expect(error).toMatchObject({ status: 400, param });
});
