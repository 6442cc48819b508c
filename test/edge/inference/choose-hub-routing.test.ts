import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseHub, type HubQuery } from "../../../edge/inference/placing/choose-hub.ts";
import type { OctoOptions } from "../../../shared/openai/octo-options.ts";
import { routingDemands } from "../../../shared/openai/routing.ts";
import { regions } from "../../../shared/regions.ts";
import { failure, hub, model, price, query } from "./digests.ts";

/** What a request with these options asks for. */
function asking(options: OctoOptions, affinity: string | null = null): HubQuery {
  const { require: _, ...demanded } = routingDemands(options, affinity);
  return query(demanded);
}

const known = { decodeTokensPerS: 50, successShare: 1, samples: 9 };
const plain = model({ measured: { ...known, firstTokenMs: 200 }, lowestPrice: price(300) });

describe("where only some hubs may be asked", () => {
  const hubs = ["a", "b", "c"].map((id) => hub(id, plain));

  test("no other is, however good", () => {
    const better = hub("d", model({ ...plain, lowestPrice: price(1), highestPrice: price(9_999) }));
    for (const chance of [0, 0.5, 0.995]) {
      const choice = chooseHub(query({ hubIds: ["b", "x"] }), [...hubs, better], () => chance);
      expect(choice).toMatchObject({ hubIds: ["b"], price: plain.highestPrice });
    }
  });

  test("and have it no more, that is said of them alone", () => {
    const error = failure(query({ hubIds: ["x"] }), hubs);
    expect([error.code, error.message]).toEqual([
      "no_capacity",
      "No worker of your own offers m just now",
    ]);
    const dull = hub("e", model({ abilities: ["chat"], abilitySets: [["chat"]] }));
    const sharp = hub(
      "f",
      model({ abilities: ["chat", "tools"], abilitySets: [["chat", "tools"]] }),
    );
    const of = query({ hubIds: ["e"] }, ["chat", "tools"]);
    expect(failure(of, [dull, sharp]).message).toMatch(/^No worker with m can do what .* tools/);
  });
});

describe("hubs are asked by the strategy of the task", () => {
  test.each<[OctoOptions, Parameters<typeof model>[0]]>([
    [{ strategy: "cost" }, { lowestPrice: price(100) }],
    [{ strategy: "speed" }, { lowestFirstTokenMs: 20 }],
    [{ strategy: "quality" }, { bitsPerWeight: 16, bestReputation: 90 }],
    [{ strategy: "privacy" }, { classCeiling: "private" }],
    [{ strategy: "geo" }, { roundTripMs: 1 }],
    [{ sort: "latency" }, { lowestFirstTokenMs: 199 }],
    [{ weights: { success: 1 } }, { measured: { ...known, successShare: 1, firstTokenMs: 200 } }],
  ])("%j", (options, changes) => {
    const other = { ...plain, measured: { ...known, successShare: 0.8, firstTokenMs: 200 } };
    const hubs = [hub("a", other), hub("fit", { ...other, ...model({ ...other, ...changes }) })];
    for (const chance of [0, 0.9]) {
      expect(chooseHub(asking(options), hubs, () => chance).hubIds).toEqual(["fit", "a"]);
    }
  });

  test("the nearer region first, where the way is what counts", () => {
    const hubs = (["oc", "enam", "weur", "me"] as const).map((region) => ({
      ...hub(`${region}:0`, plain),
      region,
    }));
    const { hubIds } = chooseHub(asking({ strategy: "geo" }), hubs, () => 0);
    expect(hubIds).toEqual(["weur:0", "me:0", "enam:0"]);
  });

  test("a hub without a free slot last, however good, and one that fails after that", () => {
    const failing = model({ measured: { ...known, firstTokenMs: null, successShare: 0 } });
    const hubs = [
      hub("failing", failing),
      hub("full", model({ freeSlots: 0, lowestPrice: price(1) })),
      hub("dear", plain),
    ];
    expect(chooseHub(asking({ strategy: "cost" }), hubs, () => 0).hubIds).toEqual([
      "dear",
      "full",
      "failing",
    ]);
  });

  test("a conversation reaches the same hub, and another one where that is much worse", () => {
    const hubs = Array.from({ length: 12 }, (_, at) => hub(`weur:${at}`, plain));
    const homes = Array.from({ length: 40 }, (_, key) => {
      const of = asking({}, `key ${key}`);
      const [first, second] = chooseHub(of, hubs, () => 0.1).hubIds;
      expect(chooseHub(of, hubs.toReversed(), () => 0.9).hubIds.slice(0, 2)).toEqual([
        first,
        second,
      ]);
      const dearer = hubs.map((one) =>
        one.hubId === first ? hub(first, { ...plain, lowestPrice: price(3_000) }) : one,
      );
      // The next by the same order: what it cached meanwhile is found again.
      expect(chooseHub(of, dearer, () => 0.5).hubIds[0]).toBe(second);
      return first;
    });
    expect(new Set(homes).size).toBeGreaterThan(6);
  });

  test("one choice in a hundred asks a hub of which nothing is measured first", () => {
    const hubs = [hub("known", plain), hub("new", model({ lowestPrice: price(300) }))];
    expect(chooseHub(query(), hubs, () => 0.98).hubIds).toEqual(["known", "new"]);
    expect(chooseHub(query(), hubs, () => 0.99).hubIds).toEqual(["new", "known"]);
  });
});

describe("a limit of the consumer's own", () => {
  const digests = [
    { ...hub("enam:0", model({ bestReputation: 80, lowestPrice: price(2_000_000) })) },
    { ...hub("weur:0", model({ bestReputation: 60, lowestPrice: price(3_000_000) })) },
  ].map((one) => ({ ...one, region: one.hubId.startsWith("enam") ? "enam" : "weur" }) as const);

  test.each<[OctoOptions, readonly string[]]>([
    [{ region: "enam" }, ["enam:0"]],
    [{ region: ["weur", "oc"] }, ["weur:0"]],
    [{ min_reputation: 70 }, ["enam:0"]],
    [{ max_price: 2.5 }, ["enam:0"]],
    [{ max_price: { output: 2 } }, ["enam:0"]],
    [{ max_price: 3, min_reputation: 60 }, ["enam:0", "weur:0"]],
  ])("of %j leaves out who is beyond it", (options, hubIds) => {
    const found = chooseHub(asking(options), digests, () => 0).hubIds;
    expect(found.toSorted()).toEqual(hubIds);
  });

  test.each<[OctoOptions, string]>([
    [{ region: ["oc", "me"] }, "No worker with m is in oc, me; it is offered in enam, weur"],
    [{ min_reputation: 90 }, "No worker with m has a reputation of 90; the best has 80"],
    [
      { max_price: 1 },
      "No worker offers m within octo.max_price; the cheapest asks 2 credits for a million " +
        "prompt tokens and 2 for a million completion tokens",
    ],
    [{ class: "private" }, "No single worker with m can do all of field of chat for private tasks"],
  ])("of %j that nobody is within says what there is", (options, message) => {
    const error = failure(asking(options), digests);
    expect(error.code).toBe("unsupported_parameter");
    expect(error.message).toBe(message);
  });

  test("of a price is all that a hold covers", () => {
    const dear = model({ lowestPrice: price(100), highestPrice: price(9_000_000) });
    const choice = chooseHub(asking({ max_price: { input: 1 } }), [hub("a", dear)], () => 0);
    expect(choice.price).toEqual({
      inputMicrosPerMillion: 1_000_000,
      outputMicrosPerMillion: 9_000_000,
    });
  });

  test("of a price is met by the cheapest of each side: the hub knows its workers exactly", () => {
    const sides = { inputMicrosPerMillion: 5, outputMicrosPerMillion: 10 };
    const mixed = { ...model({ lowestPrice: price(10) }), lowestSides: sides };
    const of = asking({ max_price: { input: 0.000005, output: 0.00001 } });
    expect(chooseHub(of, [hub("a", mixed)], () => 0).hubIds).toEqual(["a"]);
  });
});

test("no hub that is asked is beyond a limit, and none that is within is said not to be there", () => {
  const digests = fc.array(
    fc.record({
      region: fc.constantFrom(...regions),
      each: fc.nat(10),
      bestReputation: fc.nat(100),
      free: fc.nat(2),
    }),
    { minLength: 1, maxLength: 12 },
  );
  const options = fc.record(
    {
      region: fc.array(fc.constantFrom(...regions), { minLength: 1, maxLength: 4 }),
      max_price: fc.nat(10),
      min_reputation: fc.nat(100),
      strategy: fc.constantFrom("cost", "geo", "balanced" as const),
    },
    { requiredKeys: [] },
  );
  const chance = fc.double({ min: 0, max: 0.999, noNaN: true });
  fc.assert(
    fc.property(digests, options, chance, (list, asked, draw) => {
      const hubs = list.map(({ region, each, bestReputation, free }, at) => ({
        ...hub(
          `h${at}`,
          model({ bestReputation, freeSlots: free, lowestPrice: price(each * 1_000_000) }),
        ),
        region,
      }));
      const within = list.map(
        (one) =>
          (asked.region?.includes(one.region) ?? true) &&
          one.each <= (asked.max_price ?? Infinity) &&
          one.bestReputation >= (asked.min_reputation ?? 0),
      );
      const of = asking(asked as OctoOptions);
      if (!within.includes(true)) {
        expect(failure(of, hubs).code).toBe("unsupported_parameter");
        return;
      }
      const { hubIds } = chooseHub(of, hubs, () => draw);
      expect(hubIds.length).toBe(Math.min(3, within.filter(Boolean).length));
      for (const id of hubIds) expect(within[Number(id.slice(1))]).toBe(true);
    }),
  );
});
