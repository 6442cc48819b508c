import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { OutputPart } from "../../../shared/openai/output.ts";
import { decodeUp, encodeFrame } from "../../../shared/protocol/codec.ts";
import { OutputTranscript, partBytes } from "../../../shared/protocol/receipt.ts";
import { AttemptDriver, makeOffer } from "./attempt-driver.ts";

const frameBytesMost = 128 * 1024;

const toolCall = fc.record({
  index: fc.nat(2),
  id: fc.constant("call_1"),
  name: fc.string({ maxLength: 3 }),
  arguments: fc.string({ maxLength: 12, unit: "grapheme" }),
});
const part = fc.record(
  {
    index: fc.nat(2),
    tokens: fc.nat(4),
    text: fc.string({ maxLength: 30, unit: "grapheme" }),
    reasoning: fc.string({ maxLength: 8, unit: "grapheme" }),
    tool_calls: fc.array(toolCall, { maxLength: 2 }),
  },
  { requiredKeys: ["index", "tokens"] },
);
const move = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: "engine" } as const) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(80) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("window" as const),
      bytes: fc.integer({ min: 1, max: 40 }),
    }),
  },
);

interface Totals {
  text: string[];
  reasoning: string[];
  arguments: string[];
  tokens: number;
}

/** What the parts deliver, however they are cut. */
function totals(parts: readonly OutputPart[]): Totals {
  const sum: Totals = { text: [], reasoning: [], arguments: [], tokens: 0 };
  const add = (texts: string[], index: number, text: string) => {
    texts[index] = (texts[index] ?? "") + text;
  };
  for (const { index, tokens, text, reasoning, tool_calls } of parts) {
    sum.tokens += tokens;
    if (text !== undefined && text !== "") add(sum.text, index, text);
    if (reasoning !== undefined && reasoning !== "") add(sum.reasoning, index, reasoning);
    for (const call of tool_calls ?? []) {
      add(sum.arguments, index * 10 + call.index, (call.name ?? "") + (call.arguments ?? ""));
    }
  }
  return sum;
}

test("any chunking, pace and window deliver the whole answer, in frames without a gap, within the window", () => {
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 30 }),
      fc.array(move, { maxLength: 60 }),
      fc.record({ window: fc.integer({ min: 8, max: 200 }), pace: fc.nat(60) }),
      (made, moves, { window, pace }) => {
        const driver = new AttemptDriver(makeOffer({ window_bytes: window }), pace);
        const queue = [...made];
        let granted = window;
        const engine = () => {
          if (!driver.isPulled) return;
          const next = queue.shift();
          if (next !== undefined) driver.part(next);
          else driver.end({ prompt: 1, completion: 1, cached: 0 });
        };
        const grant = (bytes: number) => {
          granted += bytes;
          driver.tell({ kind: "window", bytes });
        };
        const check = () => {
          const sent = driver.parts.reduce((sum, sentPart) => sum + partBytes(sentPart), 0);
          expect(sent).toBeLessThanOrEqual(granted);
          expect(driver.state.gatheredBytes).toBe(
            driver.state.gathered.reduce((sum, waiting) => sum + partBytes(waiting), 0),
          );
        };
        for (const step of moves) {
          if (step.kind === "engine") engine();
          else if (step.kind === "pass") driver.pass(step.ms);
          else grant(step.bytes);
          check();
        }
        // A consumer that reads on gets the rest.
        for (let turn = 0; turn < 500 && driver.draft === null; turn++) {
          engine();
          driver.pass(pace);
          if (!driver.isPulled) grant(16);
          check();
        }
        expect(driver.draft).not.toBeNull();
        driver.seal();
        expect(totals(driver.parts)).toEqual(totals(made));
        const numbered = driver.frames.flatMap((frame) => ("seq" in frame ? [frame.seq] : []));
        expect(numbered).toEqual(numbered.map((_, at) => at));
        expect(driver.types().filter((type) => type === "task.end")).toHaveLength(1);
        expect(driver.types().at(-1)).toBe("task.end");
        for (const frame of driver.frames) expect(decodeUp(encodeFrame(frame)).kind).toBe("frame");
      },
    ),
    { numRuns: 300 },
  );
});

test("with a wide window the transcript is the one of the engine's own parts", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 30 }), fc.nat(60), async (made, pace) => {
      const driver = new AttemptDriver(makeOffer({ window_bytes: 1_000_000 }), pace);
      const own = new OutputTranscript();
      for (const next of made) {
        own.add(next);
        driver.part(next);
        driver.pass(7);
      }
      driver.end();
      driver.seal();
      const sent = new OutputTranscript();
      for (const next of driver.parts) sent.add(next);
      // A choice that made nothing at all leaves no trace on the wire.
      expect([sent.tokens, sent.bytes]).toEqual([own.tokens, own.bytes]);
      if (made.length > 0) expect(await sent.hash()).toBe(await own.hash());
    }),
    { numRuns: 200 },
  );
});

test("no frame is larger than 128 KiB, whatever escaping and log probabilities make of it", () => {
  const heavy = fc.oneof(
    fc.record({
      index: fc.nat(1),
      tokens: fc.constant(50_000),
      text: fc.constantFrom("\u0001".repeat(60_000), "é".repeat(90_000), "a".repeat(300_000)),
    }),
    fc.record({
      index: fc.nat(1),
      tokens: fc.constant(700),
      text: fc.constant("word ".repeat(700)),
      logprobs: fc.constant(
        Array.from({ length: 700 }, (_, at) => ({
          token: `w${at}`,
          logprob: -0.5,
          bytes: [1, 2, 3],
          top_logprobs: Array.from({ length: 20 }, () => ({
            token: "other",
            logprob: -3.25,
            bytes: null,
          })),
        })),
      ),
    }),
  );
  fc.assert(
    fc.property(fc.array(heavy, { minLength: 1, maxLength: 3 }), (made) => {
      const driver = new AttemptDriver(makeOffer({ window_bytes: 10_000_000 }), 1_000);
      for (const next of made) driver.part(next);
      driver.end();
      driver.seal();
      expect(totals(driver.parts)).toEqual(totals(made));
      const logprobs = (parts: readonly OutputPart[]) => parts.flatMap((own) => own.logprobs ?? []);
      expect(logprobs(driver.parts)).toHaveLength(logprobs(made).length);
      for (const frame of driver.frames) {
        expect(Buffer.byteLength(encodeFrame(frame))).toBeLessThanOrEqual(frameBytesMost);
      }
    }),
    { numRuns: 20 },
  );
});
