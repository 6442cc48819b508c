import { keccak_256 } from "@noble/hashes/sha3.js";
import { toHex, utf8 } from "./bytes.ts";

/**
 * Whether an EVM address, 0x and 40 hex digits, may be what somebody meant: letters of one case say
 * nothing, those of both are a checksum (EIP-55), which has to be right.
 */
export function isChecksumRight(address: string): boolean {
  const digits = address.slice(2);
  const plain = digits.toLowerCase();
  if (digits === plain || digits === digits.toUpperCase()) return true;
  const hash = toHex(keccak_256(utf8(plain)));
  const written = Array.from(plain, (digit, at) =>
    Number.parseInt(hash.charAt(at), 16) >= 8 ? digit.toUpperCase() : digit,
  );
  return digits === written.join("");
}
