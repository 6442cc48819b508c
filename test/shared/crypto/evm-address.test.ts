import * as fc from "fast-check";
import { expect, test } from "vitest";
import { getAddress } from "viem";
import { isChecksumRight } from "../../../shared/crypto/evm-address.ts";

const anyAddress = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map((bytes) => `0x${Buffer.from(bytes).toString("hex")}` as const);

test("the checksum is the one that wallets write, and one case alone has none", () => {
  fc.assert(
    fc.property(anyAddress, (address) => {
      const upper = `0x${address.slice(2).toUpperCase()}`;
      for (const good of [getAddress(address), address, upper]) {
        expect(isChecksumRight(good)).toBe(true);
      }
    }),
  );
});

test("a letter in the wrong case, and a digit for another, are noticed", () => {
  const address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
  expect(isChecksumRight(address)).toBe(true);
  expect(isChecksumRight(address.replace("aA", "AA"))).toBe(false);
  expect(isChecksumRight(address.replace("6053", "6058"))).toBe(false);
});
