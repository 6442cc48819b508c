import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { listDeposits } from "../../../edge/db/money/deposits.ts";
import { accountObject } from "../../../edge/objects.ts";
import type { Script } from "../../helpers/fake-worker.ts";
import { until } from "../../helpers/until.ts";
import { ask, crashAccount, newPayer, offerOf, type Payer } from "./payer.ts";
import { type Answer, call, env, openDatabase } from "../routes/edge-client.ts";
import { readStream } from "../sse.ts";
import { answering, ledgerSum, newModel, serve, untilListed } from "../world.ts";

/** Five prompt tokens and up to 1,000 made, of which so few are made that it costs this. */
const cost = 2;

async function world(script: Script = answering("Hel", "lo")) {
  const model = newModel();
  const worker = await serve(model, { script, slots: 16 });
  await untilListed(model);
  const payer = await newPayer();
  const price = offerOf(await ask(model), "upto");
  return { model, worker, payer, price };
}

/** A script that makes nothing before it is let go. */
function gated(): { readonly script: Script; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const script: Script = async (attempt) => {
    await promise;
    attempt.answer("Hel", "lo");
  };
  return { script, open: resolve };
}

const account = (payer: Payer) => accountObject(env, payer.accountId);

/** Runs alarms until the account has this balance and has told of everything. */
async function untilBalance(payer: Payer, balance: bigint) {
  await until(`the account has ${balance}`, async () => {
    await runDurableObjectAlarm(account(payer));
    const found = await account(payer).summary();
    return found.balance === balance && found.held === 0n && found.outboxEmpty;
  });
}

/** Once the facilitator has settled so many tasks, each for its cost, and the account is even. */
async function untilEven(payer: Payer, tasks = 1) {
  await until(`${tasks} are settled`, async () => {
    await runDurableObjectAlarm(account(payer));
    return (await payer.onChain()).transactions.length === tasks;
  });
  await untilBalance(payer, 0n);
  expect((await payer.onChain()).settledMicros).toBe(tasks * cost);
  const deposits = await until("the registry has the deposits", async () => {
    await runDurableObjectAlarm(account(payer));
    await using db = openDatabase();
    const { items } = await listDeposits(db, { accountId: payer.accountId, limit: 20 });
    return items.length === tasks && items;
  });
  expect(await ledgerSum()).toBe(0n);
  return deposits;
}

function codeOf({ status, json }: Answer): string {
  return status === 200 ? "200" : `${status} ${(json["error"] as { code: string }).code}`;
}

const wordsOf = ({ json }: Answer) => (json["error"] as { message: string }).message;

describe("a request that is promised to be paid", () => {
  test("is answered, and what it did cost is settled after it", async () => {
    const { model, worker, payer, price } = await world();
    const answer = await ask(model, await payer.promise(price));
    expect(answer.json["choices"]).toMatchObject([{ message: { content: "Hello" } }]);
    expect(answer.headers.get("payment-response")).toBeNull();
    const deposits = await untilEven(payer);
    const { transactions, asked, verified } = await payer.onChain();
    expect({ asked, verified }).toEqual({ asked: 1, verified: 1 });
    expect(deposits).toMatchObject([
      { rail: "x402", reference: transactions[0], amountMicros: BigInt(cost) },
    ]);
    expect(worker.attempts).toHaveLength(1);
    const { json } = await call(`GET /api/v1/accounts/${payer.accountId}`);
    expect(json).toMatchObject({ name: payer.address, balance_micros: 0 });
  });

  test("streams", async () => {
    const { model, payer, price } = await world();
    const answer = await ask(model, await payer.promise(price), { stream: true });
    expect(await readStream(new Response(answer.text))).toMatchObject({
      text: "Hello",
      isDone: true,
    });
    await untilEven(payer);
  });

  test("may be one of several at once, each settled by itself", async () => {
    const { model, payer, price } = await world();
    const answers = await Promise.all(
      Array.from({ length: 6 }, async () => ask(model, await payer.promise(price))),
    );
    expect(answers.map(codeOf)).toEqual(Array(6).fill("200"));
    await untilEven(payer, 6);
  });

  test("of which nothing came settles nothing, and wants another signature", async () => {
    const { model, payer, price } = await world((attempt) =>
      attempt.fail("context_length_exceeded", "it does not fit"),
    );
    const sent = await payer.promise(price);
    const failed = await ask(model, sent);
    expect(codeOf(failed)).toBe("400 context_length_exceeded");
    expect(wordsOf(failed)).toContain("sign another authorization");
    await untilBalance(payer, 0n);
    expect(codeOf(await ask(model, sent))).toBe("409 conflict");
    expect(await payer.onChain()).toMatchObject({ asked: 0, settledMicros: 0 });
  });

  test("is nobody's credit while it runs, nor for any other task", async () => {
    const { script, open } = gated();
    const { model, payer, price, worker } = await world(script);
    const asking = ask(model, await payer.promise(price));
    await until("it runs", () => worker.attempts.length === 1);
    const { balance, available, held } = await account(payer).summary();
    expect({ balance, available, held }).toEqual({ balance: 0n, available: 0n, held: 0n });
    const exact = offerOf(await ask(model), "exact");
    const less = await payer.sign(exact, { value: `${BigInt(exact.amount) - 1n}` });
    expect(codeOf(await ask(model, less))).toBe("402 insufficient_quota");
    open();
    expect((await asking).status).toBe(200);
    await untilEven(payer);
  });

  test("is one of eight at most of an address, with what is still to be settled", async () => {
    const { script, open } = gated();
    const { model, payer, price, worker } = await world(script);
    const asking = Array.from({ length: 8 }, async () => ask(model, await payer.promise(price)));
    await until("they run", () => worker.attempts.length === 8);
    const ninth = await payer.promise(price);
    expect(codeOf(await ask(model, ninth))).toBe("429 rate_limit_exceeded");
    open();
    expect((await Promise.all(asking)).map(codeOf)).toEqual(Array(8).fill("200"));
    await untilEven(payer, 8);
    expect((await ask(model, ninth)).status).toBe(200);
    await untilEven(payer, 9);
  });
});

describe("a promise", () => {
  test("runs one task, however often it is sent, and after its account has slept", async () => {
    const { model, worker, payer, price } = await world();
    const sent = await payer.promise(price);
    const answers = await Promise.all([ask(model, sent), ask(model, sent), ask(model, sent)]);
    expect(answers.map(codeOf).toSorted()).toEqual(["200", "409 conflict", "409 conflict"]);
    await untilEven(payer);
    await evictDurableObject(account(payer));
    expect(codeOf(await ask(model, sent))).toBe("409 conflict");
    expect(worker.attempts).toHaveLength(1);
    expect((await payer.onChain()).asked).toBe(1);
  });

  test.each([
    ["less than it may cost", { amount: "1" }, "what was signed and your credit are 1"],
    ["another receiver", { witness: { to: `0x${"1".repeat(40)}` } }, "it is signed for 0x1111"],
    ["too short a time", { deadline: `${Math.floor(Date.now() / 1_000) + 300}` }, "2400 seconds"],
    ["an owner who did not sign it", { from: `0x${"1".repeat(40)}` }, "it is not signed by"],
  ])("for %s is refused with the price, and nobody is asked of it", async (_, change, words) => {
    const { model, worker, payer, price } = await world();
    const answer = await ask(model, await payer.promise(price, change));
    expect(codeOf(answer)).toBe("402 insufficient_quota");
    expect(wordsOf(answer)).toContain(words);
    expect(offerOf(answer, "upto")).toEqual(price);
    expect(await payer.onChain()).toMatchObject({ verified: 0, asked: 0 });
    expect(worker.attempts).toEqual([]);
  });

  test("that the facilitator would not settle runs nothing, and may be sent again", async () => {
    const { model, worker, payer, price } = await world();
    await payer.expect("refuse");
    const sent = await payer.promise(price);
    const answer = await ask(model, sent);
    expect(codeOf(answer)).toBe("402 insufficient_quota");
    expect(wordsOf(answer)).toBe("The facilitator refused it: insufficient_balance");
    expect(worker.attempts).toEqual([]);
    expect((await call(`GET /api/v1/accounts/${payer.accountId}`)).status).toBe(404);
    expect((await ask(model, sent)).status).toBe(200);
    await untilEven(payer);
  });

  test.each(["down", "hang"] as const)(
    "of which the facilitator says nothing first (%s) runs nothing, and may be sent again",
    async (mood) => {
      const { model, worker, payer, price } = await world();
      await payer.expect(mood);
      const sent = await payer.promise(price);
      expect(codeOf(await ask(model, sent))).toBe("503 unavailable");
      expect(worker.attempts).toEqual([]);
      expect((await ask(model, sent)).status).toBe(200);
      await untilEven(payer);
    },
  );

  test.each(["down", "garble", "redirect", "lose", "hang"] as const)(
    "to whose settlement this happens: %s; is asked of until there is a word, and counts once",
    async (mood) => {
      const { model, payer, price } = await world();
      await payer.expect("settle", mood);
      expect((await ask(model, await payer.promise(price))).status).toBe(200);
      await untilBalance(payer, BigInt(-cost));
      await untilEven(payer);
      expect((await payer.onChain()).asked).toBe(2);
    },
  );

  test.each([
    ["refused", ["settle", "refuse"]],
    ["forgotten after a lost answer", ["settle", "lose", "forget"]],
  ] as const)("that is %s after the work leaves its account owing", async (_, moods) => {
    const { model, worker, payer, price } = await world();
    await payer.expect(...moods);
    expect((await ask(model, await payer.promise(price))).status).toBe(200);
    await untilBalance(payer, BigInt(-cost));
    const more = await payer.promise(price);
    const refused = await until("nobody is asked any more", async () => {
      await runDurableObjectAlarm(account(payer));
      const answer = await ask(model, await payer.promise(price, { amount: `${price.amount}` }));
      return answer.status === 402 && answer;
    });
    expect(wordsOf(refused)).toContain(`owes ${cost} micros`);
    const { asked, verified } = await payer.onChain();
    expect({ asked, verified }).toEqual({ asked: moods.length - 1, verified: 1 });
    // It is known, so that an operator who has looked at the chain makes it even.
    const credits = `POST /api/v1/accounts/${payer.accountId}/credits`;
    const body = { amount_micros: cost, reason: "it is on the chain" };
    await until("it is known", async () => (await call(credits, { body })).status === 201);
    await untilBalance(payer, 0n);
    expect((await ask(model, more)).status).toBe(200);
    await untilBalance(payer, 0n);
    expect(worker.attempts).toHaveLength(2);
    expect(await ledgerSum()).toBe(0n);
  });

  test("that was refused after the work is made good by a transfer for as much more", async () => {
    const { model, payer, price } = await world();
    await payer.expect("settle", "refuse");
    expect((await ask(model, await payer.promise(price))).status).toBe(200);
    await untilBalance(payer, BigInt(-cost));
    const exact = offerOf(await ask(model), "exact");
    const asked = (await payer.onChain()).asked;
    const refused = await ask(model, await payer.sign(exact));
    expect(codeOf(refused)).toBe("402 insufficient_quota");
    expect((await payer.onChain()).asked).toBe(asked);
    // Whoever signs what they are told gets through: the debt is in it, and no promise is offered.
    const told = offerOf(refused, "exact");
    expect(told.amount).toBe(`${BigInt(exact.amount) + BigInt(cost)}`);
    const owing = await ask(model, await payer.promise(price));
    for (const answer of [refused, owing]) {
      expect(answer.json).toMatchObject({ accepts: [told] });
    }
    expect((await ask(model, await payer.sign(told))).status).toBe(200);
    await untilBalance(payer, BigInt(exact.amount) - BigInt(cost));
    expect(await ledgerSum()).toBe(0n);
  });
});

describe("an account that dies", () => {
  test("while the task runs settles it all the same", async () => {
    const { script, open } = gated();
    const { model, payer, price, worker } = await world(script);
    const sent = await payer.promise(price);
    const asking = ask(model, sent);
    await until("it runs", () => worker.attempts.length === 1);
    await crashAccount(payer);
    open();
    expect((await asking).status).toBe(200);
    await untilEven(payer);
    expect(codeOf(await ask(model, sent))).toBe("409 conflict");
  });

  test("as soon as the task is paid for settles it by itself, once", async () => {
    const { model, payer, price } = await world();
    expect((await ask(model, await payer.promise(price))).status).toBe(200);
    await until("the task is paid for", async () => {
      return (await account(payer).summary()).balance === BigInt(-cost);
    });
    await crashAccount(payer);
    // The alarm is for half a minute later; nobody has to come for it.
    await until("its alarm has gone off", () => runDurableObjectAlarm(account(payer)));
    await untilEven(payer);
    expect((await payer.onChain()).asked).toBe(1);
  });

  test("after a first question that nobody answered settles it, once", async () => {
    const { model, payer, price } = await world();
    await payer.expect("settle", "down");
    expect((await ask(model, await payer.promise(price))).status).toBe(200);
    await untilBalance(payer, BigInt(-cost));
    await crashAccount(payer);
    await untilEven(payer);
  });

  test("while it is settled settles it, once", async () => {
    const { model, payer, price } = await world();
    await payer.expect("settle", "hang");
    expect((await ask(model, await payer.promise(price))).status).toBe(200);
    await until("it is settled", async () => (await payer.onChain()).settledMicros > 0);
    await crashAccount(payer);
    await untilEven(payer);
  });

  test("while the facilitator looks at the promise runs nothing, and takes it again", async () => {
    const { model, payer, price, worker } = await world();
    await payer.expect("hang");
    const sent = await payer.promise(price);
    const asking = ask(model, sent);
    await until("it is looked at", async () => (await payer.onChain()).verified === 1);
    await crashAccount(payer);
    expect(codeOf(await asking)).toMatch(/^50[03] /);
    expect(worker.attempts).toEqual([]);
    await until("it is taken", async () => (await ask(model, sent)).status === 200);
    await untilEven(payer);
  });
});
