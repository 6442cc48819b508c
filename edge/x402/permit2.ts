import { keccak_256 } from "@noble/hashes/sha3.js";
import { concatBytes } from "@noble/hashes/utils.js";
import { utf8 } from "../../shared/crypto/bytes.ts";
import { addressWord, digestOf, word } from "./typed-data.ts";
import type { Permit } from "./wire.ts";

/*
 * EIP-712 hashing of Permit2's PermitWitnessTransferFrom with the witness of x402's scheme `upto`.
 * Both contracts have the same address on every chain.
 */

const permit2 = "0x000000000022d473030f116ddee9f6b43ac78ba3";
/** The contract that takes no more than was signed, for nobody but the witness's `to`. */
export const uptoProxy = "0x4020a4f3b7b90cca423b9fabcc0ce57c6c240002";

const typeHash = (text: string) => keccak_256(utf8(text));
const tokenPermissions = "TokenPermissions(address token,uint256 amount)";
const witness = "Witness(address to,address facilitator,uint256 validAfter)";

const domainType = typeHash("EIP712Domain(string name,uint256 chainId,address verifyingContract)");
const permitType = typeHash(
  "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce," +
    `uint256 deadline,Witness witness)${tokenPermissions}${witness}`,
);
const tokenPermissionsType = typeHash(tokenPermissions);
const witnessType = typeHash(witness);
const domainName = keccak_256(utf8("Permit2"));

/** What the owner of a token signs (32 bytes), on one chain. */
export function permitDigest(chainId: bigint, permit: Permit): Uint8Array {
  const { permitted, witness: to } = permit;
  const domain = hashOf(domainType, domainName, word(chainId), addressWord(permit2));
  const message = hashOf(
    permitType,
    hashOf(tokenPermissionsType, addressWord(permitted.token), word(permitted.amount)),
    addressWord(permit.spender),
    word(permit.nonce),
    word(permit.deadline),
    hashOf(witnessType, addressWord(to.to), addressWord(to.facilitator), word(to.validAfter)),
  );
  return digestOf(domain, message);
}

function hashOf(...words: readonly Uint8Array[]): Uint8Array {
  return keccak_256(concatBytes(...words));
}
