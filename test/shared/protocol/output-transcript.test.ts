import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import type { OutputPart } from "../../../shared/openai/output.ts";
import { OutputTranscript, partBytes, utf8Length } from "../../../shared/protocol/receipt.ts";

function transcriptOf(parts: readonly OutputPart[]): OutputTranscript {
  const transcript = new OutputTranscript();
  for (const part of parts) transcript.add(part);
  return transcript;
}

/** Text of all kinds of characters, surrogate pairs that a cut may go through among them. */
const text = fc.string({ unit: fc.constantFrom("a", '"', "é", "€", "😀", "\n"), maxLength: 12 });

interface Whole {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly { readonly name: string; readonly arguments: string }[];
}

const whole: fc.Arbitrary<Whole> = fc.record({
  text,
  reasoning: text,
  calls: fc.array(fc.record({ name: text, arguments: text }), { maxLength: 3 }),
});

/** One answer in pieces, each of `sizes` UTF-16 units, as engines and frames may cut it. */
function piecesOf(answer: Whole, sizes: readonly number[]): OutputPart[] {
  const parts: OutputPart[] = [];
  const cut = (value: string, partOf: (piece: string) => Omit<OutputPart, "index" | "tokens">) => {
    let at = 0;
    for (let step = 0; at < value.length; step++) {
      const size = sizes[step % sizes.length] ?? 1;
      parts.push({ index: 0, tokens: 1, ...partOf(value.slice(at, at + size)) });
      at += size;
    }
  };
  cut(answer.reasoning, (piece) => ({ reasoning: piece }));
  cut(answer.text, (piece) => ({ text: piece }));
  for (const [index, call] of answer.calls.entries()) {
    const id = `call_${index}`;
    parts.push({ index: 0, tokens: 1, tool_calls: [{ index, id, name: call.name }] });
    cut(call.arguments, (piece) => ({ tool_calls: [{ index, arguments: piece }] }));
  }
  return parts;
}

const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 });

describe("the transcript of an answer", () => {
  test("a choice of nothing leaves no trace, whether or not a part of it came", () => {
    const said = { index: 0, tokens: 1, text: "a" };
    const silent = { index: 1, tokens: 1 };
    expect(transcriptOf([said, silent]).canonical()).toBe(transcriptOf([said]).canonical());
    expect(transcriptOf([{ ...silent, index: 0, text: "" }]).canonical()).toBe("[]");
    const second = { ...said, index: 1 };
    expect(transcriptOf([second]).canonical()).toContain('"text":""');
  });

  test("its hash and its bytes do not depend on how the answer was cut", async () => {
    await fc.assert(
      fc.asyncProperty(whole, sizes, sizes, async (answer, oneWay, another) => {
        const a = transcriptOf(piecesOf(answer, oneWay));
        const b = transcriptOf(piecesOf(answer, another));
        expect(a.bytes).toBe(b.bytes);
        expect(await a.hash()).toBe(await b.hash());
      }),
    );
  });

  test("a tool call in one piece or in many is the same call", async () => {
    const head = { index: 0, id: "call_1", name: "weather" };
    const one = transcriptOf([
      { index: 0, tokens: 3, tool_calls: [{ ...head, arguments: '{"city":"Rome"}' }] },
    ]);
    const many = transcriptOf([
      { index: 0, tokens: 1, tool_calls: [head] },
      { index: 0, tokens: 1, tool_calls: [{ index: 0, arguments: '{"city":' }] },
      { index: 0, tokens: 1, tool_calls: [{ index: 0, arguments: '"Rome"}' }] },
    ]);
    expect(await many.hash()).toBe(await one.hash());
  });

  test("other answers have other hashes", async () => {
    const call = { index: 0, id: "a", name: "b", arguments: "c" };
    const answers: OutputPart[][] = [
      [],
      [{ index: 0, tokens: 1, text: "x" }],
      [{ index: 0, tokens: 1, reasoning: "x" }],
      [{ index: 1, tokens: 1, text: "x" }],
      [{ index: 0, tokens: 1, text: "x " }],
      [{ index: 0, tokens: 1, tool_calls: [call] }],
      [{ index: 0, tokens: 1, tool_calls: [{ ...call, index: 1 }] }],
      [{ index: 0, tokens: 1, tool_calls: [{ ...call, id: "a:b", name: "" }] }],
      [{ index: 0, tokens: 1, tool_calls: [{ ...call, name: "b:c", arguments: "" }] }],
      [{ index: 0, tokens: 1, tool_calls: [call, { ...call, index: 1 }] }],
    ];
    const hashes = await Promise.all(answers.map((parts) => transcriptOf(parts).hash()));
    expect(new Set(hashes).size).toBe(answers.length);
  });

  test("choices do not depend on the order in which their pieces came", async () => {
    const a: OutputPart = { index: 0, tokens: 1, text: "a" };
    const b: OutputPart = { index: 1, tokens: 1, text: "b" };
    expect(await transcriptOf([a, b]).hash()).toBe(await transcriptOf([b, a]).hash());
  });

  test("the hash of a plain answer is the same for ever", async () => {
    const transcript = transcriptOf([{ index: 0, tokens: 1, text: "Hello" }]);
    expect(await transcript.hash()).toBe(
      await sha256Hex('[{"reasoning":"","text":"Hello","tools":[]}]'),
    );
  });

  test("it counts the tokens the pieces stand for, and remembers the text", () => {
    const transcript = transcriptOf([
      { index: 0, tokens: 2, text: "Hel" },
      { index: 0, tokens: 3, text: "lo" },
    ]);
    expect(transcript.tokens).toBe(5);
    expect(transcript.text(0)).toBe("Hello");
    expect(transcript.text(7)).toBe("");
  });

  test("half a character at the end does not break the hash", async () => {
    const transcript = transcriptOf([{ index: 0, tokens: 1, text: "a\ud83d" }]);
    expect(await transcript.hash()).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe("counting bytes", () => {
  test("the length of well-formed text is TextEncoder's", () => {
    const encoder = new TextEncoder();
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 100 }), (value) => {
        const wellFormed = value.toWellFormed();
        expect(utf8Length(wellFormed)).toBe(encoder.encode(wellFormed).length);
      }),
    );
  });

  test("the two halves of a pair count what the pair counts, wherever it is cut", () => {
    fc.assert(
      fc.property(text, fc.nat(12), (value, at) => {
        const halves = utf8Length(value.slice(0, at)) + utf8Length(value.slice(at));
        expect(halves).toBe(utf8Length(value));
      }),
    );
  });

  test("a part counts its text, its reasoning, and its calls' names and arguments", () => {
    const part: OutputPart = {
      index: 0,
      tokens: 9,
      text: "é",
      reasoning: "€",
      tool_calls: [{ index: 0, id: "not counted", name: "fn", arguments: "😀" }],
    };
    expect(partBytes(part)).toBe(2 + 3 + 2 + 4);
    expect(partBytes({ index: 0, tokens: 1 })).toBe(0);
  });
});
