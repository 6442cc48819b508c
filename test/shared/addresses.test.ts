import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  isBlockWithin,
  isInBlock,
  parseAddress,
  parseAddressBlock,
} from "../../shared/addresses.ts";

function isIn(address: string, block: string): boolean {
  const [parsedAddress, parsedBlock] = [parseAddress(address), parseAddressBlock(block)];
  if (parsedAddress === null || parsedBlock === null) throw new Error(`${address} in ${block}`);
  return isInBlock(parsedAddress, parsedBlock);
}

describe("an address in a block", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1", true],
    ["192.0.2.1", "192.0.2.2", false],
    ["192.0.2.255", "192.0.2.0/24", true],
    ["192.0.3.0", "192.0.2.0/24", false],
    ["10.255.255.255", "10.0.0.0/8", true],
    ["11.0.0.0", "10.0.0.0/8", false],
    ["192.0.2.127", "192.0.2.0/25", true],
    ["192.0.2.128", "192.0.2.0/25", false],
    ["203.0.113.9", "0.0.0.0/0", true],
    ["2001:db8::1", "2001:db8::/32", true],
    ["2001:DB8:FFFF::1", "2001:db8::/32", true],
    ["2001:db9::1", "2001:db8::/32", false],
    ["2001:db8::1", "2001:db8::1", true],
    ["2001:db8::1", "2001:db8:0:0:0:0:0:1/128", true],
    ["2001:db8::8000", "2001:db8::8000/113", true],
    ["2001:db8::7fff", "2001:db8::8000/113", false],
    ["::1", "::/0", true],
    // An IPv4 address is one, however it is written.
    ["::ffff:192.0.2.1", "192.0.2.0/24", true],
    ["::ffff:c000:201", "192.0.2.0/24", true],
    ["0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1", true],
    ["192.0.2.1", "::ffff:192.0.2.0/120", true],
    ["192.0.3.1", "::ffff:192.0.2.0/120", false],
    ["192.0.2.1", "::ffff:192.0.2.1", true],
    ["192.0.2.1", "::ffff:0:0/96", true],
    // The two families do not meet otherwise.
    ["192.0.2.1", "::/0", false],
    ["::ffff:192.0.2.1", "::/0", false],
    ["2001:db8::1", "0.0.0.0/0", false],
    ["::192.0.2.1", "192.0.2.1", false],
  ])("%s in %s: %s", (address, block, expected) => {
    expect(isIn(address, block)).toBe(expected);
  });

  test("every address of a block begins as its network does, and no other is in it", () => {
    const part = fc.integer({ min: 0, max: 0xffffffff });
    const text = (value: number) =>
      [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
    fc.assert(
      fc.property(part, part, fc.integer({ min: 0, max: 32 }), (one, other, prefix) => {
        const rest = 2 ** (32 - prefix);
        const network = one - (one % rest);
        const isWithin = Math.floor(other / rest) === Math.floor(one / rest);
        expect(isIn(text(other), `${text(network)}/${prefix}`)).toBe(isWithin);
        expect(isIn(`::ffff:${text(other)}`, `${text(network)}/${prefix}`)).toBe(isWithin);
      }),
    );
  });
});

test.each([
  ["192.0.2.0/25", "192.0.2.0/24", true],
  ["192.0.2.0/24", "192.0.2.0/24", true],
  ["192.0.2.0/24", "192.0.2.0/25", false],
  ["192.0.3.0/25", "192.0.2.0/24", false],
  ["192.0.2.1", "2001:db8::/32", false],
  ["::ffff:192.0.2.0/120", "192.0.2.0/24", true],
])("the block %s is within %s: %s", (innerText, outerText, expected) => {
  const [inner, outer] = [parseAddressBlock(innerText), parseAddressBlock(outerText)];
  expect(inner !== null && outer !== null && isBlockWithin(inner, outer)).toBe(expected);
});

test.each([
  "",
  " ",
  "192.0.2",
  "192.0.2.1.1",
  "192.0.2.256",
  "192.0.2.01",
  "192.0.2.1 ",
  "192.0.2.1:80",
  "192.0.2.-1",
  "0x7f.0.0.1",
  "2130706433",
  ":",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7:8::",
  "12345::",
  "g::",
  "fe80::1%eth0",
  "[::1]",
  "::ffff:192.0.2.256",
  "192.0.2.1::",
  "::192.0.2.1:1",
  "localhost",
])("%j is no address", (text) => {
  expect(parseAddress(text)).toBeNull();
  expect(parseAddressBlock(text)).toBeNull();
});

test.each([
  "192.0.2.0/33",
  "192.0.2.0/-1",
  "192.0.2.0/024",
  "192.0.2.0/",
  "192.0.2.0/24/24",
  "/24",
  "2001:db8::/129",
  "::ffff:192.0.2.0/95",
  "::ffff:192.0.2.0/24",
  // Bits beyond the prefix: the block of whom?
  "192.0.2.1/24",
  "2001:db8::1/32",
])("%j is no block", (text) => {
  expect(parseAddressBlock(text)).toBeNull();
});
