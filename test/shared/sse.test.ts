import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SseEvent } from "../../shared/sse.ts";
import { SseError, SseReader } from "../../shared/sse.ts";

function readAll(pieces: readonly Uint8Array[]): SseEvent[] {
  const reader = new SseReader();
  return [...pieces.flatMap((piece) => reader.push(piece)), ...reader.finish()];
}

function read(text: string): string[] {
  return readAll([Buffer.from(text)]).map(({ data }) => data);
}

/** The same bytes in pieces that end anywhere: inside characters, between \r and \n. */
function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const ends = [...new Set(at.map((place) => place % (bytes.length + 1)))].toSorted(
    (a, b) => a - b,
  );
  const starts = [0, ...ends];
  return starts.map((start, index) => bytes.subarray(start, starts[index + 1] ?? bytes.length));
}

const line = fc.stringMatching(/^[^\r\n]*$/, { maxLength: 12 });
const event = fc.record({
  name: fc.constantFrom("", "error", "message"),
  lines: fc.array(line, { minLength: 1, maxLength: 3 }),
  comment: fc.option(line),
  end: fc.constantFrom("\n", "\r\n", "\r"),
  space: fc.constantFrom("", " "),
});

describe("reading server-sent events", () => {
  test("any way of cutting the bytes gives the same events", () => {
    const cuts = fc.array(fc.nat(), { maxLength: 40 });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 5 }), cuts, (events, at) => {
        const text = events.map(({ name, lines, comment, end, space }) => {
          const named = name === "" ? "" : `event:${space}${name}${end}`;
          const remark = comment === null ? "" : `:${comment}${end}`;
          const data = lines.map((one) => `data: ${one}${end}`).join(remark);
          return `${remark}${named}${data}${end}`;
        });
        const bytes = Buffer.from(text.join(""));
        const expected = events.map(({ name, lines }) => ({
          name: name || "message",
          data: lines.join("\n").toWellFormed(),
        }));
        expect(readAll(cut(bytes, at))).toEqual(expected);
      }),
    );
  });

  test("byte by byte, a character of four bytes is one character", () => {
    const bytes = Buffer.from("data: 🦙é漢\n\n");
    const pieces = [...bytes].map((byte) => Uint8Array.of(byte));
    expect(readAll(pieces).map(({ data }) => data)).toEqual(["🦙é漢"]);
  });

  test("data needs no space after its colon, and only one is taken", () => {
    expect(read("data:a\n\ndata: b\n\ndata:  c\n\n")).toEqual(["a", "b", " c"]);
  });

  test("comments, ids, unknown fields and events without data give nothing", () => {
    expect(read(": ping\n\nid: 7\nretry: 1\nwhat\n\nevent: only\n\ndata: x\n\n")).toEqual(["x"]);
  });

  test("several lines of data are one event", () => {
    expect(read("data: {\ndata: }\n\n")).toEqual(["{\n}"]);
  });

  test("a byte order mark at the beginning is no part of the first line", () => {
    expect(read("\uFEFFdata: x\n\n")).toEqual(["x"]);
  });

  test("a last event without its empty line is given when the stream ends", () => {
    expect(read("data: a\n\ndata: b")).toEqual(["a", "b"]);
    expect(read("data: a\n\ndata: b\n")).toEqual(["a", "b"]);
  });

  test.each([
    ["half a character at the end", [0xf0, 0x9f]],
    ["bytes that are no UTF-8", [0xff, 0x0a, 0x0a]],
  ])("%s is an error", (_what, tail) => {
    const bytes = Buffer.concat([Buffer.from("data: a"), Buffer.from(tail)]);
    expect(() => readAll([bytes])).toThrow(SseError);
  });

  test("a line that never ends is an error before it fills the memory", () => {
    const reader = new SseReader();
    const piece = Buffer.from(`data: ${"x".repeat(1 << 20)}`);
    const push = () => {
      for (let i = 0; i < 9; i++) reader.push(piece);
    };
    expect(push).toThrow(SseError);
  });

  test("an event of very many lines is an error as well", () => {
    const reader = new SseReader();
    const lines = Buffer.from("data: 0123456789abcdef\n".repeat(100_000));
    const push = () => {
      for (let i = 0; i < 9; i++) reader.push(lines);
    };
    expect(push).toThrow(SseError);
  });
});

test("the id of the last whole event is known, and an event without one keeps it", () => {
  const reader = new SseReader();
  const seen = [
    "data: a\n\n",
    "id: weur:0:1\ndata: b\n",
    "\n",
    "data: c\n\n",
    "id: a\0b\ndata: d\n\n",
    "id\ndata: e\n\n",
  ].map((text) => {
    reader.push(Buffer.from(text));
    return reader.lastEventId;
  });
  expect(seen).toEqual(["", "", "weur:0:1", "weur:0:1", "weur:0:1", ""]);
});
