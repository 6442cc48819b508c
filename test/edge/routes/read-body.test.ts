import { describe, expect, test } from "vitest";
import { z } from "zod";
import { requestBytesMax } from "../../../shared/protocol/limits.ts";
import { parseBody, readText } from "../../../edge/routes/read-body.ts";

const anything = z.unknown();

describe("wrong JSON", () => {
  test.each([
    ["", 1, 1],
    ["{", 1, 2],
    ['{"a":}', 1, 6],
    ['{"a": tru}', 1, 10],
    ['{\n  "a": nope\n}', 2, 9],
    ['{"a": 1,}', 1, 9],
    ['{"a": 1} x', 1, 10],
    ["[1 2]", 1, 4],
    ['{"a" 1}', 1, 6],
    ['{"a": "b', 1, 9],
    ['{"a": "\t"}', 1, 8],
    ["{'a': 1}", 1, 2],
    ["[01]", 1, 3],
    ["\uFEFF{}", 1, 1],
    [`[${"1,".repeat(5000)}}]`, 1, 10_002],
    [`"${"a".repeat(5000)}" nope`, 1, 5004],
  ])("%j breaks at line %i, column %i", (text, line, column) => {
    expect(() => parseBody(text, anything)).toThrow(
      expect.objectContaining({
        code: "invalid_json",
        message: `The body is not JSON: it breaks at line ${line}, column ${column}`,
      }),
    );
  });
});

test("half a surrogate pair becomes U+FFFD, and whole ones stay", () => {
  const text = String.raw`{"a": ["\ud83dx", "\uDE00", "\ud83d\ude00", "\\ud83d", 1]}`;
  const list = ["\ufffdx", "\ufffd", "\u{1f600}", String.raw`\ud83d`, 1];
  expect(parseBody(text, anything)).toEqual({ a: list });
});

describe("a value that does not fit", () => {
  const schema = z.strictObject({
    name: z.string(),
    list: z.array(z.strictObject({ size: z.union([z.int(), z.strictObject({ w: z.int() })]) })),
  });

  test.each([
    ["a field of a wrong type", { name: 5, list: [] }, "name"],
    ["a field deep inside", { name: "a", list: [{ size: 1 }, { size: "x" }] }, "list[1].size"],
    ["a field of one branch", { name: "a", list: [{ size: { w: "x" } }] }, "list[0].size.w"],
    ["a field that nobody knows", { name: "a", list: [], more: 1 }, "more"],
    ["one that nobody knows inside", { name: "a", list: [{ size: 1, b: 2 }] }, "list[0].b"],
    ["a missing field", { list: [] }, "name"],
    ["the whole", 5, null],
  ])("%s is named", (_, value, param) => {
    expect(() => parseBody(JSON.stringify(value), schema)).toThrow(
      expect.objectContaining({ code: "invalid_request", param }),
    );
  });

  test("a prototype is not a field", () => {
    expect(() => parseBody('{"name":"a","list":[],"__proto__":{"x":1}}', schema)).toThrow(
      expect.objectContaining({ code: "invalid_request" }),
    );
  });
});

describe("reading", () => {
  const post = (body: BodyInit, headers: Record<string, string> = {}) => {
    // Node asks for `duplex` with a stream (fetch standard, "half duplex"); its types do not know
    // it.
    const init: RequestInit & { duplex: "half" } = {
      method: "POST",
      body,
      headers,
      duplex: "half",
    };
    return new Request("https://edge.test", init);
  };

  test("a body of 4 MiB is read, one byte more is not", async () => {
    const whole = new Uint8Array(requestBytesMax).fill(0x20);
    expect(await readText(post(new Blob([whole]).stream()))).toHaveLength(requestBytesMax);
    const large = new Blob([whole, " "]).stream();
    await expect(readText(post(large))).rejects.toMatchObject({ code: "body_too_large" });
  });

  test("a body that says that it is too large is not read at all", async () => {
    const request = post("{}", { "content-length": String(requestBytesMax + 1) });
    await expect(readText(request)).rejects.toMatchObject({ code: "body_too_large" });
    expect(request.bodyUsed).toBe(false);
  });

  test("a character cut by the network is put together again", async () => {
    const bytes = new TextEncoder().encode('"€"');
    const cut = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start(controller) {
        controller.enqueue(bytes.slice(0, 2));
        controller.enqueue(bytes.slice(2));
        controller.close();
      },
    });
    expect(await readText(post(cut))).toBe('"€"');
  });
});
