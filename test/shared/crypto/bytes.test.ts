import { createHash } from "node:crypto";
import { crc32 as zlibCrc32 } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  base62,
  crc32,
  equalInConstantTime,
  fromBase64Url,
  sha256Hex,
  toBase64,
  toBase64Url,
  toHex,
  utf8,
} from "../../../shared/crypto/bytes.ts";

describe("base64url", () => {
  // RFC 4648 section 10, without padding.
  test.each([
    ["", ""],
    ["f", "Zg"],
    ["fo", "Zm8"],
    ["foo", "Zm9v"],
    ["foob", "Zm9vYg"],
    ["fooba", "Zm9vYmE"],
    ["foobar", "Zm9vYmFy"],
  ])("%j is %j", (text, encoded) => {
    expect(toBase64Url(utf8(text))).toBe(encoded);
    expect(fromBase64Url(encoded)).toEqual(utf8(text));
  });

  test("the two digits that differ from base64 are - and _", () => {
    expect(toBase64Url(Uint8Array.of(0xfb, 0xff))).toBe("-_8");
  });

  test("any bytes come back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes);
        expect(toBase64Url(bytes)).toBe(Buffer.from(bytes).toString("base64url"));
      }),
    );
  });

  test.each(["Zg==", "Zm+v", "Zm/v", "Z", "Zm9vY", "Zm 9", "Zm9\n", "é"])(
    "%j is not base64url",
    (text) => {
      expect(fromBase64Url(text)).toBeNull();
    },
  );

  test("bytes have one spelling: a text whose last digit has bits to spare set is refused", () => {
    for (const text of ["Zh", "Zv", "Zm9", "Zm-"]) expect(fromBase64Url(text)).toBeNull();
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_-]{0,12}$/), (text) => {
        const bytes = fromBase64Url(text);
        if (bytes !== null) expect(toBase64Url(bytes)).toBe(text);
      }),
    );
  });
});

test("base64 of any length is the platform's, padding and all", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20_000 }), (bytes) => {
      expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
    }),
    { numRuns: 50 },
  );
  const large = new Uint8Array(100_001).fill(250);
  expect(toBase64(large)).toBe(Buffer.from(large).toString("base64"));
});

describe("base62", () => {
  test.each([
    [[], 0, ""],
    [[], 3, "000"],
    [[0], 2, "00"],
    [[61], 1, "z"],
    [[62], 2, "10"],
    [[255], 2, "47"],
    [[1, 0], 2, "48"],
  ])("%j in %i digits is %j", (bytes, length, text) => {
    expect(base62(Uint8Array.from(bytes), length)).toBe(text);
  });

  test("a number that does not fit is a bug", () => {
    expect(() => base62(Uint8Array.of(255), 1)).toThrow(/fit 1 base62 digits/);
  });
});

describe("sums and hashes", () => {
  test("CRC-32 of the check string is the catalogue's", () => {
    expect(crc32("123456789")).toBe(0xcbf43926);
    expect(crc32("")).toBe(0);
  });

  test("CRC-32 is zlib's for any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(crc32(text)).toBe(zlibCrc32(text));
      }),
    );
  });

  test("SHA-256 is FIPS 180-4's", async () => {
    expect(await sha256Hex("abc")).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    expect(await sha256Hex("é€😀")).toBe(createHash("sha256").update("é€😀").digest("hex"));
  });

  test("hexadecimal keeps leading zeros and is lower case", () => {
    expect(toHex(Uint8Array.of(0, 1, 15, 16, 255))).toBe("00010f10ff");
  });
});

describe("comparing in constant time", () => {
  test("it is equality", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 8 }), fc.uint8Array({ maxLength: 8 }), (a, b) => {
        expect(equalInConstantTime(a, Uint8Array.from(a))).toBe(true);
        expect(equalInConstantTime(a, b)).toBe(toHex(a) === toHex(b));
      }),
    );
  });
});
