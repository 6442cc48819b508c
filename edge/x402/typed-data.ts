import { keccak_256 } from "@noble/hashes/sha3.js";
import { concatBytes, hexToBytes } from "@noble/hashes/utils.js";
import { utf8 } from "../../shared/crypto/bytes.ts";
import type { X402Settings } from "./settings.ts";
import type { TransferAuthorization } from "./wire.ts";

/*
 * EIP-712 hashing of the one structure that we read: EIP-3009's TransferWithAuthorization, in the
 * domain of its token.
 */

const domainType = keccak_256(
  utf8("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
);
const authorizationType = keccak_256(
  utf8(
    "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter," +
      "uint256 validBefore,bytes32 nonce)",
  ),
);

/** What the owner of a token signs (32 bytes), for a token of these settings. */
export function authorizationDigest(
  token: Pick<X402Settings, "asset" | "assetName" | "assetVersion" | "chainId">,
  authorization: TransferAuthorization,
): Uint8Array {
  const domain = keccak_256(
    concatBytes(
      domainType,
      keccak_256(utf8(token.assetName)),
      keccak_256(utf8(token.assetVersion)),
      word(token.chainId),
      addressWord(token.asset),
    ),
  );
  const message = keccak_256(
    concatBytes(
      authorizationType,
      addressWord(authorization.from),
      addressWord(authorization.to),
      word(authorization.value),
      word(authorization.validAfter),
      word(authorization.validBefore),
      hexToBytes(authorization.nonce.slice(2)),
    ),
  );
  return keccak_256(concatBytes(Uint8Array.of(0x19, 0x01), domain, message));
}

/** A number as 32 bytes, big-endian. */
function word(value: bigint): Uint8Array {
  return hexToBytes(value.toString(16).padStart(64, "0"));
}

/** An address (`0x` and 40 digits), padded on the left to 32 bytes. */
function addressWord(address: string): Uint8Array {
  return hexToBytes(address.slice(2).padStart(64, "0"));
}
