import { describe, expect, test } from "vitest";
import { octoOptionsSchema, type OctoOptions } from "../../../shared/openai/octo-options.ts";
import {
  atMost,
  isWithin,
  mergeOptions,
  routingDemands,
  strategySuffix,
} from "../../../shared/openai/routing.ts";
import { strategyWeights, weightsOf } from "../../../shared/openai/strategies.ts";

const worker = "w".repeat(43);

describe("options are refused", () => {
  test.each<[string, unknown, string]>([
    ["an unknown strategy", { strategy: "cheapest" }, '"cost"|"speed"|"quality"'],
    ["an unknown order", { sort: "load" }, '"price"|"throughput"|"latency"|"reputation"'],
    ["an unknown region", { region: "mars" }, '"wnam"'],
    ["an unknown class", { class: "secret" }, '"confidential"'],
    ["an unknown ability", { require: ["flying"] }, "expected one of chat, completions,"],
    ["an unknown weight", { weights: { luck: 1 } }, "luck"],
    ["weights that are all 0", { weights: { price: 0, load: 0 } }, "at least one weight"],
    ["a weight below 0", { weights: { price: 1, load: -1 } }, "expected number to be >=0"],
    ["two answers to one question", { strategy: "cost", sort: "price" }, "give one of strategy"],
    ["a limit that limits nothing", { max_price: {} }, "give input, output or both"],
    ["no worker's id", { exclude: ["me"] }, "a worker's id or an account's"],
    ["a list of nobody", { include: [] }, "expected array to have >=1 items"],
    ["what is misspelt", { stratgy: "cost" }, "stratgy"],
  ])("for %s", (_, options, told) => {
    const parsed = octoOptionsSchema.safeParse(options);
    expect(parsed.success).toBe(false);
    expect(JSON.stringify(parsed.error?.issues).replaceAll("\\", "")).toContain(
      told.startsWith('"') ? told.split("|")[0]?.replaceAll('"', "") : told,
    );
  });

  test("and taken where everything is said", () => {
    const options: OctoOptions = {
      weights: { price: 1, latency: 2, throughput: 0 },
      max_price: { input: 0.5, output: 2 },
      min_reputation: 60,
      region: ["weur", "eeur"],
      class: "shared",
      exclude: [worker],
      include: ["acct_0123456789012345678901"],
      require: ["tools", "audio:mp3", "param:top_k"],
      min_quantization: "int8",
      identity: "content",
    };
    expect(octoOptionsSchema.parse(options)).toEqual(options);
  });
});

describe("of several sources", () => {
  test("each field is the first one's that has it", () => {
    const merged = mergeOptions([
      { max_price: 1 },
      null,
      { max_price: 2, region: "weur" },
      { region: "enam", class: "shared", strategy: "cost" },
    ]);
    expect(merged).toEqual({ max_price: 1, region: "weur", class: "shared", strategy: "cost" });
  });

  test("a strategy, weights and a sort order are one field", () => {
    const strategy = { strategy: "speed" } as const;
    const weights = { weights: { price: 1 } };
    const sort = { sort: "price" } as const;
    expect(mergeOptions([strategy, weights, sort])).toEqual(strategy);
    expect(mergeOptions([{}, weights, strategy])).toEqual(weights);
    expect(mergeOptions([undefined, sort, weights])).toEqual(sort);
  });
});

describe("what options demand", () => {
  test("is a balanced choice among all where they say nothing", () => {
    expect(routingDemands({}, null)).toEqual({
      routing: {
        strategy: "balanced",
        weights: strategyWeights.balanced,
        sort: null,
        regions: null,
        reputationMin: 0,
        exclude: [],
        include: null,
        affinity: null,
      },
      weights: { bitsMin: null, byContent: false },
      class: "public",
      require: [],
      priceMax: { inputMicrosPerMillion: null, outputMicrosPerMillion: null },
    });
  });

  test.each([
    [0.5, 500_000, 500_000],
    [{ input: 0.000001 }, 1, null],
    [{ output: 1_000 }, null, 1_000_000_000],
    [0, 0, 0],
    [{ input: 0.1, output: 0.3 }, 100_000, 300_000],
  ])("a price of %j is %s and %s micros for a million tokens", (given, input, output) => {
    const { priceMax } = routingDemands({ max_price: given }, null);
    expect(priceMax).toEqual({ inputMicrosPerMillion: input, outputMicrosPerMillion: output });
  });

  test("of a price is kept by both sides", () => {
    const most = { inputMicrosPerMillion: 5, outputMicrosPerMillion: null };
    const price = { inputMicrosPerMillion: 6, outputMicrosPerMillion: 99 };
    expect(isWithin(price, most)).toBe(false);
    expect(atMost(price, most)).toEqual({ inputMicrosPerMillion: 5, outputMicrosPerMillion: 99 });
    expect(isWithin(atMost(price, most), most)).toBe(true);
  });

  test("one region is a list of one", () => {
    expect(routingDemands({ region: "oc" }, null).routing.regions).toEqual(["oc"]);
  });

  test("weights sum to 1, whatever they sum to", () => {
    const weights = weightsOf({ price: 3, load: 1, success: undefined });
    expect(weights).toMatchObject({ price: 0.75, load: 0.25, success: 0, secrecy: 0 });
  });
});

describe("a model's suffix", () => {
  test.each([
    ["llama:cost", { model: "llama", strategy: "cost" }],
    ["octo-tiny:q8:balanced", { model: "octo-tiny:q8", strategy: "balanced" }],
    ["octo-tiny:q8", null],
    ["cost", null],
    [":cost", null],
    ["llama:cost:", null],
    ["llama:COST", null],
    [`sha256:${"d".repeat(64)}`, null],
    [`sha256:${"d".repeat(64)}:speed`, { model: `sha256:${"d".repeat(64)}`, strategy: "speed" }],
  ])("%s is, or is not, a strategy", (name, found) => {
    expect(strategySuffix(name)).toEqual(found);
  });
});
