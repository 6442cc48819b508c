import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Base64Bytes } from "../../../edge/inference/results/base64-bytes.ts";

test("every byte of a base64 text is read where it is, and none behind its end", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
      const file = new Base64Bytes(Buffer.from(bytes).toString("base64"));
      expect(file.length).toBe(bytes.length);
      expect(Array.from(bytes, (_, at) => file.byte(at))).toEqual([...bytes]);
      expect(file.byte(bytes.length)).toBe(0);
    }),
  );
});

test("numbers are little-endian, as in RIFF", () => {
  const file = new Base64Bytes(Buffer.from([1, 2, 3, 4, 0xff, 0x41, 0x42]).toString("base64"));
  expect([file.uint16(0), file.uint32(1)]).toEqual([0x0201, 0xff040302]);
});

test("a mark is found where it is, whole, and nowhere else", () => {
  const file = new Base64Bytes(Buffer.from("xRIFF\u00ff", "latin1").toString("base64"));
  expect(file.has("RIFF", 1)).toBe(true);
  expect(file.has("F\u00ff", 4)).toBe(true);
  expect([file.has("RIFF", 0), file.has("RIFFx", 1), file.has("Fx", 5)]).toEqual([
    false,
    false,
    false,
  ]);
});
