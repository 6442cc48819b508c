import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { listingFor } from "../../../edge/hub/routing/candidate-facts.ts";
import { chooseWorker } from "../../../edge/hub/routing/choose-worker.ts";
import type { Session } from "../../../edge/hub/hub-state.ts";
import { emptyVetting } from "../../../edge/hub/vetting/vetting.ts";
import {
  emptyMemory,
  type Measurement,
  rememberSpeed,
} from "../../../edge/hub/sessions/worker-memory.ts";
import { strategyWeights } from "../../../shared/openai/strategies.ts";
import { defaultRouting, type Routing } from "../../../shared/openai/routing.ts";
import { weightDemands } from "../../../shared/openai/octo-options.ts";
import type { Listing } from "../../../shared/protocol/listing.ts";
import { digest, listing, task } from "./hub-scene.ts";
import { protocolVersion } from "../../../shared/protocol/limits.ts";

function session(id: string, changes: Partial<Session> = {}): Session {
  return {
    id,
    workerId: `worker ${id}`,
    accountId: "acct",
    region: "weur",
    roundTripMs: 20,
    version: protocolVersion,
    epoch: 1,
    listings: [listing()],
    revision: 1,
    credits: 2,
    draining: false,
    modelsByAttempt: new Map(),
    vetting: emptyVetting(),
    hardware: null,
    memory: emptyMemory(),
    measuredMs: 0,
    probedLast: false,
    facts: null,
    ...changes,
  };
}

function routed(changes: Partial<Routing>): { readonly routing: Routing } {
  return { routing: { ...defaultRouting, ...changes } };
}

const int8 = { weights: weightDemands({ min_quantization: "int8" }) };
const byContent = { weights: weightDemands({ identity: "content" }) };

const none: ReadonlySet<string> = new Set();

/** Numbers one after the other, then the last of them for ever. */
function random(...numbers: readonly number[]): () => number {
  let at = 0;
  return () => numbers[Math.min(at++, numbers.length - 1)] ?? 0;
}

describe("a worker is found", () => {
  test("under its model's name and under its digest", () => {
    const of = session("v");
    expect(listingFor(of, "m")).toBe(of.listings[0]);
    expect(listingFor(of, `sha256:${digest}`)).toBe(of.listings[0]);
    expect(listingFor(of, "other")).toBeNull();
  });

  test("under its own names alone, however many others there are", () => {
    const names = Array.from({ length: 100 }, (_, at) => `model-${at}`);
    const sessions = names.map((name) => session(name, { listings: [listing({ model: name })] }));
    for (const name of names) {
      const choice = chooseWorker(task("a", { model: name }), sessions, none, random(0));
      expect(choice).toMatchObject({ session: { id: name }, route: { excluded: { model: 99 } } });
    }
  });

  test("under what it lists now, not under what it listed before", () => {
    const of = session("v");
    expect(chooseWorker(task("a"), [of], none, random(0)).kind).toBe("chosen");
    of.listings = [listing({ model: "other" })];
    expect(chooseWorker(task("a"), [of], none, random(0)).kind).toBe("nobody");
    const other = chooseWorker(task("a", { model: "other" }), [of], none, random(0));
    expect(other).toMatchObject({ kind: "chosen", listing: { model: "other" } });
  });

  test("with the lower price, whoever is drawn", () => {
    const dear = session("dear", { listings: [listing({ output_micros_per_million: 900 })] });
    const cheap = session("cheap");
    for (const draws of [random(0, 0.9), random(0.9, 0)]) {
      const choice = chooseWorker(task("a"), [dear, cheap], none, draws);
      expect(choice).toMatchObject({
        kind: "chosen",
        session: { id: "cheap" },
        route: { considered: 2, workerId: "worker cheap", explored: false, sticky: false },
      });
    }
  });

  test("with more free slots where the prices are the same", () => {
    const sessions = [session("full", { credits: 1 }), session("free", { credits: 2 })];
    const choice = chooseWorker(task("a"), sessions, none, random(0, 0.9));
    expect(choice).toMatchObject({ session: { id: "free" } });
  });
});

/** A session whose hub has measured it so. */
function paced(
  id: string,
  speed: Pick<Measurement, "firstTokenMs" | "decodeTokensPerS"> & Partial<Measurement>,
  changes: Partial<Session> = {},
): Session {
  const of = session(id, changes);
  rememberSpeed(of.memory, { model: "m", digest, isSuccess: true, running: 1, ...speed });
  return of;
}

function measured(id: string, firstTokenMs: number, changes: Partial<Session> = {}): Session {
  return paced(id, { firstTokenMs, decodeTokensPerS: 100 }, changes);
}

function chosenOf(sessions: Session[], ...draws: number[]): string {
  const choice = chooseWorker(task("a"), sessions, none, random(...draws));
  return choice.kind === "chosen" ? choice.session.id : choice.kind;
}

describe("at one price", () => {
  test("the faster by measurement is chosen, whatever either declares", () => {
    const boast = listing({
      speed: {
        first_token_ms: 1,
        prompt_tokens_per_s: 9_999,
        decode_tokens_per_s: 9_999,
        decode_tokens_per_s_full: 9_999,
        context_tokens: 9_999,
      },
    });
    const slow = measured("slow", 3_000, { listings: [boast] });
    const fast = measured("fast", 100);
    expect(chosenOf([slow, fast], 0, 0.9)).toBe("fast");
    expect(chosenOf([slow, fast], 0.9, 0)).toBe("fast");
  });

  test("the freer is chosen where they are about equally fast", () => {
    const full = measured("full", 100, { credits: 1 });
    const free = measured("free", 150, { credits: 2 });
    expect(chosenOf([full, free], 0, 0.9)).toBe("free");
  });

  test("an unknown pace is not infinite: the sooner to begin is chosen", () => {
    const whole = paced("whole", { firstTokenMs: 100, decodeTokensPerS: 100 });
    const short = paced("short", { firstTokenMs: 250, decodeTokensPerS: null });
    expect(chosenOf([whole, short], 0, 0.9)).toBe("whole");
    expect(chosenOf([whole, short], 0.9, 0)).toBe("whole");
  });

  test("whoever has never answered comes last, however cheap, but for what nobody else takes", () => {
    const failing = (changes: Partial<Session> = {}) =>
      paced("failing", { isSuccess: false, firstTokenMs: null, decodeTokensPerS: null }, changes);
    const cheap = failing({ listings: [listing({ input_micros_per_million: 1 })] });
    for (const other of [measured("slow", 9_000), session("new")]) {
      for (const bad of [failing(), cheap]) {
        expect(chosenOf([bad, other], 0, 0.9)).toBe(other.id);
        expect(chosenOf([bad, other], 0.9, 0)).toBe(other.id);
      }
    }
    expect(chosenOf([failing()], 0, 0.9)).toBe("failing");
  });

  test("the unmeasured gets one choice in a hundred, so that it will be measured", () => {
    const sessions = [measured("known", 100), session("new")];
    expect(chosenOf(sessions, 0, 0.9)).toBe("known");
    expect(chosenOf(sessions, 0.98, 0)).toBe("known");
    expect(chosenOf(sessions, 0.99, 0)).toBe("new");
    expect(chosenOf(sessions, 0.999, 0.9)).toBe("new");
    const choice = chooseWorker(task("a"), sessions, none, random(0.99));
    expect(choice).toMatchObject({ route: { explored: true } });
  });

  test("the unmeasured is not chosen for being unknown, even where nothing unknown counts", () => {
    const byPrice = task("a", routed({ weights: strategyWeights.cost }));
    const newcomer = session("new");
    const sessions = [newcomer, measured("known", 9_000)];
    for (const chance of [0, 0.5, 0.98]) {
      const choice = chooseWorker(byPrice, sessions, none, () => chance);
      expect(choice).toMatchObject({ session: { id: "known" } });
    }
    newcomer.listings = [listing({ input_micros_per_million: 1, output_micros_per_million: 1 })];
    const cheaper = chooseWorker(byPrice, sessions, none, () => 0.5);
    expect(cheaper).toMatchObject({ session: { id: "new" }, route: { explored: false } });
  });
});

describe("a worker is left out", () => {
  test.each<[string, Partial<Listing>, Parameters<typeof task>[1], string | null]>([
    ["it fits", {}, {}, null],
    ["it cannot do what is asked", {}, { demands: ["chat", "tools"] }, "ability"],
    ["its context is too short", { context_tokens: 99 }, {}, "context"],
    ["two choices fit twice the context", { context_tokens: 50 }, { choices: 2 }, null],
    ["no limit was asked for", { context_tokens: 1 }, { completionTokensMax: null }, null],
    ["the task is more secret than it may see", {}, { class: "shared" }, "class"],
    ["it may see more secret tasks", { class_ceiling: "private" }, { class: "shared" }, null],
    ["its prompts cost more than agreed", { input_micros_per_million: 1_001 }, {}, "price"],
    ["its answers cost more than agreed", { output_micros_per_million: 1_001 }, {}, "price"],
    ["its weights are too coarse", { bits_per_weight: 4.5 }, int8, "quantization"],
    ["its weights do not tell", { bits_per_weight: null }, int8, "quantization"],
    ["its weights are fine enough", { bits_per_weight: 8.5 }, int8, null],
    ["its model is only declared", { identity: "declared" }, byContent, "identity"],
    ["it costs exactly what was agreed", { output_micros_per_million: 1_000 }, {}, null],
    ["it is somewhere else", {}, routed({ regions: ["enam", "apac"] }), "region"],
    ["it is in one of the regions", {}, routed({ regions: ["enam", "weur"] }), null],
    ["it is named as unwanted", {}, routed({ exclude: ["worker v"] }), "exclude"],
    ["its account is unwanted", {}, routed({ exclude: ["x", "acct"] }), "exclude"],
    ["others are unwanted", {}, routed({ exclude: ["worker x"] }), null],
    ["others alone are wanted", {}, routed({ include: ["worker x"] }), "include"],
    ["it is among the wanted", {}, routed({ include: ["worker x", "worker v"] }), null],
    ["its account is among the wanted", {}, routed({ include: ["acct"] }), null],
    ["a newcomer is not reputed enough", {}, routed({ reputationMin: 51 }), "reputation"],
    ["a newcomer is reputed enough", {}, routed({ reputationMin: 50 }), null],
    ["it does not read the file", {}, { demands: ["chat", "audio:mp3"] }, "ability"],
    [
      "it reads the file and knows the field",
      { abilities: ["chat", "audio:mp3", "param:top_k"] },
      { demands: ["chat", "audio:mp3", "param:top_k"] },
      null,
    ],
  ])("or not, where %s", (_, offered, asked, exclusion) => {
    const choice = chooseWorker(
      task("a", asked),
      [session("v", { listings: [listing(offered)] })],
      none,
      random(0),
    );
    const expected =
      exclusion === null
        ? { kind: "chosen" }
        : {
            kind: "nobody",
            excluded: { [exclusion]: 1 },
            excludedExamples: [{ workerId: "worker v", reason: exclusion }],
          };
    expect(choice).toMatchObject(expected);
  });

  test("and every reason is counted", () => {
    const sessions = [
      session("1", { listings: [] }),
      session("2", { draining: true }),
      session("3", { listings: [listing({ context_tokens: 1 })] }),
      session("4"),
      session("5", { listings: [] }),
    ];
    const choice = chooseWorker(task("a"), sessions, new Set(["4"]), random(0));
    const excluded = { model: 2, draining: 1, context: 1, tried: 1 };
    expect(choice).toMatchObject({ kind: "nobody", considered: 5, excluded });
  });

  test("only for now where all its slots, or all of this model's, are taken", () => {
    const spent = session("spent", { credits: 0 });
    expect(chooseWorker(task("a"), [spent], none, random(0))).toMatchObject({ kind: "busy" });
    const modelsByAttempt = new Map([
      ["1", "m"],
      ["2", "m"],
    ]);
    const full = session("full", { modelsByAttempt });
    expect(chooseWorker(task("a"), [full], none, random(0))).toMatchObject({ kind: "busy" });
  });
});

test("whoever is chosen passes every filter and has a slot, and nobody is only where nobody could", () => {
  const sessions = fc.array(
    fc.record({
      credits: fc.nat(2),
      draining: fc.boolean(),
      context: fc.constantFrom(50, 1_000),
      price: fc.constantFrom(10, 5_000),
      tried: fc.boolean(),
      running: fc.nat(2),
    }),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(sessions, fc.double({ min: 0, max: 0.999, noNaN: true }), (list, chance) => {
      const made = list.map((of, at) =>
        session(String(at), {
          credits: of.credits,
          draining: of.draining,
          listings: [listing({ context_tokens: of.context, input_micros_per_million: of.price })],
          modelsByAttempt: new Map(Array.from({ length: of.running }, (_, n) => [String(n), "m"])),
        }),
      );
      const tried = new Set(list.flatMap((of, at) => (of.tried ? [String(at)] : [])));
      const fits = list.map(
        (of) => !of.draining && !of.tried && of.context === 1_000 && of.price === 10,
      );
      const free = list.map((of, at) => fits[at] && of.credits > 0 && of.running < 2);
      const choice = chooseWorker(task("a"), made, tried, () => chance);
      if (choice.kind === "chosen") expect(free[Number(choice.session.id)]).toBe(true);
      else expect(free).not.toContain(true);
      if (choice.kind === "busy") expect(fits).toContain(true);
      if (choice.kind === "nobody") expect(fits).not.toContain(true);
    }),
  );
});
