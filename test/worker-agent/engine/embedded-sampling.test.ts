import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { tokenLogprob } from "../../../worker-agent/engine/embedded/embedded-logprobs.ts";
import {
  choiceSeed,
  readSampling,
} from "../../../worker-agent/engine/embedded/embedded-sampling.ts";
import { tokenBytes } from "../../../worker-agent/engine/token-bytes.ts";
import { chat, completion } from "./collect.ts";

describe("reading sampling fields", () => {
  test("a request that says nothing samples from the model's whole distribution", () => {
    expect(readSampling(chat("Hi"))).toMatchObject({
      temperature: 1,
      topP: 1,
      topK: 0,
      minP: 0,
      repeatPenalty: 1,
      seed: null,
      stops: [],
      alternatives: null,
      choices: 1,
    });
  });

  test("logprobs is a switch in a chat and a number in a completion", () => {
    expect(readSampling(chat("Hi", { logprobs: true })).alternatives).toBe(0);
    expect(readSampling(chat("Hi", { logprobs: true, top_logprobs: 3 })).alternatives).toBe(3);
    expect(readSampling(completion("Hi", { logprobs: 2 })).alternatives).toBe(2);
  });

  test.each([
    ["top_k", 1.5],
    ["top_k", "many"],
    ["min_p", 3],
    ["repeat_penalty", 0],
  ])("%s %j is refused by name", (field, value) => {
    const read = (): unknown => readSampling(chat("Hi", { [field]: value }));
    expect(read).toThrow(expect.objectContaining({ code: "invalid_request" }));
    expect(read).toThrow(`Cannot use ${field} ${JSON.stringify(value)}: it is`);
  });

  test("seeds fit 32 bits, never mean random, and differ from choice to choice", () => {
    const seeds = fc.maxSafeInteger();
    fc.assert(
      fc.property(seeds, fc.nat(15), fc.nat(15), (seed, a, b) => {
        const value = choiceSeed(seed, a);
        expect(Number.isInteger(value) && value >= 0 && value < 0xffff_ffff).toBe(true);
        if (a !== b) expect(value).not.toBe(choiceSeed(seed, b));
      }),
    );
  });
});

describe("log probabilities", () => {
  const names = { text: (token: number) => `t${token}`, bytes: () => null };

  test("are those before temperature, whatever the tokens were drawn at", () => {
    const raw = [0.7, 0.2, 0.1];
    for (const temperature of [0.5, 1, 1.7]) {
      const powers = raw.map((probability) => probability ** (1 / temperature));
      const total = powers.reduce((sum, power) => sum + power, 0);
      const drawnBy = new Map(powers.map((power, token) => [token, power / total]));
      const entry = tokenLogprob(1, drawnBy, { temperature, alternatives: 3, names });
      expect(entry.logprob).toBeCloseTo(Math.log(0.2), 6);
      const sum = entry.top_logprobs.reduce((one, { logprob }) => one + Math.exp(logprob), 0);
      expect(sum).toBeCloseTo(1, 6);
    }
  });

  test("of a token outside the distribution is the least there is", () => {
    const entry = tokenLogprob(9, new Map([[1, 1]]), { temperature: 1, alternatives: 0, names });
    expect(entry).toEqual({ token: "t9", logprob: -9999, bytes: [116, 57], top_logprobs: [] });
  });

  test("carry the bytes of a token that is part of a character", () => {
    const own = { text: () => "\uFFFD", bytes: () => tokenBytes("Ã", "gpt2") };
    const entry = tokenLogprob(1, new Map([[1, 1]]), {
      temperature: 1,
      alternatives: 0,
      names: own,
    });
    expect(entry.bytes).toEqual([0xc3]);
    expect(tokenBytes("Ġa", "gpt2")).toEqual([32, 97]);
    expect(tokenBytes("<0x0A>", "llama")).toEqual([10]);
    expect(tokenBytes("▁a", "llama")).toEqual([32, 97]);
    expect(tokenBytes("日", "gpt2")).toBeNull();
    expect(tokenBytes("a", "bert")).toBeNull();
  });
});
