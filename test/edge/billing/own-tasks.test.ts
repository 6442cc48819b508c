import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AccountState, holdCredit, resolveTask } from "../../../edge/billing/account-state.ts";
import { holdRequestOf } from "../../../edge/billing/hold-request.ts";
import { setLimits } from "../../../edge/billing/limits/limit-chain.ts";
import { TicketSeal } from "../../../edge/billing/ticket.ts";
import type { Limits } from "../../../shared/limits.ts";
import { accountId, accountWith, holdFor, post, price, providerId, terms } from "./closings.ts";

/** A task that only the account's own workers may answer. */
const own = { limit: "0", own: true } as const;

function holdOwn(state: AccountState, task = "own", completionTokens = 10): string {
  const tokensMax = { promptTokens: 0, completionTokens };
  const result = holdCredit(state, holdRequestOf(terms(task, own), { tokensMax }), 1);
  return result.kind === "held" ? "held" : result.code;
}

function limited(limits: Limits): AccountState {
  const state = accountWith(0n);
  setLimits(state.limits, { scope: "account", id: accountId }, limits);
  return state;
}

describe("a task for own workers alone", () => {
  test.each([0n, 5n, 1_000n])("is held by an account with %i micros, and takes none", (micros) => {
    const state = accountWith(micros);
    expect(holdOwn(state)).toBe("held");
    expect([state.held, state.holds.size]).toEqual([0n, 1]);
  });

  test("is held by an account that owes, to which nothing else is free", () => {
    const state = accountWith(0n);
    state.available = -7n;
    expect(holdFor(state, "others", 0n)).toBe("insufficient_quota");
    expect(holdOwn(state)).toBe("held");
  });

  test.each<[string, Limits]>([
    ["of nothing", { day_budget_micros: 0 }],
    ["that is spent, and more", { month_budget_micros: 10 }],
    ["of the model", { models: { m: { day_budget_micros: 0 } } }],
  ])("is under no budget: not under one %s", (_what, limits) => {
    const state = limited(limits);
    resolveTask(state, post("before", { promptTokens: 0, completionTokens: 50 }), 1);
    expect(holdFor(state, "others", 1n)).toBe("insufficient_quota");
    expect(holdOwn(state)).toBe("held");
  });

  test.each<[string, Limits, string]>([
    ["requests a minute", { requests_per_minute: 1 }, "rate_limit_exceeded"],
    ["tokens a minute", { tokens_per_minute: 15 }, "rate_limit_exceeded"],
    ["tasks at a time", { concurrency: 1 }, "rate_limit_exceeded"],
  ])("counts among %s", (_what, limits, code) => {
    const state = limited(limits);
    expect(holdOwn(state)).toBe("held");
    expect(holdOwn(state, "another")).toBe(code);
  });

  test("is bounded in its length, and by the tasks that an account may run", () => {
    expect(holdOwn(limited({ max_tokens: 9 }))).toBe("invalid_request");
    const state = accountWith(0n, 1);
    expect(holdOwn(state)).toBe("held");
    expect(holdOwn(state, "another")).toBe("rate_limit_exceeded");
  });

  test("is refused to keys that are revoked and accounts that are suspended", () => {
    const state = accountWith(0n);
    state.status = "suspended";
    expect(holdOwn(state)).toBe("insufficient_scope");
    state.keys.set("key_1", "revoked");
    expect(holdOwn(state)).toBe("invalid_api_key");
  });

  test("is never held for more than nothing", () => {
    expect(() => holdRequestOf(terms("own", { own: true, limit: "1" }), {})).toThrow(/is free/);
  });

  test("says so in its ticket, which nobody can alter", async () => {
    const seal = new TicketSeal("a secret of thirty-two characters");
    const agreed = terms("own", own);
    const ticket = await seal.seal(agreed);
    expect(await seal.open(ticket)).toEqual(agreed);
    const { own: _, ...anybodys } = agreed;
    const [body = ""] = (await seal.seal(anybodys)).split(".");
    expect(await seal.open(`${body}.${ticket.split(".")[1] ?? ""}`)).toBeNull();
  });
});

describe("what own workers alone may answer", () => {
  test("costs nothing, and is in no budget", () => {
    const state = limited({ day_budget_micros: 100 });
    holdOwn(state);
    const closing = post("own", { promptTokens: 30, completionTokens: 70 }, own);
    const shares = closing.shares.map((share) => ({ ...share, providerAccountId: accountId }));
    const resolution = resolveTask(state, { ...closing, shares }, 5);
    expect(resolution).toMatchObject({ kind: "posted", cost: 0n, transfers: [], earnings: [] });
    expect([state.available, state.held, state.holds.size]).toEqual([0n, 0n, 0]);
    expect(state.limits.unsaved.size).toBe(0);
  });

  test("pays nobody, whoever made it and however much, at whatever price", () => {
    const count = fc.nat(10_000_000);
    const share = fc.record({
      providerAccountId: fc.constantFrom(accountId, providerId, "acct_another"),
      counts: fc.record({ promptTokens: count, completionTokens: count }),
      price: fc.constantFrom(price, { inputMicrosPerMillion: 10 ** 9, outputMicrosPerMillion: 1 }),
    });
    fc.assert(
      fc.property(fc.array(share, { minLength: 1, maxLength: 4 }), (shares) => {
        const state = accountWith(1_000n);
        holdOwn(state);
        const counts = { promptTokens: 1, completionTokens: 1 };
        const closing = post("own", counts, own);
        const made = shares.map((one, at) => ({ ...one, attempt: at + 1 }));
        const resolution = resolveTask(state, { ...closing, shares: made }, 5);
        expect(resolution).toMatchObject({ cost: 0n, transfers: [], earnings: [] });
        expect(state.available).toBe(1_000n);
      }),
    );
  });
});
