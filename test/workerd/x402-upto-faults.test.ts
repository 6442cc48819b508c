import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PurchaseStore } from "../../edge/billing/purchases/purchase-store.ts";
import { accountObject } from "../../edge/objects.ts";
import { permitId } from "../../edge/x402/payer.ts";
import { decodeHeader, presentedPermitSchema } from "../../edge/x402/wire.ts";
import { settings } from "../edge/x402/whole-wire.ts";
import type { Mood } from "../helpers/fake-facilitator.ts";
import { until } from "../helpers/until.ts";
import { ask, crashAccount, newPayer, offerOf } from "./payer.ts";
import { env } from "./routes/edge-client.ts";
import { answering, ledgerSum, newModel, serve, untilListed } from "./world.ts";

const moods = fc.array(
  fc.constantFrom<Mood>("settle", "settle", "refuse", "down", "lose", "forget", "garble"),
  { maxLength: 6 },
);
const steps = fc.array(fc.constantFrom("send", "send twice", "alarm", "crash"), {
  minLength: 3,
  maxLength: 8,
});
const cost = 2;

test("whatever the facilitator answers and whenever objects die, a promise runs once at most, and its account is even or owes what nobody settled for certain", async () => {
  const model = newModel();
  const worker = await serve(model, { script: answering("x", "y"), slots: 16 });
  await untilListed(model);
  const price = offerOf(await ask(model), "upto");

  await fc.assert(
    fc.asyncProperty(moods, steps, async (list, taken) => {
      const payer = await newPayer();
      await payer.expect(...list);
      const sent = await payer.promise(price);
      const header = decodeHeader(sent["payment-signature"] ?? "");
      const permit = presentedPermitSchema.parse(header).payload.permit2Authorization;
      // A stub dies with its object.
      const account = () => accountObject(env, payer.accountId);
      const before = worker.attempts.length;
      let answers = 0;
      const send = async () => {
        const { status } = await ask(model, sent);
        expect([200, 402, 409, 503]).toContain(status);
        if (status === 200) answers += 1;
      };
      for (const step of taken) {
        if (step === "send") await send();
        if (step === "send twice") await Promise.all([send(), send()]);
        if (step === "alarm") await runDurableObjectAlarm(account());
        if (step === "crash") await crashAccount(payer);
      }
      await payer.expect();
      await send();
      // It has run by now, in this try or another: nothing else has used it up.
      expect(answers).toBe(1);
      expect(worker.attempts.length - before).toBe(1);
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
