import { beforeEach, describe, expect, test } from "vitest";
import { TicketSeal, type Terms } from "../../../edge/billing/ticket.ts";
import { accountObject } from "../../../edge/objects.ts";
import { generateSigningKey, type SigningKey } from "../../../shared/crypto/signing.ts";
import { newId } from "../../../shared/ids.ts";
import { defaultSplit } from "../../../shared/money.ts";
import { type Receipt, signReceipt } from "../../../shared/protocol/receipt.ts";
import { sampleReceipt } from "../../helpers/frames.ts";
import { until } from "../../helpers/until.ts";
import { env } from "../routes/edge-client.ts";
import {
  type Consumer,
  crashHub,
  ledgerSum,
  newFunded,
  newModel,
  serve,
  storedTask,
  untilSettled,
} from "../world.ts";

const seal = new TicketSeal(env.OCTO_TICKET_SECRET ?? "");
let consumer: Consumer;
let key: SigningKey;

beforeEach(async () => {
  consumer = await newFunded();
  ({ key } = await generateSigningKey());
});

/** The terms of a task that ran on a hub before it died. */
function termsOfLostTask(changed: Partial<Terms> = {}): Terms {
  return {
    v: 1,
    task: newId("tsk"),
    account: consumer.accountId,
    key: consumer.keyId,
    kind: "chat",
    model: "m",
    region: "weur",
    streamed: true,
    limit: "5000",
    input_micros_per_million: 1_000_000,
    output_micros_per_million: 1_000_000,
    split: defaultSplit,
    created_ms: Date.now(),
    expires_ms: Date.now() + 60_000,
    ...changed,
  };
}

function receiptFor(terms: Terms, changed: Partial<Receipt> = {}): Receipt {
  return {
    ...sampleReceipt,
    attempt: `${terms.task}.1`,
    worker: key.publicKey,
    prompt_tokens: 100,
    completion_tokens: 200,
    input_micros_per_million: terms.input_micros_per_million,
    output_micros_per_million: terms.output_micros_per_million,
    ...changed,
  };
}

/** Brings the receipt back to a hub that knows nothing of its task; gives the worker. */
async function bringBack(ticket: string, receipt: Receipt) {
  await crashHub();
  const worker = await serve(newModel(), { key });
  const signed = await signReceipt(receipt, key);
  worker.send({ type: "receipt.submit", entries: [{ ticket, signed }] });
  const { attempts } = await worker.first("receipt.ack");
  expect(attempts).toEqual([receipt.attempt]);
  return { worker, entry: { ticket, signed } };
}

describe("a receipt that its hub's death left unacknowledged", () => {
  test("is paid once, however often it is brought back", async () => {
    const terms = termsOfLostTask();
    const { worker, entry } = await bringBack(await seal.seal(terms), receiptFor(terms));
    worker.send({ type: "receipt.submit", entries: [entry] });
    await until("it is acknowledged again", () => worker.all("receipt.ack").length === 2);
    const { task, attempts, receipts } = await storedTask(consumer, terms.task);
    expect(task).toMatchObject({ state: "settled", finish: "recovered", costMicros: 300n });
    expect(attempts).toMatchObject([{ number: 1, workerId: key.publicKey }]);
    expect(receipts).toHaveLength(1);
    expect((await untilSettled(consumer)).balance).toBe(10_000_000n - 300n);
    expect(await ledgerSum()).toBe(0n);
  });

  test("costs no more than was agreed", async () => {
    const terms = termsOfLostTask({ limit: "50" });
    await bringBack(await seal.seal(terms), receiptFor(terms));
    expect((await storedTask(consumer, terms.task)).task.costMicros).toBe(50n);
  });

  test("is acknowledged and not paid where its task was closed already", async () => {
    const terms = termsOfLostTask();
    const record = {
      digest: null,
      class: "public",
      finish: "failed",
      errorCode: "unavailable",
      route: null,
      firstTokenMs: null,
      endedMs: Date.now(),
      attempts: [],
      receipt: null,
    } as const;
    await accountObject(env, consumer.accountId).close([{ kind: "void", terms, record }]);
    await bringBack(await seal.seal(terms), receiptFor(terms));
    expect((await untilSettled(consumer)).balance).toBe(10_000_000n);
  });

  test.each<[string, Partial<Receipt>]>([
    ["of a broken answer", { outcome: "cancelled" }],
    ["above the agreed price", { output_micros_per_million: 1_000_001 }],
    ["of another task", { attempt: "tsk_0123456789ABCDEFGHIJkl.1" }],
    ["of another worker", { worker: "A".repeat(43) }],
  ])("%s is dropped", async (_what, changed) => {
    const terms = termsOfLostTask();
    await bringBack(await seal.seal(terms), receiptFor(terms, changed));
    expect((await untilSettled(consumer)).balance).toBe(10_000_000n);
  });

  test("under a ticket that nobody sealed is dropped", async () => {
    const terms = termsOfLostTask();
    const forged = await new TicketSeal("x".repeat(43)).seal(terms);
    for (const ticket of ["", "a.b", "....", forged]) {
      await bringBack(ticket, receiptFor(terms));
    }
    expect((await untilSettled(consumer)).balance).toBe(10_000_000n);
  });

  test("of a task that this hub itself has seen end is not paid again", async () => {
    const worker = await serve(newModel(), { key });
    const terms = termsOfLostTask({ created_ms: Date.now() + 1 });
    const signed = await signReceipt(receiptFor(terms), key);
    const ticket = await seal.seal(terms);
    worker.send({ type: "receipt.submit", entries: [{ ticket, signed }] });
    await worker.first("receipt.ack");
    expect((await untilSettled(consumer)).balance).toBe(10_000_000n);
  });
});
