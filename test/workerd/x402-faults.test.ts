import { runDurableObjectAlarm } from "cloudflare:test";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { accountObject } from "../../edge/objects.ts";
import type { Mood } from "../helpers/fake-facilitator.ts";
import { until } from "../helpers/until.ts";
import { ask, crashAccount, newPayer, priceOf } from "./payer.ts";
import { env } from "./routes/edge-client.ts";
import { answering, ledgerSum, newModel, serve, untilListed } from "./world.ts";

const moods = fc.array(
  fc.constantFrom<Mood>("settle", "refuse", "down", "lose", "forget", "garble"),
  { maxLength: 6 },
);
const steps = fc.array(fc.constantFrom("send", "send twice", "alarm", "crash"), {
  minLength: 3,
  maxLength: 8,
});

test("whatever the facilitator answers and whenever objects die, an authorization runs once at most, and is credited once or not at all", async () => {
  const model = newModel();
  const worker = await serve(model, { script: answering("x"), slots: 16 });
  await untilListed(model);
  const price = priceOf(await ask(model));

  await fc.assert(
    fc.asyncProperty(moods, steps, async (list, taken) => {
      const payer = await newPayer();
      await payer.expect(...list);
      const sent = await payer.sign(price);
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
      // Whatever is left to be asked is asked, of a facilitator that is well again.
      await payer.expect();
      await send();
      expect(answers).toBeLessThanOrEqual(1);
      expect(worker.attempts.length - before).toBe(answers);
      // A settlement may be late where the object died under it.
      const credited = await until("the books say all or nothing", async () => {
        const { balance, held, outboxEmpty } = await account().summary();
        const found = balance + BigInt(answers) * 2n;
        const isWhole = found === 0n || found === BigInt(price.amount);
        return isWhole && held === 0n && outboxEmpty && { micros: found };
      });
      const { settledMicros } = await payer.onChain();
      expect(credited.micros).toBeLessThanOrEqual(BigInt(settledMicros));
      // Nothing is credited of what was settled only where nobody can tell any more.
      if (credited.micros === 0n && settledMicros > 0) {
        expect((await ask(model, sent)).text).toContain("Nobody can tell");
      }
      expect(await ledgerSum()).toBe(0n);
    }),
    { numRuns: 15 },
  );
});
