import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { closeCodes, closeReasonBytesMax } from "../../../shared/protocol/close-codes.ts";
import {
  type Decoded,
  decodeDown,
  decodeUp,
  decodeUpMessage,
  encodeFrame,
  joinFrames,
} from "../../../shared/protocol/codec.ts";
import { frameBytesMax, unprovenFrameBytesMax } from "../../../shared/protocol/limits.ts";
import { downFrames, upFrames } from "../../helpers/frames.ts";

function closeOf(decoded: Decoded<unknown>): string {
  return decoded.kind === "broken" ? decoded.close : "none";
}

describe("frames", () => {
  test.each(Object.values(upFrames))("$type from a worker comes back as it was", (frame) => {
    expect(decodeUp(encodeFrame(frame))).toEqual({ kind: "frame", frame });
  });

  test.each(Object.values(downFrames))("$type from a hub comes back as it was", (frame) => {
    expect(decodeDown(encodeFrame(frame))).toEqual({ kind: "frame", frame });
  });

  test("each side's frames are malformed in the other direction", () => {
    for (const frame of Object.values(upFrames)) {
      expect(closeOf(decodeDown(encodeFrame(frame)))).toBe("malformed");
    }
    for (const frame of Object.values(downFrames)) {
      expect(closeOf(decodeUp(encodeFrame(frame)))).toBe("malformed");
    }
  });

  test("a field this version does not know is left out, so that a newer peer can be spoken to", () => {
    const frame = { ...upFrames["credit.grant"], burst: 3 };
    expect(decodeUp(JSON.stringify(frame))).toEqual({
      kind: "frame",
      frame: upFrames["credit.grant"],
    });
  });

  test("a receipt's unknown field is refused: its signature would cover what nobody read", () => {
    const { receipt } = upFrames["task.end"];
    const altered = { ...receipt, receipt: { ...receipt.receipt, tip: 1 } };
    const frame = { ...upFrames["task.end"], receipt: altered };
    expect(closeOf(decodeUp(JSON.stringify(frame)))).toBe("malformed");
  });
});

describe("what is not a frame", () => {
  test.each([
    ["nothing", ""],
    ["no JSON", "{"],
    ["two values", "{}{}"],
    ["a number", "1"],
    ["null", "null"],
    ["a list", "[]"],
    ["an object without a type", "{}"],
    ["an unknown type", '{"type":"task.steal"}'],
    ["a name that objects inherit", '{"type":"constructor"}'],
    ["a type that is no text", '{"type":["worker.drain"]}'],
    ["a prototype as its own member", '{"__proto__":{"type":"worker.drain"}}'],
    ["NaN", '{"type":"credit.grant","slots":NaN}'],
    ["a number beyond all", '{"type":"credit.grant","slots":1e999}'],
    ["a negative number", '{"type":"credit.grant","slots":-1}'],
    ["a fraction", '{"type":"credit.grant","slots":1.5}'],
    ["too many slots", '{"type":"credit.grant","slots":257}'],
    ["a number as text", '{"type":"credit.grant","slots":"1"}'],
    ["a text that never ends", `{"type":"${"[".repeat(100)}`],
  ])("%s is malformed", (_what, text) => {
    expect(closeOf(decodeUp(text))).toBe("malformed");
  });

  test.each([
    ["bytes", new TextEncoder().encode(encodeFrame(upFrames["worker.drain"])).buffer],
    ["nothing at all", undefined],
    ["an object", upFrames["worker.drain"]],
  ])("%s are malformed: frames are text", (_what, data) => {
    expect(decodeUp(data)).toEqual({
      kind: "broken",
      close: "malformed",
      reason: "frames are text",
    });
  });

  test("an integer that no float holds is refused where it is a count", () => {
    const frame = JSON.stringify(upFrames["task.end"]).replace('"seq":1', '"seq":9007199254740993');
    expect(closeOf(decodeUp(frame))).toBe("malformed");
  });
});

describe("sizes and depths", () => {
  function padded(bytes: number, filler: string): string {
    const fillerBytes = Buffer.byteLength(filler);
    const empty = Buffer.byteLength('{"type":"worker.drain","pad":""}');
    const pad = filler.repeat(Math.floor((bytes - empty) / fillerBytes));
    return `{"type":"worker.drain","pad":"${pad.padEnd(pad.length)}"}`;
  }

  test("a frame of exactly the limit is read, one byte more closes as too large", () => {
    const fits = padded(frameBytesMax, "x");
    expect(Buffer.byteLength(fits)).toBe(frameBytesMax);
    expect(decodeUp(fits).kind).toBe("frame");
    expect(closeOf(decodeUp(`${fits} `))).toBe("frameTooLarge");
  });

  test("bytes count, not characters", () => {
    const euros = padded(frameBytesMax + 100, "€");
    expect(euros.length).toBeLessThan(frameBytesMax);
    expect(closeOf(decodeUp(euros))).toBe("frameTooLarge");
    expect(decodeUp(padded(frameBytesMax - 100, "€")).kind).toBe("frame");
  });

  test("a limit of one's own is kept, for peers that have proved nothing", () => {
    const frame = padded(unprovenFrameBytesMax + 100, "x");
    expect(closeOf(decodeUp(frame, unprovenFrameBytesMax))).toBe("frameTooLarge");
    expect(closeOf(decodeDown(frame, unprovenFrameBytesMax))).toBe("frameTooLarge");
  });

  test.each([
    ["brackets", "[".repeat(100_000)],
    ["closed brackets", "[".repeat(100_000) + "]".repeat(100_000)],
    ["objects", '{"a":'.repeat(40_000)],
    ["brackets behind a text", `{"type":"worker.drain","a":${"[".repeat(33)}${"]".repeat(33)}}`],
    ["brackets behind an escaped quote", `{"a":"\\"","b":${"[".repeat(33)}${"]".repeat(33)}}`],
    ["brackets behind backslashes", `{"a":"\\\\","b":${"[".repeat(33)}${"]".repeat(33)}}`],
  ])("deeply nested %s are refused before they are parsed", (_what, text) => {
    expect(decodeUp(text)).toMatchObject({
      close: "malformed",
      reason: "a frame nests at most 32 deep",
    });
  });

  test("brackets inside a text are text", () => {
    const message = '\\"[{'.repeat(100);
    const frame = { ...upFrames["task.fail"], message };
    expect(decodeUp(encodeFrame(frame))).toEqual({ kind: "frame", frame });
  });

  test("32 levels are still parsed", () => {
    const nested = `${"[".repeat(31)}${"]".repeat(31)}`;
    const text = `{"type":"worker.drain","pad":"${"x".repeat(80)}","a":${nested}}`;
    expect(decodeUp(text).kind).toBe("frame");
  });

  test("the reason fits a close frame, whatever it quotes", () => {
    const { receipt } = upFrames["task.end"];
    const altered = { ...receipt, receipt: { ...receipt.receipt, ["x".repeat(200_000)]: 1 } };
    const decoded = decodeUp(JSON.stringify({ ...upFrames["task.end"], receipt: altered }));
    const reason = decoded.kind === "broken" ? decoded.reason : "";
    expect(reason).toMatch(/^receipt\.receipt: Unrecognized key/);
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(closeReasonBytesMax);
  });
});

describe("messages of several frames", () => {
  const all = Object.values(upFrames);

  test("frames of one message come back in their order", () => {
    const message = all.map((frame) => encodeFrame(frame)).join("\n");
    expect(decodeUpMessage(message)).toEqual({ kind: "frame", frame: all });
    expect(decodeUpMessage(encodeFrame(upFrames["worker.drain"]))).toEqual({
      kind: "frame",
      frame: [upFrames["worker.drain"]],
    });
  });

  test.each(["\n", "\n\n", `${encodeFrame(upFrames["worker.drain"])}\n`])(
    "a message with an empty line is malformed: %j",
    (message) => {
      expect(closeOf(decodeUpMessage(message))).toBe("malformed");
    },
  );

  test("one broken frame breaks its message", () => {
    const message = `${encodeFrame(upFrames["worker.drain"])}\n{`;
    expect(closeOf(decodeUpMessage(message))).toBe("malformed");
  });

  test("the limit is the whole message's", () => {
    const frame = encodeFrame(upFrames["task.end"]);
    const message = Array.from({ length: 600 }, () => frame).join("\n");
    expect(closeOf(decodeUpMessage(message))).toBe("frameTooLarge");
  });

  test("joined frames fit their messages, and come back in their order", () => {
    const size = fc.integer({ min: 0, max: 90_000 });
    fc.assert(
      fc.property(fc.array(size, { maxLength: 8 }), (sizes) => {
        const texts = sizes.map((length, at) => {
          const text = "€".repeat(Math.floor(length / 3));
          return encodeFrame({ ...upFrames["task.delta"], seq: at, parts: [part(text)] });
        });
        const messages = joinFrames(texts);
        expect(messages.join("\n")).toBe(texts.join("\n"));
        for (const message of messages) {
          expect(Buffer.byteLength(message)).toBeLessThanOrEqual(frameBytesMax);
          expect(decodeUpMessage(message).kind).toBe("frame");
        }
      }),
      { numRuns: 30 },
    );
  });

  function part(text: string) {
    return { index: 0, tokens: 1, text };
  }
});

/** A value put in the place of some member of a frame, at any depth. */
const poison = fc.oneof(
  fc.constantFrom<unknown>(null, true, "", -1, 1e21, 2 ** 53, 0.1, [], {}, "\ud800", "\0"),
  fc.anything({ maxDepth: 2, withNullPrototype: false }),
);

function placesIn(value: unknown): string[][] {
  if (value === null || typeof value !== "object") return [[]];
  return Object.entries(value).flatMap(([key, member]) => [
    [key],
    ...placesIn(member).map((place) => [key, ...place]),
  ]);
}

function withPoison(value: unknown, place: readonly string[], poisoned: unknown): unknown {
  const [key, ...rest] = place;
  if (key === undefined || value === null || typeof value !== "object") return poisoned;
  const member = (value as Record<string, unknown>)[key];
  const changed = withPoison(member, rest, poisoned);
  if (Array.isArray(value)) return value.with(Number(key), changed);
  return { ...value, [key]: changed };
}

describe("anything a peer can send has an answer", () => {
  function expectAnswer(data: unknown): void {
    for (const decoded of [decodeUp(data), decodeDown(data), decodeUpMessage(data)]) {
      if (decoded.kind === "broken") {
        expect(Object.keys(closeCodes)).toContain(decoded.close);
        expect(Buffer.byteLength(decoded.reason)).toBeLessThanOrEqual(closeReasonBytesMax);
      }
    }
  }

  test("any text", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 500 }), expectAnswer));
  });

  test("any JSON", () => {
    fc.assert(fc.property(fc.json({ maxDepth: 40 }), expectAnswer));
  });

  test("anything that is no text", () => {
    fc.assert(fc.property(fc.anything({ withTypedArray: true, withBigInt: true }), expectAnswer));
  });

  const frames = [...Object.values(upFrames), ...Object.values(downFrames)];

  test("a frame with anything in the place of one of its members", () => {
    const place = fc
      .constantFrom(...frames)
      .chain((frame) => fc.constantFrom(...placesIn(frame)).map((at) => [frame, at] as const));
    fc.assert(
      fc.property(place, poison, ([frame, at], value) => {
        const text = JSON.stringify(withPoison(frame, at, value), (_key, member: unknown) =>
          typeof member === "bigint" ? String(member) : member,
        );
        expectAnswer(text);
      }),
      { numRuns: 1_000 },
    );
  });

  test("a frame that was cut, or had some characters replaced", () => {
    const texts = frames.map((frame) => encodeFrame(frame));
    const cut = fc.tuple(fc.constantFrom(...texts), fc.nat(400), fc.nat(6), fc.string());
    fc.assert(
      fc.property(cut, ([text, at, length, between]) => {
        expectAnswer(text.slice(0, at));
        expectAnswer(text.slice(0, at) + between + text.slice(at + length));
      }),
      { numRuns: 1_000 },
    );
  });
});
