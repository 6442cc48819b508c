import * as fc from "fast-check";
import { assert } from "../../../shared/assert.ts";
import { bookOf, systemBooks } from "../../../shared/assets.ts";
import { describe, expect, test } from "vitest";
import {
  expireHolds,
  isClosable,
  limitOf,
  mintCredit,
  resolutionKeptMs,
  resolveTask,
} from "../../../edge/billing/account-state.ts";
import { divideBySplit, splitParties } from "../../../shared/money.ts";
import {
  accountId,
  accountWith,
  holdFor,
  post,
  price,
  providerId,
  record,
  terms,
} from "./closings.ts";

describe("a hold", () => {
  test("sets credit aside that nothing else can hold", () => {
    const state = accountWith(100n);
    expect(holdFor(state, "a", 60n)).toBe("held");
    expect(holdFor(state, "b", 41n)).toBe("insufficient_quota");
    expect(holdFor(state, "c", 40n)).toBe("held");
    expect([state.available, state.held]).toEqual([100n, 100n]);
  });

  test("is refused to unknown and revoked keys and to suspended accounts", () => {
    const state = accountWith(100n);
    state.keys.set("key_2", "revoked");
    expect(holdFor(state, "a", 1n, { keyId: "key_2" })).toBe("invalid_api_key");
    expect(holdFor(state, "a", 1n, { keyId: "key_3" })).toBe("invalid_api_key");
    state.status = "suspended";
    expect(holdFor(state, "a", 1n)).toBe("insufficient_scope");
    expect(state.holds.size).toBe(0);
  });

  test("is refused where as many tasks run as may", () => {
    const state = accountWith(100n, 1);
    expect(holdFor(state, "a", 1n)).toBe("held");
    expect(holdFor(state, "b", 1n)).toBe("rate_limit_exceeded");
  });

  test("that has expired makes room for the next, by credit and by number", () => {
    const state = accountWith(100n, 1);
    holdFor(state, "a", 100n, { expiresMs: 50 });
    expect(holdFor(state, "b", 100n, { nowMs: 49 })).toBe("rate_limit_exceeded");
    expect(holdFor(state, "b", 100n, { nowMs: 50 })).toBe("held");
    expect([...state.holds.keys()]).toEqual(["b"]);
  });

  test("of nothing is possible without credit", () => {
    expect(holdFor(accountWith(0n), "a", 0n)).toBe("held");
  });
});

describe("closing a task", () => {
  test("posts the cost and gives the rest of the hold back", () => {
    const state = accountWith(1_000n);
    holdFor(state, "a", 1_000n);
    const { cost, kind } = resolveTask(
      state,
      post("a", { promptTokens: 30, completionTokens: 70 }),
      5,
    );
    expect([kind, cost, state.available, state.held]).toEqual(["posted", 100n, 900n, 0n]);
  });

  test("divides the cost among all parties, under ids that say what they are for", () => {
    const state = accountWith(1_000n);
    const closing = post("a", { promptTokens: 30, completionTokens: 70 });
    const { transfers, earnings } = resolveTask(state, closing, 5);
    expect(transfers.map(({ id, debit, credit, micros }) => [id, debit, credit, micros])).toEqual([
      ["a:provider", "acct_consumer:available", bookOf(providerId, "earned"), 70n],
      ["a:orchestrator", "acct_consumer:available", systemBooks.orchestrator, 10n],
      ["a:treasury", "acct_consumer:available", systemBooks.treasury, 10n],
      ["a:burn", "acct_consumer:available", systemBooks.burn, 5n],
      ["a:stakers", "acct_consumer:available", systemBooks.stakers, 5n],
    ]);
    expect(earnings).toEqual([{ accountId: providerId, micros: 70n }]);
  });

  test("of an answer that two workers made pays both, each at its own price", () => {
    const state = accountWith(1_000n);
    holdFor(state, "a", 1_000n);
    const closing = post("a", { promptTokens: 10, completionTokens: 60 });
    const [whole] = closing.shares;
    assert(whole !== undefined, "a post has a share");
    const first = {
      ...whole,
      providerAccountId: "acct_first",
      counts: { promptTokens: 0, completionTokens: 20 },
      price: { inputMicrosPerMillion: 1_000_000, outputMicrosPerMillion: 500_000 },
    };
    const last = { ...whole, attempt: 2, counts: { promptTokens: 10, completionTokens: 40 } };
    const { cost, earnings, transfers } = resolveTask(
      state,
      { ...closing, shares: [first, last] },
      5,
    );
    expect([cost, state.available, state.held]).toEqual([60n, 940n, 0n]);
    expect(earnings).toEqual([
      { accountId: "acct_first", micros: 7n },
      { accountId: providerId, micros: 35n },
    ]);
    expect(transfers.reduce((sum, { micros }) => sum + micros, 0n)).toBe(cost);
    expect(new Set(transfers.map(({ id }) => id)).size).toBe(transfers.length);
  });

  test("of several workers never costs more than was agreed, the last giving way", () => {
    const state = accountWith(1_000n);
    holdFor(state, "a", 50n);
    const closing = post("a", { promptTokens: 0, completionTokens: 80 }, { limit: "50" });
    const [whole] = closing.shares;
    assert(whole !== undefined, "a post has a share");
    const half = { ...whole, counts: { promptTokens: 0, completionTokens: 40 } };
    const { cost, earnings } = resolveTask(state, { ...closing, shares: [half, half] }, 5);
    expect([cost, earnings.map(({ micros }) => micros)]).toEqual([50n, [28n, 7n]]);
  });

  test("by the account's own worker is free, and moves nothing", () => {
    const state = accountWith(1_000n);
    holdFor(state, "a", 1_000n);
    const closing = post("a", { promptTokens: 30, completionTokens: 70 });
    const shares = closing.shares.map((share) => ({ ...share, providerAccountId: accountId }));
    const resolution = resolveTask(state, { ...closing, shares }, 5);
    expect(resolution).toMatchObject({ kind: "posted", cost: 0n, transfers: [], earnings: [] });
    expect([state.available, state.held]).toEqual([1_000n, 0n]);
  });

  test("that a stranger's worker finished pays the stranger, for that share alone", () => {
    const state = accountWith(1_000n);
    const closing = post("a", { promptTokens: 0, completionTokens: 100 }, { limit: "60" });
    const [whole] = closing.shares;
    assert(whole !== undefined, "a post has a share");
    const counts = { promptTokens: 0, completionTokens: 50 };
    const shares = [
      { ...whole, counts, providerAccountId: accountId },
      { ...whole, attempt: 2, counts },
    ];
    const { cost, earnings } = resolveTask(state, { ...closing, shares }, 5);
    // What is free takes nothing of what was agreed.
    expect([cost, earnings]).toEqual([50n, [{ accountId: providerId, micros: 35n }]]);
  });

  test.each([
    [67, 67n],
    [40, 40n],
    [100, 100n],
    [130, 130n],
  ])("at %i percent of the price costs so much less or more", (factor, cost) => {
    const state = accountWith(1_000n);
    const closing = post("a", { promptTokens: 30, completionTokens: 70 }, { factor });
    expect(resolveTask(state, closing, 5).cost).toBe(cost);
    expect(limitOf({ promptTokensMax: 30, completionTokensMax: 70 }, price, factor)).toBe(cost);
  });

  test("rounds up once, after the factor", () => {
    const state = accountWith(1_000n);
    const closing = post("a", { promptTokens: 1, completionTokens: 1 }, { factor: 40 });
    expect(resolveTask(state, closing, 5).cost).toBe(1n);
  });

  test("never costs more than was agreed", () => {
    const state = accountWith(1_000n);
    holdFor(state, "a", 50n);
    const closing = post("a", { promptTokens: 30, completionTokens: 70 }, { limit: "50" });
    expect(resolveTask(state, closing, 5).cost).toBe(50n);
  });

  test("of no tokens costs nothing, whatever the prompt was", () => {
    const state = accountWith(1_000n);
    holdFor(state, "a", 1_000n);
    const resolution = resolveTask(state, post("a", { promptTokens: 99, completionTokens: 0 }), 5);
    expect(resolution).toMatchObject({ kind: "posted", cost: 0n, transfers: [], earnings: [] });
    expect([state.available, state.held]).toEqual([1_000n, 0n]);
  });

  test.each(["embedding", "rerank", "classification", "transcription", "image"] as const)(
    "of a whole %s is paid by its prompt, where nothing in it is a token",
    (kind) => {
      const state = accountWith(1_000n);
      holdFor(state, "a", 1_000n);
      const closing = post("a", { promptTokens: 100, completionTokens: 0 }, { kind });
      const { cost, earnings } = resolveTask(state, closing, 5);
      expect([cost, earnings]).toEqual([100n, [{ accountId: providerId, micros: 70n }]]);
      expect([state.available, state.held]).toEqual([900n, 0n]);
    },
  );

  test.each(["embedding", "transcription", "image"] as const)(
    "of half a document (%s) costs nothing: no piece of it was delivered",
    (kind) => {
      const state = accountWith(1_000n);
      const whole = post("a", { promptTokens: 100, completionTokens: 30 }, { kind });
      const closing = { ...whole, record: { ...record, finish: "cancelled" } };
      expect(resolveTask(state, closing, 5)).toMatchObject({ cost: 0n, earnings: [] });
      expect(state.available).toBe(1_000n);
    },
  );

  test("by voiding it gives the whole hold back", () => {
    const state = accountWith(1_000n);
    holdFor(state, "a", 1_000n);
    const resolution = resolveTask(state, { kind: "void", terms: terms("a"), record }, 5);
    expect(resolution).toMatchObject({ kind: "void", cost: 0n, transfers: [] });
    expect([state.available, state.held]).toEqual([1_000n, 0n]);
  });

  test("whose hold was forgotten is still paid, and may overdraw by what was in flight", () => {
    const state = accountWith(0n);
    const closing = post("a", { promptTokens: 30, completionTokens: 70 });
    expect(resolveTask(state, closing, 5).cost).toBe(100n);
    expect([state.available, state.held]).toEqual([-100n, 0n]);
    expect(holdFor(state, "b", 1n)).toBe("insufficient_quota");
  });

  test("a day after it was agreed is too late, and until then its resolution is remembered", () => {
    const day = 24 * 3_600_000;
    expect(isClosable(terms("a", { created_ms: 7 }), 7 + day - 1)).toBe(true);
    expect(isClosable(terms("a", { created_ms: 7 }), 7 + day)).toBe(false);
    // An hour is more than clocks disagree by and any answer takes.
    expect(resolutionKeptMs).toBeGreaterThanOrEqual(day + 3_600_000);
  });
});

test("new credit comes from the mint, as a transfer", () => {
  const state = accountWith(0n);
  const transfer = mintCredit(state, { id: "tfr_9", micros: 5n }, 3);
  expect(transfer).toEqual({
    id: "tfr_9",
    taskId: null,
    kind: "mint",
    debit: systemBooks.mint,
    credit: "acct_consumer:available",
    asset: "CREDIT",
    micros: 5n,
    createdMs: 3,
    reason: null,
  });
  expect(state.available).toBe(5n);
});

describe("the most a task can cost", () => {
  test.each([
    [0, 0, 0n],
    [1, 0, 1n],
    [1_500_000, 500_000, 2_000_000n],
  ])("of %i and %i tokens is %i", (promptTokensMax, completionTokensMax, limit) => {
    expect(limitOf({ promptTokensMax, completionTokensMax }, price)).toBe(limit);
  });

  test("covers every count within the bounds at every price up to the agreed one", () => {
    const count = fc.nat(10_000_000);
    const micros = fc.nat(1_000_000_000);
    fc.assert(
      fc.property(
        count,
        count,
        micros,
        micros,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (...of) => {
          const [promptTokens, completionTokens, input, output, part] = of;
          const agreed = { inputMicrosPerMillion: input, outputMicrosPerMillion: output };
          const limit = limitOf(
            { promptTokensMax: promptTokens, completionTokensMax: completionTokens },
            agreed,
          );
          const less = {
            promptTokensMax: Math.floor(promptTokens * part),
            completionTokensMax: Math.floor(completionTokens * part),
          };
          const cheaper = {
            inputMicrosPerMillion: Math.floor(input * part),
            outputMicrosPerMillion: output,
          };
          expect(limitOf(less, cheaper)).toBeLessThanOrEqual(limit);
        },
      ),
    );
  });
});

test("every split adds up to the whole, and nobody's part is off by a micro or more", () => {
  const cuts = fc.tuple(fc.nat(100), fc.nat(100), fc.nat(100), fc.nat(100));
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 15n }), cuts, (total, points) => {
      const [a = 0, b = 0, c = 0, d = 0] = points.toSorted((x, y) => x - y);
      const split = {
        provider: a,
        orchestrator: b - a,
        treasury: c - b,
        burn: d - c,
        stakers: 100 - d,
      };
      const parts = divideBySplit(total, split);
      expect(splitParties.reduce((sum, party) => sum + parts[party], 0n)).toBe(total);
      for (const party of splitParties) {
        const off = parts[party] * 100n - total * BigInt(split[party]);
        expect(off > -100n && off < 100n).toBe(true);
      }
    }),
  );
});

test("whatever is held, closed and forgotten in any order, the books add up", () => {
  const step = fc.record({
    task: fc.nat(5),
    kind: fc.constantFrom("hold", "post", "void", "expire", "mint"),
    amount: fc.nat(100),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const state = accountWith(0n);
      const resolved = new Set<number>();
      let minted = 0n;
      let spent = 0n;
      let unheld = 0n;
      for (const [nowMs, { task, kind, amount }] of steps.entries()) {
        const id = String(task);
        if (kind === "mint") {
          mintCredit(state, { id: `m${nowMs}`, micros: BigInt(amount) }, nowMs);
          minted += BigInt(amount);
        } else if (kind === "expire") expireHolds(state, nowMs);
        else if (kind === "hold") {
          if (resolved.has(task) || state.holds.has(id)) continue;
          holdFor(state, id, BigInt(amount), { nowMs, expiresMs: nowMs + 10 });
          if (state.holds.has(id)) expect(state.held).toBeLessThanOrEqual(state.available);
        } else if (!resolved.has(task)) {
          resolved.add(task);
          const limit = state.holds.get(id)?.limit ?? BigInt(amount);
          if (!state.holds.has(id)) unheld += limit;
          const counts = { promptTokens: 0, completionTokens: amount };
          const closing =
            kind === "void"
              ? ({ kind, terms: terms(id), record } as const)
              : post(id, counts, { limit: limit.toString() });
          spent += resolveTask(state, closing, nowMs).cost;
        }
        expect(state.available).toBe(minted - spent);
        expect(state.held).toBe([...state.holds.values()].reduce((sum, h) => sum + h.limit, 0n));
        expect(state.available - state.held).toBeGreaterThanOrEqual(-unheld);
      }
    }),
  );
});
