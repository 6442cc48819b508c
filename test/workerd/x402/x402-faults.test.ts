import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type Purchase, PurchaseStore } from "../../../edge/billing/purchases/purchase-store.ts";
import { accountObject } from "../../../edge/objects.ts";
import { until } from "../../helpers/until.ts";
import { ask, crashAccount, newPayer, priceOf } from "./payer.ts";
import { faultsArbitrary, sendThrough } from "./payer-faults.ts";
import { env } from "../routes/edge-client.ts";
import { answering, ledgerSum, newModel, serve, untilListed } from "../world.ts";

test("whatever the facilitator answers and whenever objects die, an authorization runs once at most, and is credited once or not at all", async () => {
  const model = newModel();
  const worker = await serve(model, { script: answering("x"), slots: 16 });
  await untilListed(model);
  const price = priceOf(await ask(model));

  await fc.assert(
    fc.asyncProperty(faultsArbitrary, async (faults) => {
      const payer = await newPayer();
      const signed = await payer.sign(price);
      const answers = await sendThrough(faults, { model, worker, payer, signed });
      // A settlement may be late where the object died under it.
      const credited = await until("the books say all or nothing", async () => {
        const { balance, held, outboxEmpty } = await accountObject(env, payer.accountId).summary();
        const found = balance + BigInt(answers) * 2n;
        const isWhole = found === 0n || found === BigInt(price.amount);
        return isWhole && held === 0n && outboxEmpty && { micros: found };
      });
      const { settledMicros } = await payer.onChain();
      expect(credited.micros).toBeLessThanOrEqual(BigInt(settledMicros));
      // Nothing is credited of what was settled only where nobody can tell any more.
      if (credited.micros === 0n && settledMicros > 0) {
        expect((await ask(model, signed)).text).toContain("Nobody can tell");
      }
      expect(await ledgerSum()).toBe(0n);
    }),
    { numRuns: 15 },
  );
});

/** A payer whose account has a purchase at some point of its way, found by an object that wakes. */
async function withPurchase(purchase: Partial<Purchase>) {
  const model = newModel();
  await serve(model, { script: answering("x") });
  await untilListed(model);
  const payer = await newPayer();
  const price = priceOf(await ask(model));
  expect((await ask(model, await payer.sign(price))).status).toBe(200);
  const account = () => accountObject(env, payer.accountId);
  const before = await until("the account has settled", async () => {
    const summary = await account().summary();
    return summary.held === 0n && summary.outboxEmpty && summary;
  });
  const id = `x402:test:${payer.address}`;
  const rest = { id, state: "settling", taskId: null, micros: 500n, payer: payer.address } as const;
  const asked = { body: "{}", transaction: "", asked: 1, untilMs: Date.now() + 60_000 };
  await runInDurableObject(account(), (_, { storage }) => {
    new PurchaseStore(storage.sql).add({ ...rest, ...asked, ...purchase });
  });
  await crashAccount(payer);
  const found = () =>
    runInDurableObject(account(), (_, { storage }) => new PurchaseStore(storage.sql).find(id));
  return { payer, account, before, found };
}

test("an account that died between the facilitator's word and the credit asks nobody again", async () => {
  const { payer, account, before, found } = await withPurchase({ transaction: "0x12" });
  await until("it is credited", async () => {
    await runDurableObjectAlarm(account());
    return (await found())?.state === "credited";
  });
  expect((await account().summary()).balance).toBe(before.balance + 500n);
  expect((await payer.onChain()).asked).toBe(1);
  await until("the books are told", async () => (await account().summary()).outboxEmpty);
  expect(await ledgerSum()).toBe(0n);
});

test("what nobody has said a word of long after it ended is left to the operator", async () => {
  const untilMs = Date.now() - 11 * 60_000;
  const { account, before, found } = await withPurchase({ untilMs });
  await until("it is in doubt", async () => {
    await runDurableObjectAlarm(account());
    return (await found())?.state === "doubtful";
  });
  // What is kept is what to look for, and nothing that anybody could send.
  expect((await found())?.body).toBe("");
  expect((await account().summary()).balance).toBe(before.balance);
});
