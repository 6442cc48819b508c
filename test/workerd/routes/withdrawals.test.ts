import { StandardMerkleTree } from "@openzeppelin/merkle-tree";
import { describe, expect, test } from "vitest";
import { conservation } from "../../../edge/db/ledger/current-books.ts";
import { findProof } from "../../../edge/db/money/payout-proofs.ts";
import { accountObject } from "../../../edge/objects.ts";
import { isInPayout } from "../../../shared/crypto/payout-tree.ts";
import { brokenCall, databaseFailures } from "./broken-call.ts";
import { call, env, openDatabase, operatorKey, refusal } from "./edge-client.ts";
import { moneyOf, newAddress, newRich, payOut, stateOf, takeOut } from "./withdrawing.ts";

/** More than an account takes out without an operator. */
const much = 1_500_000_000_000;

test("what is taken out is set aside at once, and leaves with the next payout", async () => {
  const { key } = await newRich(10_000_000_000);
  const address = newAddress();
  const id = await takeOut(key, { amount_micros: 4_000_000_000, address });
  expect(await moneyOf(key)).toEqual({ available: 6_000_000_000, pending: 4_000_000_000 });
  const [payout] = await payOut();
  expect(payout).toMatchObject({
    object: "payout",
    asset: "CREDIT",
    root: expect.stringMatching(/^0x[0-9a-f]{64}$/),
  });
  expect(await moneyOf(key)).toEqual({ available: 6_000_000_000, pending: 0 });
  const { json } = await call(`GET /api/v1/withdrawals/${id}`, { key });
  expect(json).toMatchObject({ state: "paid out", payout_id: payout?.["id"] });
});

test("a proof says what its address was paid in all, so that it can be claimed once", async () => {
  const { key } = await newRich(10_000_000_000);
  const [mine, other] = [newAddress(), newAddress()];
  await takeOut(key, { amount_micros: 1_000_000_000, address: mine });
  await takeOut(key, { amount_micros: 500_000_000, address: mine });
  await payOut();
  await takeOut(key, { amount_micros: 2_000_000_000, address: other });
  await takeOut(key, { amount_micros: 250_000_000, address: mine });
  const payout = (await payOut()).at(-1);
  const { json } = await call(`GET /api/v1/payouts/${payout?.["id"]}/proof?address=${mine}`);
  expect(json).toMatchObject({ cumulative_micros: 1_750_000_000, root: payout?.["root"] });
  const proof = json["proof"] as string[];
  const root = String(json["root"]);
  expect(isInPayout({ address: mine, amount: 1_750_000_000n }, proof, root)).toBe(true);
  expect(isInPayout({ address: mine, amount: 2_000_000_000n }, proof, root)).toBe(false);
  const { json: whole } = await call(`GET /api/v1/payouts/${payout?.["id"]}`, { key });
  expect(whole["leaves"]).toContainEqual({ address: other, cumulative_micros: 2_000_000_000 });
  expect(
    (await refusal(`GET /api/v1/payouts/${payout?.["id"]}/proof?address=${newAddress()}`)).status,
  ).toBe(404);
});

test("a payout is after those before it, whatever the clock says of them", async () => {
  const { key } = await newRich(10_000_000_000);
  const address = newAddress();
  await takeOut(key, { amount_micros: 1_000_000_000, address });
  const before = (await payOut()).at(-1)?.["id"];
  await using db = openDatabase();
  await db.migrate("put the clock back", [
    `update payouts set created_at = created_at + 60000 where id = '${String(before)}'`,
  ]);
  const proofOf = async (id: unknown) =>
    (await call(`GET /api/v1/payouts/${String(id)}/proof?address=${address}`)).json;
  const proof = await proofOf(before);
  await takeOut(key, { amount_micros: 2_000_000_000, address });
  const after = (await payOut()).at(-1)?.["id"];
  expect(await proofOf(after)).toMatchObject({ cumulative_micros: 3_000_000_000 });
  expect(await proofOf(before)).toEqual(proof);
});

test("payouts asked for at the same time pay each withdrawal once", async () => {
  const { key } = await newRich(10_000_000_000);
  const address = newAddress();
  const asked = Array.from({ length: 6 }, () =>
    takeOut(key, { amount_micros: 1_000_000_000, address }),
  );
  const ids = await Promise.all(asked);
  await Promise.all([payOut(), payOut(), payOut()]);
  for (const id of ids) expect(await stateOf(key, id)).toBe("paid out");
  expect(await moneyOf(key)).toEqual({ available: 4_000_000_000, pending: 0 });
  await using db = openDatabase();
  expect((await conservation(db)).every(({ sumMicros }) => sumMicros === 0n)).toBe(true);
});

test("a large amount waits for an operator, who lets it go or gives it back", async () => {
  const { key } = await newRich(2 * much);
  const [goes, stays] = [
    await takeOut(key, { amount_micros: much, address: newAddress() }),
    await takeOut(key, { amount_micros: much, address: newAddress() }),
  ];
  await payOut();
  expect([await stateOf(key, goes), await stateOf(key, stays)]).toEqual(["waiting", "waiting"]);
  expect((await refusal(`POST /api/v1/withdrawals/${goes}/approve`, { key })).status).toBe(403);
  expect((await call(`POST /api/v1/withdrawals/${goes}/approve`)).json["state"]).toBe("queued");
  expect((await call(`POST /api/v1/withdrawals/${stays}/reject`)).json["state"]).toBe("rejected");
  await payOut();
  expect(await stateOf(key, goes)).toBe("paid out");
  expect(await moneyOf(key)).toEqual({ available: much, pending: 0 });
  expect((await refusal(`POST /api/v1/withdrawals/${stays}/approve`)).status).toBe(409);
});

test("what a suspended account has queued is not paid out while it is suspended", async () => {
  const { accountId, key } = await newRich(10_000_000);
  const id = await takeOut(key, { amount_micros: 4_000_000, address: newAddress() });
  const turn = (status: string) =>
    call(`PATCH /api/v1/accounts/${accountId}`, { body: { status } });
  await turn("suspended");
  await payOut();
  await turn("active");
  expect(await stateOf(key, id)).toBe("queued");
  await payOut();
  expect(await stateOf(key, id)).toBe("paid out");
});

test("what no payout has yet can be taken back, once, and what has left cannot", async () => {
  const { key } = await newRich(10_000_000_000);
  const id = await takeOut(key, { amount_micros: 3_000_000_000, address: newAddress() });
  for (let times = 0; times < 2; times++) {
    const { json } = await call(`DELETE /api/v1/withdrawals/${id}`, { key });
    expect(json["state"]).toBe("rejected");
  }
  expect(await moneyOf(key)).toEqual({ available: 10_000_000_000, pending: 0 });
  const gone = await takeOut(key, { amount_micros: 3_000_000_000, address: newAddress() });
  await payOut();
  expect((await refusal(`DELETE /api/v1/withdrawals/${gone}`, { key })).status).toBe(409);
  expect(await moneyOf(key)).toEqual({ available: 7_000_000_000, pending: 0 });
});

test("cancelling races a payout, and the money leaves or returns, never both", async () => {
  const { key } = await newRich(10_000_000_000);
  const address = newAddress();
  for (let times = 0; times < 5; times++) {
    const id = await takeOut(key, { amount_micros: 1_000_000_000, address });
    await Promise.all([payOut(), call(`DELETE /api/v1/withdrawals/${id}`, { key })]);
    await payOut();
    expect(["paid out", "rejected"]).toContain(await stateOf(key, id));
  }
  const { json } = await call("GET /api/v1/withdrawals", { key });
  const rows = json["data"] as { state: string }[];
  const paid = rows.filter(({ state }) => state === "paid out").length;
  expect(await moneyOf(key)).toEqual({
    available: 10_000_000_000 - paid * 1_000_000_000,
    pending: 0,
  });
});

test("an Idempotency-Key takes the money once, and another amount under it is a conflict", async () => {
  const { key } = await newRich(10_000_000_000);
  const headers = { "idempotency-key": "rent-of-May" };
  const body = { amount_micros: 2_000_000_000, address: newAddress() };
  const ids = new Set<unknown>();
  for (let times = 0; times < 3; times++) {
    const { status, json } = await call("POST /api/v1/withdrawals", { key, body, headers });
    expect(status).toBe(201);
    ids.add(json["id"]);
  }
  expect(ids.size).toBe(1);
  expect(await moneyOf(key)).toEqual({ available: 8_000_000_000, pending: 2_000_000_000 });
  const other = { ...body, amount_micros: 1_000_000 };
  const error = await refusal("POST /api/v1/withdrawals", { key, body: other, headers });
  expect(error).toMatchObject({ status: 409, code: "idempotency_conflict" });
});

test("more than there is cannot be taken out, nor an asset that one has none of", async () => {
  const { key } = await newRich(1_000_000_000);
  for (const body of [
    { amount_micros: 1_000_001_000, address: newAddress() },
    { amount_micros: 1_000_000, asset: "OCTO", address: newAddress() },
  ]) {
    const error = await refusal("POST /api/v1/withdrawals", { key, body });
    expect(error).toMatchObject({ status: 402, code: "insufficient_quota" });
  }
  expect(await moneyOf(key)).toEqual({ available: 1_000_000_000, pending: 0 });
});

/** What the account's withdrawals say is set aside, and what is. */
async function setAsideOf(key: string): Promise<{ readonly listed: number; readonly is: unknown }> {
  const { json } = await call("GET /api/v1/withdrawals", { key });
  const rows = json["data"] as { state: string; amount_micros: number }[];
  const open = rows.filter(({ state }) => state === "waiting" || state === "queued");
  const listed = open.reduce((sum, { amount_micros: micros }) => sum + micros, 0);
  const account = await call("GET /api/v1/account", { key });
  return { listed, is: account.json["pending_micros"] };
}

describe.each(databaseFailures)(
  "an edge whose database %s, at any point of a withdrawal,",
  (how) => {
    test("sets nothing aside that its owner cannot see and take back", async () => {
      const { key } = await newRich(10_000_000_000);
      const body = JSON.stringify({ amount_micros: 1_000_000, address: newAddress() });
      for (let batch = 1; ; batch++) {
        if (!(await brokenCall("POST /api/v1/withdrawals", { batch, how }, { key, body }))) break;
        const { json } = await call("GET /api/v1/withdrawals?limit=100", { key });
        for (const { id } of json["data"] as { id: string }[]) {
          expect((await call(`DELETE /api/v1/withdrawals/${id}`, { key })).status).toBe(200);
        }
        expect({ batch, money: await moneyOf(key) }).toEqual({
          batch,
          money: { available: 10_000_000_000, pending: 0 },
        });
      }
    });

    test("takes the money once when it is asked again under its Idempotency-Key", async () => {
      const { key } = await newRich(10_000_000_000);
      const body = { amount_micros: 1_000_000, address: newAddress() };
      for (let batch = 1; ; batch++) {
        const headers = { "idempotency-key": `try-${batch}` };
        const sent = { key, body: JSON.stringify(body), headers };
        const isBroken = await brokenCall("POST /api/v1/withdrawals", { batch, how }, sent);
        const { status, json } = await call("POST /api/v1/withdrawals", { key, body, headers });
        expect({ status, state: json["state"] }).toEqual({ status: 201, state: "queued" });
        expect(await setAsideOf(key)).toEqual({ listed: batch * 1_000_000, is: batch * 1_000_000 });
        if (!isBroken) break;
      }
    });

    test("gives it back when it is asked again to", async () => {
      const { key } = await newRich(10_000_000_000);
      for (let batch = 1; ; batch++) {
        const id = await takeOut(key, { amount_micros: 1_000_000, address: newAddress() });
        const route = `DELETE /api/v1/withdrawals/${id}`;
        const isBroken = await brokenCall(route, { batch, how }, { key, body: null });
        expect((await call(route, { key })).json["state"]).toBe("rejected");
        expect(await moneyOf(key)).toEqual({ available: 10_000_000_000, pending: 0 });
        if (!isBroken) break;
      }
    });
  },
);

test.each(databaseFailures)(
  "a payout that broke off as the database %s is finished, once",
  async (how) => {
    const { key } = await newRich(10_000_000_000);
    const address = newAddress();
    await payOut();
    for (let batch = 1; ; batch++) {
      const ids = [
        await takeOut(key, { amount_micros: 1_000_000, address }),
        await takeOut(key, { amount_micros: 2_000_000, address }),
      ];
      const sent = { key: operatorKey, body: "{}" };
      const isBroken = await brokenCall("POST /api/v1/payouts", { batch, how }, sent);
      await payOut();
      for (const id of ids) expect(await stateOf(key, id)).toBe("paid out");
      expect(await moneyOf(key)).toEqual({
        available: 10_000_000_000 - batch * 3_000_000,
        pending: 0,
      });
      const { json } = await call("GET /api/v1/payouts?limit=1");
      const [last] = json["data"] as Record<string, unknown>[];
      const route = `GET /api/v1/payouts/${last?.["id"]}/proof?address=${address}`;
      const proven = (await call(route)).json;
      expect(proven).toMatchObject({ cumulative_micros: batch * 3_000_000, root: last?.["root"] });
      if (!isBroken) break;
    }
  },
);

test("a withdrawal that was refused is over, and is refused again under its key", async () => {
  const { accountId, key } = await newRich(1_000_000);
  const headers = { "idempotency-key": "too-much" };
  const body = { amount_micros: 2_000_000, address: newAddress() };
  const first = await refusal("POST /api/v1/withdrawals", { key, body, headers });
  expect(first).toMatchObject({ status: 402, code: "insufficient_quota" });
  await call(`POST /api/v1/accounts/${accountId}/credits`, { body: { amount_micros: 5_000_000 } });
  const again = await refusal("POST /api/v1/withdrawals", { key, body, headers });
  expect(again).toMatchObject({ status: 409, code: "conflict" });
  expect(await moneyOf(key)).toEqual({ available: 6_000_000, pending: 0 });
});

test("an operator does not let a large amount of the own account go; another does", async () => {
  const { accountId, key } = await newRich(much);
  const body = { account_id: accountId, name: "root", scopes: ["operator"] };
  const operator = String((await call("POST /api/v1/keys", { body })).json["key"]);
  const id = await takeOut(key, { amount_micros: much, address: newAddress() });
  const own = await refusal(`POST /api/v1/withdrawals/${id}/approve`, { key: operator });
  expect(own).toMatchObject({ status: 403, code: "insufficient_scope" });
  expect(await stateOf(key, id)).toBe("waiting");
  expect((await call(`POST /api/v1/withdrawals/${id}/approve`)).json["state"]).toBe("queued");
});

test("a withdrawal whose account has nothing set aside leaves its payout, and the others go", async () => {
  const [odd, other] = [await newRich(10_000_000_000), await newRich(10_000_000_000)];
  const lost = await takeOut(odd.key, { amount_micros: 1_000_000, address: newAddress() });
  const address = newAddress();
  const goes = await takeOut(other.key, { amount_micros: 2_000_000, address });
  await accountObject(env, odd.accountId).void(lost);
  const payout = (await payOut()).at(-1);
  expect(await stateOf(other.key, goes)).toBe("paid out");
  const { json } = await call(`GET /api/v1/payouts/${payout?.["id"]}`);
  const leaves = json["leaves"] as { address: string; cumulative_micros: number }[];
  expect(leaves).toContainEqual({ address, cumulative_micros: 2_000_000 });
  // For an operator, who finds out what became of its money.
  const { json: left } = await call(`GET /api/v1/withdrawals/${lost}`, { key: odd.key });
  expect(left).toMatchObject({ state: "waiting", payout_id: null });
  expect((await refusal(`POST /api/v1/withdrawals/${lost}/approve`)).status).toBe(409);
  expect((await call(`POST /api/v1/withdrawals/${lost}/reject`)).json["state"]).toBe("rejected");
  expect(await moneyOf(odd.key)).toEqual({ available: 10_000_000_000, pending: 0 });
});

test("a payout of which nothing can be paid is none", async () => {
  await payOut();
  const { accountId, key } = await newRich(10_000_000_000);
  const lost = await takeOut(key, { amount_micros: 1_000_000, address: newAddress() });
  await accountObject(env, accountId).void(lost);
  expect((await refusal("POST /api/v1/payouts", { body: {} })).status).toBe(409);
  await takeOut(key, { amount_micros: 1_000_000, address: newAddress() });
  expect(await payOut()).toMatchObject([{ withdrawals: 1, total_micros: 1_000_000 }]);
});

interface Proof {
  readonly root: string;
  readonly cumulative_micros: number;
  readonly proof: string[];
}

/** Holds a proof of the edge against OpenZeppelin's own tree of the payout's leaves. */
async function provenBy(payoutId: string, address: string): Promise<Proof> {
  const { json } = await call(`GET /api/v1/payouts/${payoutId}/proof?address=${address}`);
  const given = json as unknown as Proof;
  const { json: payout } = await call(`GET /api/v1/payouts/${payoutId}`);
  const leaves = payout["leaves"] as { address: string; cumulative_micros: number }[];
  const rows = leaves.map((leaf) => [leaf.address, String(leaf.cumulative_micros)]);
  const tree = StandardMerkleTree.of(rows, ["address", "uint256"]);
  expect(given.root).toBe(tree.root);
  const at = rows.findIndex(([paid]) => paid === address);
  expect(given.proof).toEqual(tree.getProof(at));
  expect(String(given.cumulative_micros)).toBe(rows[at]?.[1]);
  return given;
}

test("proofs are stored as a payout is made, and computed where they are not, all the same", async () => {
  const { key } = await newRich(100_000_000);
  const [early, late] = [newAddress(), newAddress()];
  await takeOut(key, { amount_micros: 1_000_000, address: early });
  const first = String((await payOut()).at(-1)?.["id"]);
  await takeOut(key, { amount_micros: 2_000_000, address: late });
  const second = String((await payOut()).at(-1)?.["id"]);
  await using db = openDatabase();
  const stored = async (payoutId: string, address: string) =>
    (await findProof(db, { payoutId, address })) !== null;
  // The last payout has all of its leaves, the one before it those that it paid itself.
  expect(await stored(second, early)).toBe(true);
  expect(await stored(second, late)).toBe(true);
  expect(await stored(first, early)).toBe(true);
  const given = [await provenBy(second, early), await provenBy(first, early)];
  // A stored one is one read of the database, whoever asks and however large the tree is.
  const route = `GET /api/v1/payouts/${second}/proof?address=${early}`;
  expect(await brokenCall(route, { batch: 2, how: "is away" }, { key, body: null })).toBe(false);
  await takeOut(key, { amount_micros: 2_000_000, address: late });
  await payOut();
  expect(await stored(second, early)).toBe(false);
  expect(await stored(second, late)).toBe(true);
  expect(await provenBy(second, early)).toEqual(given[0]);
  await db.migrate("forget the proofs", ["delete from payout_proofs"]);
  expect(await provenBy(first, early)).toEqual(given[1]);
  const later = await refusal(`GET /api/v1/payouts/${first}/proof?address=${late}`);
  expect(later).toMatchObject({ status: 404 });
});
