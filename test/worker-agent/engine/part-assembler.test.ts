import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TokenLogprob } from "../../../shared/openai/output.ts";
import { PartAssembler } from "../../../worker-agent/engine/part-assembler.ts";
import { TokenDecoder } from "../../../worker-agent/engine/token-decoder.ts";

function logprob(token: string): TokenLogprob {
  return { token, logprob: -1, bytes: null, top_logprobs: [] };
}

function run(tokens: readonly string[], stops: readonly string[]) {
  const assembler = new PartAssembler(0, stops);
  const parts = [];
  for (const [id, text] of tokens.entries()) {
    parts.push(assembler.add({ id, text, logprob: logprob(text) }));
    if (assembler.isStopped) break;
  }
  parts.push(assembler.finish(""));
  const events = parts.filter((part) => part !== null);
  const made = events.map(({ part }) => part);
  return {
    tokenIds: events.flatMap((event) => event.tokenIds),
    texts: made.map((part) => part.text ?? ""),
    tokens: made.reduce((sum, part) => sum + part.tokens, 0),
    logprobs: made.flatMap((part) => part.logprobs ?? []).map((entry) => entry.token),
    isStopped: assembler.isStopped,
  };
}

describe("assembling parts", () => {
  test("every token leaves at once where nothing can stop it", () => {
    expect(run(["a", "b", "c"], []).texts).toEqual(["a", "b", "c"]);
  });

  test("a stop sequence that spans tokens never leaves, and its tokens are counted", () => {
    const made = run(["one ", "EN", "D", " more"], ["END"]);
    expect(made.texts.join("")).toBe("one ");
    expect(made).toMatchObject({ tokens: 3, isStopped: true, logprobs: ["one "] });
  });

  test("text that only began like a stop sequence leaves with the token that shows it", () => {
    const made = run(["EN", "DLESS", "!"], ["END!"]);
    expect(made.texts).toEqual(["ENDLESS", "!"]);
    expect(made).toMatchObject({ tokens: 3, isStopped: false });
  });

  test("text held back at the end leaves with the last part", () => {
    expect(run(["wait E", "N"], ["END"]).texts).toEqual(["wait ", "EN"]);
  });

  test("the earliest of several stop sequences wins", () => {
    expect(run(["a.b!c"], ["!", "."]).texts).toEqual(["a"]);
  });

  test("however text is cut into tokens, no stop sequence ever leaves", () => {
    const letters = fc.array(fc.constantFrom("a", "b", "ab", "ba", "aab"), { maxLength: 30 });
    const stops = fc.array(fc.stringMatching(/^[ab]{1,4}$/), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(letters, stops, (tokens, sequences) => {
        const whole = tokens.join("");
        const cuts = sequences.map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
        const made = run(tokens, sequences);
        expect(made.isStopped).toBe(cuts.length > 0);
        const text = made.texts.join("");
        // A longer sequence that starts earlier may still be incomplete when a shorter one stops
        // the answer.
        if (cuts.length === 0) expect(text).toBe(whole);
        else expect(whole.startsWith(text)).toBe(true);
        for (const stop of sequences) expect(text).not.toContain(stop);
        if (cuts.length === 0) expect(made.tokens).toBe(tokens.length);
      }),
    );
  });
});

describe("decoding tokens", () => {
  const decode = (tokens: readonly number[]): string =>
    new TextDecoder().decode(Uint8Array.from(tokens));

  test("a character that spans tokens leaves whole", () => {
    const text = "naïve 🐙 日本";
    const decoder = new TokenDecoder<number>(decode);
    const pieces = [...new TextEncoder().encode(text)].map((byte) => decoder.push(byte));
    expect(pieces.join("")).toBe(text);
    expect(pieces.some((piece) => piece.includes("\uFFFD"))).toBe(false);
    expect(pieces).toContain("🐙");
  });

  test("a character that is never completed is left out", () => {
    const decoder = new TokenDecoder<number>(decode);
    expect([0x61, 0xf0, 0x9f].map((byte) => decoder.push(byte)).join("")).toBe("a");
    expect(decoder.finish()).toBe("");
  });

  test("bytes that can be no character do not hold back the text after them for ever", () => {
    const decoder = new TokenDecoder<number>(decode);
    const pieces = [0xff, 0xff, 0xff, 0xff, 0x61].map((byte) => decoder.push(byte));
    expect(pieces.join("").endsWith("a")).toBe(true);
  });
});
