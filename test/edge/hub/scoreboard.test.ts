import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Measures, type Moment, secrecyOf } from "../../../edge/hub/routing/measures.ts";
import {
  explorationShare,
  nearBand,
  Scoreboard,
  stickyBand,
} from "../../../edge/hub/routing/scoreboard.ts";
import { defaultRouting, routingDemands } from "../../../shared/openai/routing.ts";
import {
  scoreParts,
  sortOrders,
  strategies,
  type Strategy,
  strategyWeights,
} from "../../../shared/openai/strategies.ts";

/** A candidate of one task: what is known of it, and what is so just now. */
type Candidate = Omit<Measures, "inputMicrosPerMillion" | "outputMicrosPerMillion"> &
  Moment & { readonly price: number };

function candidate(id: string, changes: Partial<Candidate> = {}): Candidate {
  return {
    price: 300,
    firstTokenMs: 200,
    tokensPerS: 50,
    freeShare: 0.5,
    km: 0,
    reputation: 80,
    roundTripMs: 50,
    successShare: 1,
    bitsPerWeight: 8.5,
    secrecy: secrecyOf("public", "content"),
    isMeasured: true,
    tier: 0,
    id,
    ...changes,
  };
}

function boardOf(all: readonly Candidate[], weights = strategyWeights.balanced): Scoreboard {
  const board = new Scoreboard();
  board.clear("chat");
  for (const { price, freeShare, km, ...known } of all) {
    const prices = { inputMicrosPerMillion: price, outputMicrosPerMillion: 0 };
    board.add({ ...known, ...prices }, { freeShare, km });
  }
  board.score(weights);
  return board;
}

/** Who is drawn among these, by id. */
function drawnOf(
  all: readonly Candidate[],
  routing = defaultRouting,
  random = () => 0.5,
): string | null {
  const drawn = boardOf(all, routing.weights).draw(routing, random);
  return drawn === null ? null : (all[drawn.at]?.id ?? "");
}

function byStrategy(strategy: Strategy) {
  return routingDemands({ strategy }, null).routing;
}

describe("a strategy", () => {
  /** What each strategy takes another candidate for, who is worse in something else. */
  const virtues: Record<Strategy, Partial<Candidate>> = {
    cost: { price: 100, firstTokenMs: 2_000, tokensPerS: 5 },
    speed: { firstTokenMs: 40, tokensPerS: 200, price: 900 },
    quality: { bitsPerWeight: 16, reputation: 95, price: 900, firstTokenMs: 2_000 },
    privacy: { secrecy: secrecyOf("confidential", "content"), price: 900, firstTokenMs: 2_000 },
    geo: { roundTripMs: 8, price: 900, tokensPerS: 20 },
    balanced: { price: 200, firstTokenMs: 100, tokensPerS: 80, bitsPerWeight: 4.5 },
  };

  test.each(strategies)("%s takes what it is for, however that is in other things", (strategy) => {
    const all = [candidate("plain"), candidate("fit", virtues[strategy]), candidate("plain too")];
    expect(drawnOf(all, byStrategy(strategy))).toBe("fit");
    // The other strategies do not all agree, or there would be one strategy.
    const others = strategies.filter((other) => other !== strategy && other !== "balanced");
    const agree = others.filter((other) => drawnOf(all, byStrategy(other)) === "fit");
    expect(agree.length).toBeLessThan(others.length);
  });

  test.each(strategies)("%s declares weights that sum to 1", (strategy) => {
    const sum = scoreParts.reduce((total, part) => total + strategyWeights[strategy][part], 0);
    expect(sum).toBeCloseTo(1, 12);
  });

  test("of privacy takes the class first, then whoever has read the files", () => {
    const ranks = [
      secrecyOf("public", "declared"),
      secrecyOf("public", "content"),
      secrecyOf("shared", "declared"),
      secrecyOf("private", "content"),
    ];
    expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
    const all = [
      candidate("declared", { secrecy: secrecyOf("private", "declared"), reputation: 90 }),
      candidate("content", { secrecy: secrecyOf("private", "content") }),
    ];
    expect(drawnOf(all, byStrategy("privacy"))).toBe("content");
  });

  test("of the consumer's own weighs what it is told to, and nothing else", () => {
    const { routing } = routingDemands({ weights: { throughput: 3, price: 1 } }, null);
    expect(routing).toMatchObject({
      strategy: "weights",
      weights: { throughput: 0.75, price: 0.25 },
    });
    const all = [candidate("slow", { reputation: 95 }), candidate("fast", { tokensPerS: 90 })];
    expect(drawnOf(all, routing)).toBe("fast");
  });

  test.each(sortOrders)("that only sorts by %s takes the first, by however little", (sort) => {
    const better = { price: 299, throughput: 50.1, latency: 199, reputation: 80.1 }[sort];
    const field = { price: "price", throughput: "tokensPerS", latency: "firstTokenMs" } as const;
    const name = sort === "reputation" ? "reputation" : field[sort];
    const first = candidate("first", { [name]: better, freeShare: 0.1, successShare: 0.5 });
    const all = [candidate("a"), first, candidate("b"), candidate("new", { isMeasured: false })];
    const { routing } = routingDemands({ sort }, "affinity");
    for (const chance of [0, 0.5, 0.999]) expect(drawnOf(all, routing, () => chance)).toBe("first");
  });
});

describe("a score", () => {
  test("is a share of the best: twice the price and twice the time are halves", () => {
    const all = [
      candidate("a", { price: 1_000_000, tokensPerS: 100 }),
      candidate("b", { price: 2_000_000, tokensPerS: 50 }),
    ];
    const board = boardOf(all);
    expect(board.partsOf(0, strategyWeights.balanced)).toMatchObject({ price: 1, throughput: 1 });
    expect(board.partsOf(1, strategyWeights.balanced)).toMatchObject({
      price: 0.5,
      throughput: 0.5,
    });
  });

  test("tells nothing of parts that do not count", () => {
    const parts = boardOf([candidate("a")], strategyWeights.cost).partsOf(0, strategyWeights.cost);
    expect(Object.keys(parts)).toEqual(["price", "load", "success"]);
  });

  test("of what is free is 1 for all that are free, and almost 0 for the others", () => {
    const all = [candidate("free", { price: 0 }), candidate("paid", { price: 1_000 })];
    const board = boardOf(all, strategyWeights.cost);
    expect(board.partsOf(0, strategyWeights.cost).price).toBe(1);
    expect(board.partsOf(1, strategyWeights.cost).price).toBeLessThan(0.01);
  });

  test("of more than 16 bits a weight is no better", () => {
    const all = [
      candidate("fp32", { bitsPerWeight: 32 }),
      candidate("fp16", { bitsPerWeight: 16 }),
    ];
    const board = boardOf(all, strategyWeights.quality);
    expect(board.scoreOf(0)).toBe(board.scoreOf(1));
  });

  test("of nobody is nobody's", () => {
    expect(drawnOf([])).toBeNull();
  });

  test("holds for more candidates than a hub has", () => {
    const all = Array.from({ length: 1_000 }, (_, at) =>
      candidate(String(at), { price: 1_000 - at }),
    );
    expect(drawnOf(all, routingDemands({ sort: "price" }, null).routing)).toBe("999");
  });
});

test("whoever is left out is neither drawn nor compared with, and is back in the next choice", () => {
  const all = [candidate("cheap", { price: 1 }), candidate("a"), candidate("b")];
  const board = boardOf(all);
  const { weights } = defaultRouting;
  board.leaveOut(0);
  board.score(weights);
  expect(board.partsOf(1, weights).price).toBe(1);
  for (const at of [1, 2]) {
    expect(board.draw(defaultRouting, () => 0)).toMatchObject({ at });
    expect(board.take(at)).toEqual([at]);
  }
  expect(board.draw(defaultRouting, () => 0)).toBeNull();
  board.restart();
  board.score(weights);
  expect(board.draw(defaultRouting, () => 0.5)).toMatchObject({ at: 0 });
});

describe("among near-equals", () => {
  const many = Array.from({ length: 50 }, (_, at) => candidate(`w${at}`));

  test("everyone is drawn", () => {
    const drawn = new Set(
      Array.from({ length: 50 }, (_, at) => drawnOf(many, defaultRouting, () => (at + 0.5) / 50)),
    );
    expect(drawn.size).toBe(50);
  });

  test("the better of two drawn is taken", () => {
    const all = [candidate("a", { freeShare: 0.49 }), candidate("b")];
    const draws = [0, 0.9];
    expect(drawnOf(all, defaultRouting, () => draws.shift() ?? 0)).toBe("b");
  });

  test("a conversation goes to the same one, and others go elsewhere", () => {
    const at = (affinity: string, all = many, chance = 0.3) =>
      drawnOf(all, { ...defaultRouting, affinity }, () => chance);
    const homes = Array.from({ length: 100 }, (_, key) => at(`key ${key}`));
    expect(new Set(homes).size).toBeGreaterThan(30);
    for (const [key, home] of homes.entries()) {
      expect(at(`key ${key}`, many.toReversed(), 0.8)).toBe(home);
      // Who else comes or goes moves it only where it is the newcomer's.
      const less = many.filter(({ id }) => id === home || Number(id.slice(1)) % 2 === 0);
      expect(at(`key ${key}`, less)).toBe(home);
    }
  });

  test("a conversation leaves a worker that is much worse, fails, or is not there", () => {
    const home = drawnOf(many, { ...defaultRouting, affinity: "k" });
    const moved = (changes: Partial<Candidate>) =>
      drawnOf(
        many.map((one) => (one.id === home ? { ...one, ...changes } : one)),
        { ...defaultRouting, affinity: "k" },
      );
    expect(moved({ freeShare: 0.35 })).toBe(home);
    expect(moved({ freeShare: 0.1 })).not.toBe(home);
    expect(moved({ price: 900 })).not.toBe(home);
    expect(moved({ tier: 1 })).not.toBe(home);
    expect(stickyBand).toBeGreaterThan(nearBand);
  });
});

test("the way is there and back by the map, and from there as measured", () => {
  const wayOf = (changes: Partial<Candidate>) => {
    const board = boardOf([candidate("near", { roundTripMs: 0 }), candidate("far", changes)]);
    // 10 ms are no distance (S1): a way of 90 ms counts a tenth.
    return 10 / (board.partsOf(1, strategyWeights.balanced).distance ?? 0) - 10;
  };
  expect(wayOf({ roundTripMs: 30 })).toBeCloseTo(30, 0);
  expect(wayOf({ roundTripMs: 20, km: 7_000 })).toBeCloseTo(90, 0);
  expect(wayOf({ roundTripMs: null })).toBeCloseTo(100, -1);
});

test("a document that has no tokens of its own is compared by the price of its prompt", () => {
  const board = new Scoreboard();
  const dearAnswers = { inputMicrosPerMillion: 10, outputMicrosPerMillion: 900 };
  const dearPrompts = { inputMicrosPerMillion: 20, outputMicrosPerMillion: 1 };
  for (const [kind, best] of [["embedding", 0] as const, ["chat", 1] as const]) {
    board.clear(kind);
    const { price: _, freeShare, km, ...known } = candidate("w");
    for (const prices of [dearAnswers, dearPrompts]) {
      board.add({ ...known, ...prices }, { freeShare, km });
    }
    board.score(strategyWeights.cost);
    expect(board.scoreOf(best)).toBeGreaterThan(board.scoreOf(1 - best));
  }
});

const anyCandidate: fc.Arbitrary<Omit<Candidate, "id">> = fc
  .record({
    price: fc.nat(1_000_000),
    firstTokenMs: fc.option(fc.double({ min: 1, max: 10_000, noNaN: true })),
    tokensPerS: fc.option(fc.double({ min: 1, max: 500, noNaN: true })),
    freeShare: fc.double({ min: 0.01, max: 1, noNaN: true }),
    reputation: fc.double({ min: 0, max: 100, noNaN: true }),
    roundTripMs: fc.option(fc.double({ min: 0, max: 500, noNaN: true })),
    km: fc.nat(20_000),
    successShare: fc.double({ min: 0, max: 1, noNaN: true }),
    bitsPerWeight: fc.option(fc.constantFrom(4.5, 8.5, 16, 32)),
    secrecy: fc.integer({ min: 1, max: 8 }),
    isMeasured: fc.boolean(),
    tier: fc.constantFrom(0, 0, 0, 1),
  })
  .map((one) =>
    one.isMeasured ? one : { ...one, firstTokenMs: null, tokensPerS: null, successShare: null },
  );
const someCandidates = fc
  .array(anyCandidate, { minLength: 1, maxLength: 30 })
  .map((list) => list.map((one, at) => ({ ...one, id: `w${at}` })));
const anyRouting = fc
  .tuple(fc.constantFrom(...strategies), fc.option(fc.string({ minLength: 1 })))
  .map(([strategy, affinity]) => routingDemands({ strategy }, affinity).routing);
const chances = fc.infiniteStream(fc.double({ min: 0, max: 0.98, noNaN: true }));

test("scores are between 0 and 1, and whoever is drawn is near the best of the best tier", () => {
  fc.assert(
    fc.property(someCandidates, anyRouting, chances, (all, routing, chance) => {
      const board = boardOf(all, routing.weights);
      const drawn = board.draw(routing, () => chance.next().value ?? 0);
      if (drawn === null) throw new Error("somebody is there");
      const tier = Math.min(...all.map((one) => one.tier));
      expect(board.tierOf(drawn.at)).toBe(tier);
      const scores = all.map((_, at) => board.scoreOf(at));
      for (const score of scores) {
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(1 + 1e-9);
      }
      const best = Math.max(...scores.filter((_, at) => all[at]?.tier === tier));
      const band = routing.affinity === null ? nearBand : stickyBand;
      expect(board.scoreOf(drawn.at)).toBeGreaterThanOrEqual(best - band);
    }),
  );
});

test("whoever is better in everything, by much, is chosen; one more of those never hurts", () => {
  const star = candidate("star", {
    price: 0,
    firstTokenMs: 0.1,
    tokensPerS: 5_000,
    freeShare: 1,
    reputation: 100,
    roundTripMs: 0,
    bitsPerWeight: 16,
    secrecy: 8,
  });
  const worse = someCandidates.map((all) =>
    all.map((one) => ({
      ...one,
      price: one.price + 1_000,
      freeShare: one.freeShare / 2,
      reputation: one.reputation / 2,
      roundTripMs: (one.roundTripMs ?? 0) + 100,
      firstTokenMs: one.firstTokenMs === null ? null : one.firstTokenMs + 10,
      bitsPerWeight: 4.5,
      secrecy: Math.min(one.secrecy, 4),
    })),
  );
  fc.assert(
    fc.property(worse, anyRouting, chances, (all, routing, chance) => {
      const among = [...all, star];
      expect(drawnOf(among, routing, () => chance.next().value ?? 0)).toBe("star");
      const twins = [...among, { ...star, id: "twin" }];
      expect(drawnOf(twins, routing, () => chance.next().value ?? 0)).toMatch(/star|twin/);
    }),
  );
});

test("one choice in a hundred explores, where there is somebody to explore and somebody known", () => {
  // A linear congruential generator (Numerical Recipes): the same draws in every run.
  let state = 1;
  const random = () => (state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32) / 2 ** 32;
  const known = [candidate("a"), candidate("b")];
  const unknown = candidate("new", {
    isMeasured: false,
    firstTokenMs: null,
    tokensPerS: null,
    successShare: null,
  });
  const exploredOf = (all: readonly Candidate[]) => {
    let explored = 0;
    const board = boardOf(all);
    for (let draw = 0; draw < 100_000; draw++) {
      const drawn = board.draw(defaultRouting, random);
      if (drawn?.isExplored === true) explored += 1;
      expect(drawn?.isExplored).toBe(all.length === 3 && drawn?.at === 2);
    }
    return explored / 100_000;
  };
  // Three standard deviations of 100,000 draws at 1 %.
  expect(Math.abs(exploredOf([...known, unknown]) - explorationShare)).toBeLessThan(0.001);
  expect(exploredOf(known)).toBe(0);
});
