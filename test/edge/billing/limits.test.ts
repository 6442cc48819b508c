import { describe, expect, test } from "vitest";
import { hasOpenBuckets, keepMeters } from "../../../edge/billing/limits/limits-state.ts";
import {
  createLimitsState,
  isLimited,
  keysUnder,
} from "../../../edge/billing/limits/limit-chain.ts";
import { LimitsScene } from "./limits-scene.ts";

const minuteMs = 60_000;
const dayMs = 24 * 3_600_000;

describe("requests a minute", () => {
  test("are as many as the limit at once, and then one as each flows in", () => {
    const scene = new LimitsScene({ "key:k1": { requests_per_minute: 60 } });
    expect(scene.count(100)).toBe(60);
    expect(scene.refusal()).toEqual({
      code: "rate_limit_exceeded",
      reason: "the key k1 may make 60 requests a minute",
      retryAfterMs: 1_000,
    });
    scene.wait(999);
    expect(scene.refusal()?.retryAfterMs).toBe(1);
    scene.wait(1);
    expect(scene.count(2)).toBe(1);
  });

  test("flow in whatever the limit, however often somebody looks", () => {
    const scene = new LimitsScene({ "key:k1": { requests_per_minute: 7 } });
    expect(scene.count(10)).toBe(7);
    let waitedMs = 0;
    // A refill that is rounded down at each of these looks would never come to one.
    while (scene.refusal() !== null) {
      scene.wait(1);
      waitedMs += 1;
    }
    expect(waitedMs).toBe(Math.ceil(minuteMs / 7));
  });

  test("of a refused task are not counted", () => {
    const scene = new LimitsScene({
      "account:acct_1": { requests_per_minute: 2 },
      "key:k1": { concurrency: 1 },
    });
    const first = scene.begin();
    expect(scene.count(10)).toBe(0);
    scene.end(first);
    expect(scene.count(10)).toBe(1);
    expect(scene.refusal({ keyId: "k2" })?.reason).toBe("the account may make 2 requests a minute");
  });

  test("never pile up beyond one minute's", () => {
    const scene = new LimitsScene({ "key:k1": { requests_per_minute: 3 } });
    scene.count(3);
    scene.wait(10 * dayMs);
    expect(scene.count(10)).toBe(3);
  });

  test("that are one are told as one", () => {
    const scene = new LimitsScene({ "key:k1": { requests_per_minute: 1 } });
    scene.begin();
    expect(scene.refusal()?.reason).toBe("the key k1 may make 1 request a minute");
  });

  test("are given no more by a clock that is set back, and none are lost for ever", () => {
    const scene = new LimitsScene({ "key:k1": { requests_per_minute: 1 } });
    scene.count(1);
    scene.wait(-3_600_000);
    expect(scene.refusal()?.retryAfterMs).toBe(minuteMs);
    scene.wait(minuteMs);
    expect(scene.count(2)).toBe(1);
  });

  test("that were raised or lowered count from what is left", () => {
    const scene = new LimitsScene({ "key:k1": { requests_per_minute: 10 } });
    scene.count(4);
    scene.limit("key:k1", { requests_per_minute: 2 });
    expect(scene.count(10)).toBe(2);
    scene.limit("key:k1", { requests_per_minute: 100 });
    scene.wait(600);
    expect(scene.count(10)).toBe(1);
  });
});

describe("tokens a minute", () => {
  test("are held at the bound of a task, and what it did not use comes back", () => {
    const scene = new LimitsScene({ "key:k1": { tokens_per_minute: 1_000 } });
    const task = scene.begin({ prompt: 100, completion: 700 });
    expect(scene.refusal({ completion: 201 })?.code).toBe("rate_limit_exceeded");
    scene.end(task, { tokens: 50 });
    expect(scene.refusal({ completion: 951 })).toEqual({
      code: "rate_limit_exceeded",
      reason: "the key k1 may use 1000 tokens a minute, and this may use 951",
      retryAfterMs: 60,
    });
    scene.wait(60);
    expect(scene.refusal({ completion: 951 })).toBeNull();
  });

  test("that running tasks hold come back at a time that nobody knows", () => {
    const scene = new LimitsScene({ "key:k1": { tokens_per_minute: 1_000 } });
    scene.begin({ completion: 800 });
    expect(scene.refusal({ completion: 300 })).toMatchObject({ retryAfterMs: null });
  });

  test("are used when a task ends: a long one does not make room for twice as many", () => {
    const scene = new LimitsScene({ "key:k1": { tokens_per_minute: 1_000 } });
    const long = scene.begin({ completion: 900 });
    scene.wait(10 * minuteMs);
    expect(scene.refusal({ completion: 101 })?.code).toBe("rate_limit_exceeded");
    scene.end(long, { tokens: 900 });
    expect(scene.refusal({ completion: 101 })?.retryAfterMs).toBe(60);
  });

  test("that one task alone may not use refuse it for good, and say what would fit", () => {
    const scene = new LimitsScene({ "key:k1": { tokens_per_minute: 1_000 } });
    expect(scene.begin({ prompt: 100, completion: 901 })).toMatchObject({
      code: "invalid_request",
      reason: "the key k1 may use 1000 tokens a minute, and this one task may use 1001",
      limit: { param: "max_completion_tokens", completionTokensMax: 900, retryAfterMs: null },
    });
    expect(scene.begin({ prompt: 1_001 })).toMatchObject({
      code: "invalid_request",
      limit: { param: null, completionTokensMax: null },
    });
  });
});

describe("the length of one task", () => {
  test("is bounded by the tightest limit above it, and exactly that is allowed", () => {
    const scene = new LimitsScene({
      "account:acct_1": { max_tokens: 400 },
      "key:k1": { max_tokens: 300, models: { m: { max_tokens: 200 } } },
    });
    expect(scene.begin({ completion: 401 })).toMatchObject({
      code: "invalid_request",
      reason: "the key k1 may make 200 tokens of m in one task, and this may make 401",
      limit: { param: "max_completion_tokens", completionTokensMax: 200 },
    });
    expect(scene.refusal({ completion: 200 })).toBeNull();
    expect(scene.refusal({ completion: 301, model: "other" })?.code).toBe("invalid_request");
    expect(scene.refusal({ completion: 300, model: "other" })).toBeNull();
  });
});

describe("tasks at a time", () => {
  test("make room when they end, once", () => {
    const scene = new LimitsScene({ "key:k1": { concurrency: 2 } });
    const first = scene.begin();
    scene.begin();
    expect(scene.refusal()).toEqual({
      code: "rate_limit_exceeded",
      reason: "the key k1 may run 2 tasks at a time",
      retryAfterMs: null,
    });
    scene.end(first);
    scene.end(first);
    expect(scene.count(5)).toBe(1);
  });

  test.each([["requests_per_minute"], ["concurrency"], ["tokens_per_minute"]] as const)(
    "of a limit of zero (%s) are refused for good",
    (name) => {
      const scene = new LimitsScene({ "key:k1": { [name]: 0 } });
      expect(scene.refusal({ prompt: 1 })).toMatchObject({
        code: "invalid_request",
        retryAfterMs: null,
      });
    },
  );
});

describe("whose limits they are", () => {
  const groups = {
    k1: { teamId: "t", projectId: "p" },
    k2: { teamId: "t" },
    k3: { projectId: "p" },
  };

  test.each([
    ["account:acct_1", ["k1", "k2", "k3", "k4"], []],
    ["team:t", ["k1", "k2"], ["k3", "k4"]],
    ["project:p", ["k1", "k3"], ["k2", "k4"]],
    ["key:k1", ["k1"], ["k2", "k3", "k4"]],
  ] as const)("%s holds for %j together and not for %j", (name, under, beside) => {
    const scene = new LimitsScene({ [name]: { concurrency: 1 } }, groups);
    const [first, ...rest] = under;
    expect(scene.refusal({ keyId: first })).toBeNull();
    for (const keyId of [first, ...rest]) {
      expect(scene.refusal({ keyId })?.code).toBe("rate_limit_exceeded");
      expect(isLimited(scene.state, keyId)).toBe(true);
    }
    for (const keyId of beside) {
      expect(scene.refusal({ keyId })).toBeNull();
      expect(isLimited(scene.state, keyId)).toBe(false);
    }
  });

  test("whoever sets them waits for the keys under them, and for no others", () => {
    const { state } = new LimitsScene({}, groups);
    expect(keysUnder(state, { scope: "team", id: "t" })).toEqual(["k1", "k2"]);
    expect(keysUnder(state, { scope: "project", id: "p" })).toEqual(["k1", "k3"]);
    expect(keysUnder(state, { scope: "project", id: "t" })).toEqual([]);
    expect(keysUnder(state, { scope: "account", id: "acct_1" })).toEqual([null]);
  });

  test("a model's hold for that model alone, whatever it is called", () => {
    const models = { m: { concurrency: 1 }, constructor: { concurrency: 1 } };
    const scene = new LimitsScene({ "team:t": { concurrency: 3, models } }, groups);
    expect(scene.count(2)).toBe(1);
    expect(scene.refusal({ keyId: "k2" })?.reason).toBe("the team t may run 1 task of m at a time");
    expect(scene.count(2, { model: "constructor" })).toBe(1);
    expect(scene.refusal({ model: "toString" })).toBeNull();
    expect(scene.refusal({ model: "else" })?.reason).toBe("the team t may run 3 tasks at a time");
  });

  test("none are none: nothing is counted or remembered", () => {
    const scene = new LimitsScene({ "key:k1": {} }, groups);
    expect(scene.count(50)).toBe(50);
    expect([scene.state.meters.size, scene.state.tasks.size]).toEqual([0, 0]);
    expect(isLimited(scene.state, "k1")).toBe(false);
  });
});

describe("a budget", () => {
  test("counts what was spent and what is held, and admits the last micro", () => {
    const scene = new LimitsScene({ "key:k1": { day_budget_micros: 100 } });
    const task = scene.begin({ limit: 60n });
    expect(scene.refusal({ limit: 41n })).toEqual({
      code: "insufficient_quota",
      reason:
        "the key k1 may spend 100 micros a day; 0 are spent, 60 held, and this may cost 41; " +
        "the day ends at 2026-11-29T00:00:00.000Z",
      retryAfterMs: null,
    });
    scene.end(task, { cost: 10n });
    expect(scene.refusal({ limit: 91n })?.code).toBe("insufficient_quota");
    expect(scene.refusal({ limit: 90n })).toBeNull();
  });

  test("that is soft refuses nothing", () => {
    const soft = { month_budget_micros: 10, budget_end: "soft" } as const;
    const scene = new LimitsScene({ "key:k1": soft });
    const task = scene.begin({ limit: 50n });
    expect(scene.end(task, { cost: 50n }).map(({ percent }) => percent)).toEqual([80, 95, 100]);
    expect(scene.refusal({ limit: 50n })).toBeNull();
  });

  test.each([
    ["day", Date.UTC(2026, 10, 28, 23, 59, 59, 999), 1],
    ["month", Date.UTC(2026, 10, 30, 23, 59, 59, 999), 1],
    ["month", Date.UTC(2027, 11, 31, 23, 59, 59, 999), 1],
    ["month", Date.UTC(2028, 1, 29, 23, 59, 59, 999), 1],
    ["month", Date.UTC(2026, 2, 28, 23, 59, 59, 999), 3 * dayMs + 1],
  ] as const)("of a %s that is spent at %d begins anew %d ms later", (period, nowMs, laterMs) => {
    const limits = { [`${period}_budget_micros`]: 10 };
    const scene = new LimitsScene({ "key:k1": limits });
    scene.nowMs = nowMs;
    scene.end(scene.begin({ limit: 10n }), { cost: 10n });
    expect(scene.refusal({ limit: 1n })?.code).toBe("insufficient_quota");
    scene.wait(laterMs - 1);
    expect(scene.refusal({ limit: 1n })?.code).toBe("insufficient_quota");
    scene.wait(1);
    expect(scene.refusal({ limit: 10n })).toBeNull();
  });

  test("counts a task that runs over midnight where it ends, and holds it until then", () => {
    const scene = new LimitsScene({ "key:k1": { day_budget_micros: 10 } });
    const task = scene.begin({ limit: 10n });
    scene.wait(dayMs);
    expect(scene.refusal({ limit: 1n })?.code).toBe("insufficient_quota");
    scene.end(task, { cost: 4n });
    expect(scene.refusal({ limit: 7n })?.code).toBe("insufficient_quota");
    expect(scene.refusal({ limit: 6n })).toBeNull();
  });

  test("counts what a task cost whose hold was forgotten", () => {
    const scene = new LimitsScene({ "key:k1": { day_budget_micros: 10 } });
    scene.end("unknown", { cost: 15n });
    expect(scene.refusal({ limit: 0n })?.code).toBe("insufficient_quota");
  });

  test("is not opened again by a clock that is set back over midnight", () => {
    const scene = new LimitsScene({ "key:k1": { day_budget_micros: 10 } });
    scene.end(scene.begin({ limit: 10n }), { cost: 10n });
    scene.wait(-dayMs);
    expect(scene.refusal({ limit: 1n })?.code).toBe("insufficient_quota");
  });
});

describe("alerts", () => {
  test("tell of 80, 95 and 100 percent, each once, of every budget that a task came under", () => {
    const scene = new LimitsScene({
      "account:acct_1": { month_budget_micros: 1_000, day_budget_micros: 100 },
      "key:k1": { models: { m: { day_budget_micros: 100 } } },
    });
    const told = (cost: bigint) =>
      scene
        .end(scene.begin({ limit: cost }), { cost })
        .map(({ subject, period, percent, spent }) => [subject.model, period, percent, spent]);
    expect(told(79n)).toEqual([]);
    expect(told(1n)).toEqual([
      [null, "day", 80, 80n],
      ["m", "day", 80, 80n],
    ]);
    expect(told(14n)).toEqual([]);
    expect(told(6n)).toEqual([
      [null, "day", 95, 100n],
      [null, "day", 100, 100n],
      ["m", "day", 95, 100n],
      ["m", "day", 100, 100n],
    ]);
    expect(told(0n)).toEqual([]);
  });

  test("come again in the next period, and for a budget that was changed, under other ids", () => {
    const scene = new LimitsScene({ "key:k1": { day_budget_micros: 10, budget_end: "soft" } });
    const spend = (cost: bigint) => scene.end(scene.begin({ limit: cost }), { cost });
    const alerts = [...spend(10n), ...spend(1n)];
    scene.wait(dayMs);
    alerts.push(...spend(10n));
    scene.limit("key:k1", { day_budget_micros: 12, budget_end: "soft" });
    alerts.push(...spend(2n), ...spend(2n));
    expect(alerts.map(({ percent }) => percent)).toEqual([80, 95, 100, 80, 95, 100, 80, 95, 100]);
    expect(new Set(alerts.map(({ id }) => id)).size).toBe(9);
    expect(alerts.every(({ id }) => /^alr_[0-9a-f]{32}$/.test(id))).toBe(true);
  });
});

describe("what is left", () => {
  test("is told of the tightest limits, of requests and of tokens apart", () => {
    const scene = new LimitsScene({
      "account:acct_1": { requests_per_minute: 100, tokens_per_minute: 1_000 },
      "key:k1": { requests_per_minute: 2, tokens_per_minute: 60_000 },
    });
    scene.begin({ completion: 400 });
    expect(scene.rates).toEqual({
      requests: { limit: 2, remaining: 1, resetMs: 30_000 },
      tokens: { limit: 1_000, remaining: 600, resetMs: 24_000 },
    });
  });

  test("is not told where nothing is limited by the minute", () => {
    const scene = new LimitsScene({ "key:k1": { concurrency: 5, day_budget_micros: 5 } });
    scene.begin();
    expect(scene.rates).toBeNull();
  });
});

describe("memory", () => {
  test("is kept while a bucket is not full, and forgotten then", () => {
    const scene = new LimitsScene({ "key:k1": { requests_per_minute: 60 } });
    scene.end(scene.begin());
    expect(hasOpenBuckets(scene.state, scene.nowMs + 999)).toBe(true);
    expect(hasOpenBuckets(scene.state, scene.nowMs + 1_000)).toBe(false);
    expect(scene.state.meters.size).toBe(0);
  });

  test("goes over into a state that was read anew, but for what was spent", () => {
    const limits = { requests_per_minute: 5, concurrency: 2, day_budget_micros: 100 };
    const scene = new LimitsScene({ "key:k1": limits });
    const task = scene.begin({ limit: 30n });
    scene.end(scene.begin({ limit: 30n }), { cost: 30n });
    const other = new LimitsScene({ "key:k1": limits });
    keepMeters(other.state, scene.state);
    expect(other.rates).toBeNull();
    expect(other.refusal({ limit: 71n })?.code).toBe("insufficient_quota");
    expect(other.refusal({ limit: 70n })).toBeNull();
    expect(other.rates?.requests?.remaining).toBe(2);
    expect(other.refusal()?.code).toBe("rate_limit_exceeded");
    other.end(task);
    expect(other.refusal()).toBeNull();
    expect(createLimitsState("acct_1").meters.size).toBe(0);
  });
});
