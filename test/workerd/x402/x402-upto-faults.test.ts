import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PurchaseStore } from "../../../edge/billing/purchases/purchase-store.ts";
import { accountObject } from "../../../edge/objects.ts";
import { permitId } from "../../../edge/x402/payer.ts";
import { decodeHeader, presentedPermitSchema } from "../../../edge/x402/wire.ts";
import { settings } from "../../edge/x402/whole-wire.ts";
import { until } from "../../helpers/until.ts";
import { ask, newPayer, offerOf } from "./payer.ts";
import { faultsArbitrary, sendThrough } from "./payer-faults.ts";
import { env } from "../routes/edge-client.ts";
import { answering, ledgerSum, newModel, serve, untilListed } from "../world.ts";

const cost = 2;

test("whatever the facilitator answers and whenever objects die, a promise runs once at most, and its account is even or owes what nobody settled for certain", async () => {
  const model = newModel();
  const worker = await serve(model, { script: answering("x", "y"), slots: 16 });
  await untilListed(model);
  const price = offerOf(await ask(model), "upto");

  await fc.assert(
    fc.asyncProperty(faultsArbitrary, async (faults) => {
      const payer = await newPayer();
      const signed = await payer.promise(price);
      const header = decodeHeader(signed["payment-signature"] ?? "");
      const permit = presentedPermitSchema.parse(header).payload.permit2Authorization;
      // It has run by the end, in this try or another: nothing else has used it up.
      expect(await sendThrough(faults, { model, worker, payer, signed })).toBe(1);
      // A stub dies with its object.
      const account = () => accountObject(env, payer.accountId);
      const ended = await until("there is nothing more to ask", async () => {
        await runDurableObjectAlarm(account());
        const { balance, held, outboxEmpty } = await account().summary();
        const found = await runInDurableObject(account(), (_, { storage }) =>
          new PurchaseStore(storage.sql).find(permitId(settings, permit)),
        );
        const isOver = found?.state === "credited" || found?.state === "doubtful";
        return isOver && held === 0n && outboxEmpty && { balance, state: found.state };
      });
      const { settledMicros } = await payer.onChain();
      const isCredited = ended.state === "credited";
      expect(ended.balance).toBe(isCredited ? 0n : BigInt(-cost));
      expect(isCredited ? [cost] : [0, cost]).toContain(settledMicros);
      expect(await ledgerSum()).toBe(0n);
    }),
    { numRuns: 15 },
  );
});
