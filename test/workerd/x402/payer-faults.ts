import { runDurableObjectAlarm } from "cloudflare:test";
import * as fc from "fast-check";
import { expect } from "vitest";
import { accountObject } from "../../../edge/objects.ts";
import type { FakeWorker } from "../../helpers/fake-worker.ts";
import type { Mood } from "../../helpers/fake-facilitator.ts";
import { ask, crashAccount, type Payer } from "./payer.ts";
import { env } from "../routes/edge-client.ts";

/** How a facilitator takes its questions, and what is done meanwhile. */
export interface Faults {
  readonly moods: readonly Mood[];
  readonly steps: readonly ("send" | "send twice" | "alarm" | "crash")[];
}

export const faultsArbitrary: fc.Arbitrary<Faults> = fc.record({
  moods: fc.array(
    fc.constantFrom<Mood>("settle", "settle", "refuse", "down", "lose", "forget", "garble"),
    { maxLength: 6 },
  ),
  steps: fc.array(fc.constantFrom("send", "send twice", "alarm", "crash"), {
    minLength: 3,
    maxLength: 8,
  }),
});

/**
 * Sends what a payer has signed through all of this, and once more to a facilitator that is well
 * again, by when whatever was left to be asked is asked. Gives how many answers it had: none is
 * given twice, and each is one attempt of the worker.
 */
export async function sendThrough(
  { moods, steps }: Faults,
  at: {
    readonly model: string;
    readonly worker: FakeWorker;
    readonly payer: Payer;
    readonly signed: Record<string, string>;
  },
): Promise<number> {
  const { model, worker, payer, signed } = at;
  await payer.expect(...moods);
  const before = worker.attempts.length;
  let answers = 0;
  const send = async () => {
    const { status } = await ask(model, signed);
    expect([200, 402, 409, 503]).toContain(status);
    if (status === 200) answers += 1;
  };
  for (const step of steps) {
    if (step === "send") await send();
    if (step === "send twice") await Promise.all([send(), send()]);
    // A stub dies with its object.
    if (step === "alarm") await runDurableObjectAlarm(accountObject(env, payer.accountId));
    if (step === "crash") await crashAccount(payer);
  }
  await payer.expect();
  await send();
  expect(answers).toBeLessThanOrEqual(1);
  expect(worker.attempts.length - before).toBe(answers);
  return answers;
}
