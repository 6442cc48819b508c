import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";

/**
 * Whose signature of a digest this is: their address in lower case, or null where it is nobody's.
 * `signature` is 0x and 65 bytes in hexadecimal: r, s and v. Tokens take no signature with a high s
 * (EIP-2) and no v but 27 and 28, so neither do we: it could not be settled.
 */
export function recoverAddress(digest: Uint8Array, signature: string): string | null {
  const bytes = hexToBytes(signature.slice(2));
  const recovery = (bytes[64] ?? 0) - 27;
  if (bytes.length !== 65 || (recovery !== 0 && recovery !== 1)) return null;
  try {
    const parsed = secp256k1.Signature.fromBytes(bytes.subarray(0, 64), "compact");
    if (parsed.hasHighS()) return null;
    const key = parsed.addRecoveryBit(recovery).recoverPublicKey(digest).toBytes(false);
    return `0x${bytesToHex(keccak_256(key.subarray(1)).subarray(12))}`;
  } catch {
    // r or s is zero or too large, or r is no point's: there is no key that made it.
    return null;
  }
}
