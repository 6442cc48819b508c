import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { listDeposits } from "../../../edge/db/money/deposits.ts";
import { transfersOf } from "../../helpers/ledger-rows.ts";
import { accountObject } from "../../../edge/objects.ts";
import type { Script } from "../../helpers/fake-worker.ts";
import { until } from "../../helpers/until.ts";
import { settings } from "../../edge/x402/whole-wire.ts";
import { ask, crashAccount, header, newPayer, type Payer, priceOf, readHeader } from "./payer.ts";
import { call, env, newConsumer, openDatabase } from "../routes/edge-client.ts";
import { readStream } from "../sse.ts";
import { answering, ledgerSum, newModel, serve, untilListed } from "../world.ts";
import type { Answer } from "../routes/edge-client.ts";

async function world(...tokens: readonly string[]) {
  const model = newModel();
  const worker = await serve(model, { script: answering(...tokens) });
  await untilListed(model);
  const payer = await newPayer();
  const price = priceOf(await ask(model));
  return { model, worker, payer, price };
}

const summaryOf = (payer: Payer) => accountObject(env, payer.accountId).summary();

/** Once the account holds nothing, and the ledger and the registry have heard of everything. */
async function untilSettled(payer: Payer, deposits = 1) {
  const summary = await until("the payer's account has settled", async () => {
    const found = await summaryOf(payer);
    return found.held === 0n && found.outboxEmpty && found;
  });
  const rows = await until("the registry has the deposits", async () => {
    await using db = openDatabase();
    const { items: found } = await listDeposits(db, { accountId: payer.accountId, limit: 10 });
    return found.length === deposits && found;
  });
  return { balance: summary.balance, deposits: rows };
}

function codeOf({ status, json }: Answer): string {
  return `${status} ${(json["error"] as { code: string }).code}`;
}

const wordsOf = ({ json }: Answer) => (json["error"] as { message: string }).message;

describe("a request without a key", () => {
  test("is told what it costs, in OpenAI's shape and in that of x402", async () => {
    const { model, worker } = await world("x");
    const answer = await ask(model);
    expect(codeOf(answer)).toBe("402 insufficient_quota");
    const { error, accepts, ...rest } = answer.json;
    expect(error).toMatchObject({ type: "insufficient_quota", param: null });
    expect(accepts).toEqual([
      {
        scheme: "exact",
        network: settings.network,
        // 5 prompt tokens and 1,000 completion tokens at most, at 0.15 and 0.60 micros each.
        amount: expect.stringMatching(/^6\d\d$/),
        asset: settings.asset,
        payTo: settings.payTo,
        maxTimeoutSeconds: 300,
        extra: { name: "USDC", version: "2" },
      },
      expect.objectContaining({ scheme: "upto" }),
    ]);
    const told = readHeader(answer.headers, "payment-required");
    expect(told).toEqual({ ...rest, accepts, error: wordsOf(answer) });
    expect(told).toMatchObject({
      x402Version: 2,
      resource: { url: "https://edge.test/v1/chat/completions" },
    });
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("access-control-expose-headers")).toContain("payment-required");
    expect(worker.attempts).toEqual([]);
  });

  test("that nobody could answer is told that, and no price", async () => {
    expect(codeOf(await ask("no-such-model"))).toBe("404 model_not_found");
    expect(codeOf(await ask("x", {}, { messages: "hi" }))).toBe("400 invalid_request");
  });

  test("to other routes is refused as before, and with a key it runs as before", async () => {
    const { model } = await world("x");
    expect((await call("GET /v1/models", { key: null })).status).toBe(401);
    const { key } = await newConsumer();
    const answer = await ask(model, { authorization: `Bearer ${key}` });
    expect(answer.headers.get("payment-required")).toBeNull();
    expect(wordsOf(answer)).toContain("add credit");
    expect((await ask(model, { authorization: "Bearer nonsense" })).status).toBe(401);
  });
});

describe("a request that is paid for", () => {
  test("is answered, the worker is paid, and the change is the payer's credit", async () => {
    const { model, worker, payer, price } = await world("Hel", "lo");
    const answer = await ask(model, await payer.sign(price));
    expect(answer.status).toBe(200);
    expect(answer.json["choices"]).toMatchObject([{ message: { content: "Hello" } }]);
    const { transactions, settledMicros, asked } = await payer.onChain();
    expect({ settledMicros, asked }).toEqual({ settledMicros: Number(price.amount), asked: 1 });
    expect(readHeader(answer.headers, "payment-response")).toEqual({
      success: true,
      transaction: transactions[0],
      network: settings.network,
      payer: payer.address,
      amount: price.amount,
      extra: { credit_micros: price.amount },
    });
    const { balance, deposits } = await untilSettled(payer);
    expect(balance).toBe(BigInt(price.amount) - 2n);
    expect(deposits).toMatchObject([
      { rail: "x402", reference: transactions[0], amountMicros: BigInt(price.amount) },
    ]);
    expect(worker.attempts).toHaveLength(1);
    expect((await worker.first("receipt.ack")).attempts).toHaveLength(1);
    await using db = openDatabase();
    const transfers = await transfersOf(db, `${payer.accountId}:available`);
    const minted = transfers.filter(({ kind }) => kind === "mint");
    expect(minted).toMatchObject([{ reason: `x402 ${transactions[0]}` }]);
    const account = await call(`GET /api/v1/accounts/${payer.accountId}`);
    expect(account.json).toMatchObject({ kind: "consumer", name: payer.address });
    expect(account.json["balance_micros"]).toBe(Number(balance));
    expect(await ledgerSum()).toBe(0n);
  });

  test("streams", async () => {
    const { model, payer, price } = await world("a ", "b ", "c");
    const answer = await ask(model, await payer.sign(price), { stream: true });
    expect(answer.headers.get("payment-response")).not.toBeNull();
    expect(await readStream(new Response(answer.text))).toMatchObject({
      text: "a b c",
      isDone: true,
    });
    await untilSettled(payer);
  });

  test("may be paid in part by the credit that is left, and by no more than that", async () => {
    const { model, payer, price } = await world("x");
    await ask(model, await payer.sign(price));
    const { balance } = await untilSettled(payer);
    const rest = BigInt(price.amount) - balance;
    const less = await ask(model, await payer.sign(price, { value: `${rest - 1n}` }));
    expect(codeOf(less)).toBe("402 insufficient_quota");
    expect(wordsOf(less)).toContain(`are ${BigInt(price.amount) - 1n}`);
    expect((await payer.onChain()).asked).toBe(1);
    expect((await ask(model, await payer.sign(price, { value: `${rest}` }))).status).toBe(200);
    await untilSettled(payer, 2);
    expect(await ledgerSum()).toBe(0n);
  });

  test("many times at once is each time paid for, and each time answered", async () => {
    const { model, payer, price } = await world("x");
    const answers = await Promise.all(
      Array.from({ length: 6 }, async () => ask(model, await payer.sign(price))),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
    const { balance } = await untilSettled(payer, 6);
    expect(balance).toBe(6n * (BigInt(price.amount) - 2n));
    expect(await ledgerSum()).toBe(0n);
  });
});

describe("an authorization", () => {
  test("runs one task, however often it is sent, and after its account has slept", async () => {
    const { model, worker, payer, price } = await world("once");
    const sent = await payer.sign(price);
    const answers = await Promise.all([ask(model, sent), ask(model, sent), ask(model, sent)]);
    expect(answers.map(codeOrOk).toSorted()).toEqual(["200", "409 conflict", "409 conflict"]);
    expect(codeOf(await ask(model, sent, { temperature: 0 }))).toBe("409 conflict");
    const { balance } = await untilSettled(payer);
    await evictDurableObject(accountObject(env, payer.accountId));
    expect(codeOf(await ask(model, sent))).toBe("409 conflict");
    expect(worker.attempts).toHaveLength(1);
    expect((await payer.onChain()).asked).toBe(1);
    expect((await summaryOf(payer)).balance).toBe(balance);
  });

  test.each([
    ["less than it may cost", { value: "1" }, "are 1"],
    ["another receiver", { to: `0x${"1".repeat(40)}` }, "it is signed for 0x1111"],
    ["a time that is over", { validBefore: "1000" }, "it has expired"],
    ["a time to come", { validAfter: "99999999999" }, "it is not valid yet"],
    ["an owner who did not sign it", { from: `0x${"1".repeat(40)}` }, "it is not signed by"],
  ])("for %s is refused with the price, and nobody is asked for it", async (_, change, words) => {
    const { model, worker, payer, price } = await world("x");
    const answer = await ask(model, await payer.sign(price, change));
    expect(codeOf(answer)).toBe("402 insufficient_quota");
    expect(wordsOf(answer)).toContain(words);
    expect(priceOf(answer)).toEqual(price);
    const nothing = { verified: 0, asked: 0, settledMicros: 0, transactions: [] };
    expect(await payer.onChain()).toEqual(nothing);
    expect(worker.attempts).toEqual([]);
  });

  test.each([
    ["network", "eip155:1"],
    ["asset", `0x${"1".repeat(40)}`],
    ["payTo", `0x${"1".repeat(40)}`],
    ["scheme", "upto"],
  ] as const)("that accepted another %s is refused", async (name, value) => {
    const { model, payer, price } = await world("x");
    const answer = await ask(model, await payer.sign({ ...price, [name]: value } as typeof price));
    expect(codeOf(answer)).toBe("402 insufficient_quota");
    expect((await payer.onChain()).asked).toBe(0);
  });

  test("in no form of the protocol is refused by the place at fault", async () => {
    const { model } = await world("x");
    const wrong: [Record<string, string>, string][] = [
      [{ "payment-signature": "nonsense" }, "PAYMENT-SIGNATURE"],
      [header({}), "x402Version"],
      [header({ x402Version: 1 }), "x402Version"],
    ];
    for (const [headers, param] of wrong) {
      const { status, json } = await ask(model, headers);
      expect({ status, param: (json["error"] as { param: string }).param }).toEqual({
        status: 400,
        param,
      });
    }
  });

  test("beside a key, or under an Idempotency-Key, is refused: it counts once itself", async () => {
    const { model, payer, price } = await world("x");
    const sent = await payer.sign(price);
    for (const other of [{ authorization: "Bearer x" }, { "idempotency-key": "x" }]) {
      expect(codeOf(await ask(model, { ...sent, ...other }))).toBe("400 invalid_request");
    }
    expect((await ask(model, sent)).status).toBe(200);
    await untilSettled(payer);
  });

  test("that the facilitator refuses is not credited, and may be sent again later", async () => {
    const { model, worker, payer, price } = await world("later");
    await payer.expect("refuse");
    const sent = await payer.sign(price);
    const answer = await ask(model, sent);
    expect(codeOf(answer)).toBe("402 insufficient_quota");
    expect(wordsOf(answer)).toBe("The facilitator refused it: insufficient_funds");
    expect((await summaryOf(payer)).balance).toBe(0n);
    expect(worker.attempts).toEqual([]);
    expect((await call(`GET /api/v1/accounts/${payer.accountId}`)).status).toBe(404);
    expect((await ask(model, sent)).status).toBe(200);
    await untilSettled(payer);
  });

  test.each(["down", "garble", "redirect", "lose", "hang"] as const)(
    "to whose facilitator this happens: %s; is asked of until there is a word, and counts once",
    async (mood) => {
      const { model, worker, payer, price } = await world("at last");
      await payer.expect(mood);
      const sent = await payer.sign(price);
      const lost = await ask(model, sent);
      expect(codeOf(lost)).toBe("503 unavailable");
      expect(lost.headers.get("retry-after")).toBe("5");
      expect(worker.attempts).toEqual([]);
      const answer = await ask(model, sent);
      expect(answer.status).toBe(200);
      const { balance, deposits } = await untilSettled(payer);
      expect(balance).toBe(BigInt(price.amount) - 2n);
      expect(deposits).toHaveLength(1);
      expect((await payer.onChain()).settledMicros).toBe(Number(price.amount));
      expect(await ledgerSum()).toBe(0n);
    },
  );

  test("whose answer was lost is credited though nobody sends it again", async () => {
    const { model, worker, payer, price } = await world("x");
    await payer.expect("lose", "down");
    const sent = await payer.sign(price);
    expect(codeOf(await ask(model, sent))).toBe("503 unavailable");
    const account = accountObject(env, payer.accountId);
    await until("it is asked a third time", async () => {
      await runDurableObjectAlarm(account);
      return (await payer.onChain()).asked === 3;
    });
    const { balance } = await untilSettled(payer);
    expect(balance).toBe(BigInt(price.amount));
    expect(worker.attempts).toEqual([]);
    // It has run nothing yet, so that it still may.
    expect((await ask(model, sent)).status).toBe(200);
    expect(codeOf(await ask(model, sent))).toBe("409 conflict");
    await untilSettled(payer);
  });

  test("whose account dies while it is settled is credited all the same, and once", async () => {
    const { model, payer, price } = await world("x");
    await payer.expect("hang");
    const sent = await payer.sign(price);
    const asking = ask(model, sent);
    await until("it is settled", async () => (await payer.onChain()).settledMicros > 0);
    await crashAccount(payer);
    expect(codeOf(await asking)).toMatch(/^50[03] /);
    const answer = await until("it may be sent again", async () => {
      const again = await ask(model, sent);
      return again.status === 200 && again;
    });
    expect(readHeader(answer.headers, "payment-response")).toMatchObject({ success: true });
    expect((await untilSettled(payer)).balance).toBe(BigInt(price.amount) - 2n);
    expect((await payer.onChain()).settledMicros).toBe(Number(price.amount));
  });

  test("that may be settled or not, by a facilitator that forgot, is credited to nobody", async () => {
    const { model, worker, payer, price } = await world("x");
    await payer.expect("lose", "forget", "forget");
    const sent = await payer.sign(price);
    expect(codeOf(await ask(model, sent))).toBe("503 unavailable");
    for (let times = 0; times < 2; times++) {
      const answer = await ask(model, sent);
      expect(codeOf(answer)).toBe("409 conflict");
      expect(wordsOf(answer)).toContain("Nobody can tell");
    }
    expect((await summaryOf(payer)).balance).toBe(0n);
    expect(worker.attempts).toEqual([]);
    // An operator who has looked at the chain gives it by hand.
    const credits = `POST /api/v1/accounts/${payer.accountId}/credits`;
    const body = { amount_micros: Number(price.amount), reason: "it is on the chain" };
    await until("it is known", async () => (await call(credits, { body })).status === 201);
    expect((await summaryOf(payer)).balance).toBe(BigInt(price.amount));
  });

  test("of which nothing came runs another task, without being settled again", async () => {
    let isWell = false;
    const script: Script = (attempt) =>
      isWell ? attempt.answer("x") : attempt.fail("context_length_exceeded", "it does not fit");
    const model = newModel();
    await serve(model, { script });
    await untilListed(model);
    const payer = await newPayer();
    const price = priceOf(await ask(model));
    const sent = await payer.sign(price);
    for (let times = 0; times < 2; times++) {
      const failed = await ask(model, sent);
      expect(codeOf(failed)).toBe("400 context_length_exceeded");
      expect(wordsOf(failed)).toContain("may be sent again");
      expect(readHeader(failed.headers, "payment-response")).toMatchObject({ success: true });
    }
    isWell = true;
    expect((await ask(model, sent)).status).toBe(200);
    expect(codeOf(await ask(model, sent))).toBe("409 conflict");
    expect((await payer.onChain()).asked).toBe(1);
    const { balance } = await untilSettled(payer);
    expect(balance).toBe(BigInt(price.amount) - 2n);
  });

  test("of an address that runs all it may is refused before it is settled", async () => {
    const { model, payer, price } = await world("x");
    await ask(model, await payer.sign(price));
    await untilSettled(payer);
    await call(`PATCH /api/v1/accounts/${payer.accountId}`, { body: { concurrency_max: 0 } });
    const answer = await ask(model, await payer.sign(price));
    expect(codeOf(answer)).toBe("429 rate_limit_exceeded");
    expect((await payer.onChain()).asked).toBe(1);
  });

  test("of a suspended account is refused before it is settled", async () => {
    const { model, payer, price } = await world("x");
    await ask(model, await payer.sign(price));
    await untilSettled(payer);
    await call(`PATCH /api/v1/accounts/${payer.accountId}`, { body: { status: "suspended" } });
    const answer = await ask(model, await payer.sign(price));
    expect(codeOf(answer)).toBe("403 insufficient_scope");
    expect((await payer.onChain()).asked).toBe(1);
  });
});

function codeOrOk(answer: Answer): string {
  return answer.status === 200 ? "200" : codeOf(answer);
}
