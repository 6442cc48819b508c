import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseHub } from "../../../edge/inference/placing/choose-hub.ts";
import { defaultRouting } from "../../../shared/openai/routing.ts";
import { type OctoOptions, weightDemands } from "../../../shared/openai/octo-options.ts";
import type { Ability } from "../../../shared/openai/demands.ts";
import { failure, hub, model, price, query, weights } from "./digests.ts";

describe("hubs are asked", () => {
  test("with a free slot first, then by price", () => {
    const { hubIds } = chooseHub(
      query(),
      [
        hub("busy", model({ freeSlots: 0, lowestPrice: price(1) })),
        hub("dear", model({ lowestPrice: price(9) })),
        hub("cheap", model({ lowestPrice: price(2) })),
      ],
      () => 0,
    );
    expect(hubIds).toEqual(["cheap", "dear", "busy"]);
  });

  test("at one price, what fails everything comes last, behind the unmeasured", () => {
    const failing = { firstTokenMs: null, decodeTokensPerS: null, successShare: 0, samples: 9 };
    const working = { firstTokenMs: 9_000, decodeTokensPerS: 1, successShare: 1, samples: 9 };
    const hubs = [
      hub("failing", model({ measured: failing })),
      hub("new", model()),
      hub("working", model({ measured: working })),
    ];
    for (const chance of [0, 0.9]) {
      const { hubIds } = chooseHub(query(), hubs, () => chance);
      expect(hubIds).toEqual(["working", "new", "failing"]);
    }
  });

  test("at one price, answers in one piece are not taken for infinitely fast", () => {
    const known = { successShare: 1, samples: 3 };
    const whole = { ...known, firstTokenMs: 900, decodeTokensPerS: null };
    const quick = { ...known, firstTokenMs: 90, decodeTokensPerS: 50 };
    const hubs = [hub("whole", model({ measured: whole })), hub("q", model({ measured: quick }))];
    expect(chooseHub(query(), hubs, () => 0).hubIds).toEqual(["q", "whole"]);
    const paced = { ...known, firstTokenMs: 100, decodeTokensPerS: 500 };
    const both = [hub("q", model({ measured: quick })), hub("p", model({ measured: paced }))];
    expect(chooseHub(query(), both, () => 0).hubIds).toEqual(["p", "q"]);
  });

  test("at one price, the faster by measurement first and the unmeasured last", () => {
    const measured = { decodeTokensPerS: 50, successShare: 1, samples: 3 };
    const { hubIds } = chooseHub(
      query(),
      [
        hub("unknown", model()),
        hub("slow", model({ measured: { ...measured, firstTokenMs: 900 } })),
        hub("fast", model({ measured: { ...measured, firstTokenMs: 90 } })),
      ],
      () => 0,
    );
    expect(hubIds).toEqual(["fast", "slow", "unknown"]);
  });

  test("only where the weights are as fine, and as well known, as was demanded", () => {
    const digests = [
      hub("fine", model({ bitsPerWeight: 16 })),
      hub("coarse", model({ bitsPerWeight: 4.5, quantization: "Q4_0" })),
      hub("unknown", model({ bitsPerWeight: null })),
      hub("declared", model({ bitsPerWeight: 16, identity: "declared" })),
    ];
    const asking = (options: OctoOptions) => query({ weights: weightDemands(options) });
    const of = (options: OctoOptions) =>
      chooseHub(asking(options), digests, () => 0).hubIds.toSorted();
    expect(of({ min_quantization: "fp16" })).toEqual(["declared", "fine"]);
    expect(of({ min_quantization: "int4" })).toEqual(["coarse", "declared", "fine"]);
    expect(of({ min_quantization: "fp16", identity: "content" })).toEqual(["fine"]);
    expect(failure(asking({ min_quantization: "fp32" }), digests)).toMatchObject({
      code: "unsupported_parameter",
      param: "octo",
      message:
        "No worker has m at 31 bits a weight or more, as octo.min_quantization demands; it is " +
        "offered as Q4_0 (4.5 bits a weight), Q8_0 (16 bits a weight), " +
        "Q8_0 (unknown bits a weight)",
    });
    expect(failure(asking({ identity: "content" }), digests.slice(3))).toMatchObject({
      param: "octo",
      message: "No worker with m has read the files of the model; leave octo.identity out",
    });
  });

  test("by name and by digest alike", () => {
    const { hubIds } = chooseHub(
      query({ model: `sha256:${weights}` }),
      [hub("a", model())],
      () => 0,
    );
    expect(hubIds).toEqual(["a"]);
  });

  test("at most three of them, each once, and the hold covers the dearest of those alone", () => {
    const digests = [1, 2, 3, 4].map((each) =>
      hub(`h${each}`, model({ lowestPrice: price(each), highestPrice: price(10 * each) })),
    );
    const other = model({ digest: "e".repeat(64), lowestPrice: price(1), highestPrice: price(5) });
    const { hubIds, price: held } = chooseHub(query(), [...digests, hub("h1", other)], () => 0);
    expect(hubIds).toEqual(["h1", "h2", "h3"]);
    expect(held).toEqual(price(30));
  });

  test("in an order of chance where nothing else tells them apart", () => {
    const digests = [hub("a", model()), hub("b", model())];
    const draws = [0.9, 0.1];
    const { hubIds } = chooseHub(query(), digests, () => draws.shift() ?? 0);
    expect(hubIds).toEqual(["b", "a"]);
  });
});

describe("a consumer is told", () => {
  test("which models there are, where its own is not", () => {
    const error = failure(query({ model: "x" }), [hub("a", model(), model({ model: "b" }))]);
    expect(error).toMatchObject({ code: "model_not_found", param: "model" });
    expect(error.message).toBe("The model x is not offered; the network offers b, m");
  });

  test("that there are none at all", () => {
    expect(failure(query(), []).message).toContain("offers no models just now");
  });

  test("which files a model of speech reads, and who reads the others", () => {
    const wavs: Ability[] = ["transcription", "audio:wav"];
    const mp3s: Ability[] = ["transcription", "audio:mp3", "audio:wav"];
    const of = (name: string, set: Ability[]) =>
      model({ model: name, abilities: set, abilitySets: [set] });
    const wanted = query({}, ["transcription", "audio:mp3"]);
    const alone = failure(wanted, [hub("a", of("m", wavs))]);
    expect(alone).toMatchObject({ code: "unsupported_parameter", param: "file" });
    expect(alone.message).toBe("No worker with m reads mp3 files; it reads wav");
    const digests = [hub("a", of("m", wavs)), hub("b", of("other", mp3s))];
    expect(failure(wanted, digests).message).toMatch(/it reads wav; other can$/);
    const hubs = [hub("a", of("m", wavs)), hub("b", of("m", mp3s))];
    expect(chooseHub(wanted, hubs, () => 0).hubIds).toEqual(["b"]);
  });

  test("which field asks for what its model cannot do, and which models can", () => {
    const able: Ability[] = ["chat", "seed"];
    const other = model({ model: "other", abilities: able, abilitySets: [able] });
    const error = failure(query({}, able), [hub("a", model()), hub("b", other)]);
    expect(error).toMatchObject({ code: "unsupported_parameter", param: "field of seed" });
    expect(error.message).toBe(
      "No worker with m can do what field of seed asks for (seed); other can",
    );
  });

  test("which field asks for what nobody can do", () => {
    const error = failure(query({}, ["chat", "param:mirostat"]), [hub("a", model())]);
    expect(error).toMatchObject({
      code: "unsupported_parameter",
      param: "field of param:mirostat",
    });
  });

  test.each<Ability>(["tools", "vision"])(
    "what there is instead, where nobody offers %s",
    (one) => {
      const error = failure(query({}, ["chat", one]), [hub("a", model())]);
      expect(error).toMatchObject({ code: "model_not_found", param: `field of ${one}` });
      expect(error.message).toBe(`Nobody offers ${one} just now; the network offers chat`);
    },
  );

  test("what there is instead, where nobody does this sort of task", () => {
    for (const named of ["m", "unknown"]) {
      const error = failure(query({ model: named }, ["embeddings"]), [hub("a", model())]);
      expect(error).toMatchObject({ code: "model_not_found", param: "model" });
      expect(error.message).toBe("Nobody offers embeddings just now; the network offers chat");
    }
  });

  test("which models do this sort of task, where its own does another", () => {
    const sorted: Ability[] = ["embeddings"];
    const vectors = model({ model: "e", abilities: sorted, abilitySets: [sorted] });
    const hubs = [hub("a", model()), hub("b", vectors)];
    const wrong = failure(query({}, sorted), hubs);
    expect(wrong).toMatchObject({ code: "model_not_found", param: "model" });
    expect(wrong.message).toBe("m does not offer embeddings; e does");
    const unknown = failure(query({ model: "x" }, sorted), hubs);
    expect(unknown.message).toBe("The model x is not offered; the network offers e for embeddings");
  });

  test("twenty names and how many more there are, of a network of many models", () => {
    const many = Array.from({ length: 25 }, (_, at) => model({ model: `m${at + 10}` }));
    const error = failure(query({ model: "x" }), [hub("a", ...many)]);
    expect(error.message).toMatch(/the network offers m10, .*, m29 and 5 more$/);
  });

  test("that no single worker can do all of it, where several could together", () => {
    const abilitySets: Ability[][] = [
      ["chat", "tools"],
      ["chat", "vision"],
    ];
    const together = model({ abilities: ["chat", "tools", "vision"], abilitySets });
    const error = failure(query({}, ["chat", "tools", "vision"]), [hub("a", together)]);
    expect(error.code).toBe("unsupported_parameter");
    expect(error.message).toMatch(/^No single worker with m can do all of field of chat, /);
  });

  test("that nobody may see so secret a task", () => {
    const error = failure(query({ class: "private" }), [hub("a", model())]);
    expect(error.message).toContain("for private tasks");
  });
});

test("every hub that is asked can serve, and the hold covers it", () => {
  const digests = fc.array(
    fc.record({
      free: fc.nat(2),
      each: fc.nat(1_000),
      fits: fc.boolean(),
      contextTokens: fc.nat(5_000),
    }),
    { minLength: 1, maxLength: 8 },
  );
  fc.assert(
    fc.property(digests, fc.infiniteStream(fc.double({ min: 0, max: 0.99 })), (list, chances) => {
      const hubs = list.map((of, at) =>
        hub(
          `h${at}`,
          model({
            freeSlots: of.free,
            lowestPrice: price(of.each),
            highestPrice: price(of.each + 5),
            contextTokens: of.contextTokens,
            abilities: of.fits ? ["chat"] : ["completions"],
            abilitySets: [of.fits ? ["chat"] : ["completions"]],
          }),
        ),
      );
      if (list.every((of) => !of.fits)) {
        expect(failure(query(), hubs).code).toBe("model_not_found");
        return;
      }
      const choice = chooseHub(query(), hubs, () => Number(chances.next().value));
      const asked = choice.hubIds.map((id) => list[Number(id.slice(1))]);
      expect(new Set(choice.hubIds).size).toBe(choice.hubIds.length);
      for (const of of asked) {
        expect(of?.fits).toBe(true);
        expect(choice.price.inputMicrosPerMillion).toBeGreaterThanOrEqual((of?.each ?? 0) + 5);
        expect(choice.contextTokens).toBeGreaterThanOrEqual(of?.contextTokens ?? 0);
      }
    }),
  );
});

test("a view that was asked before gives what a new one gives", () => {
  const fresh = () => [
    hub("a", model({ lowestPrice: price(1) })),
    hub("b", model({ classCeiling: "private", abilitySets: [["chat", "tools"]] })),
    { ...hub("c", model({ bestReputation: 90 })), region: "enam" as const },
  ];
  const queries = [
    query(),
    query({ class: "private" }),
    query({ region: "enam" }),
    query({ kind: "embedding" }),
    query({}, ["chat", "tools"]),
    query({ model: `sha256:${weights}` }),
    query({ routing: { ...defaultRouting, reputationMin: 80 } }),
    query(),
  ];
  const asked = fresh();
  for (const of of queries) {
    expect(chooseHub(of, asked, () => 0.5)).toEqual(chooseHub(of, fresh(), () => 0.5));
  }
});
