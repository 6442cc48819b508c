import * as fc from "fast-check";
import { bytesToHex, hashTypedData, type Hex, hexToBytes, numberToHex } from "viem";
import { privateKeyToAccount, sign } from "viem/accounts";
import { describe, expect, test } from "vitest";
import { recoverAddress } from "../../../edge/x402/recover.ts";
import { authorizationDigest } from "../../../edge/x402/typed-data.ts";
import { authorizationTypes } from "./whole-wire.ts";

const uint = fc.bigInt(0n, 2n ** 256n - 1n);
const address = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map((bytes) => bytesToHex(bytes) as string);
const privateKey = fc.bigInt(1n, 2n ** 255n).map((value): Hex => numberToHex(value, { size: 32 }));

const authorizations = fc.record({
  from: address,
  to: address,
  value: uint,
  validAfter: uint,
  validBefore: uint,
  nonce: fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((bytes) => bytesToHex(bytes) as string),
});

const tokens = fc.record({
  asset: address,
  assetName: fc.string(),
  // viem leaves an empty version out of the domain's type; no token has one, nor may settings.
  assetVersion: fc.string({ minLength: 1 }),
  chainId: fc.bigInt(1n, 2n ** 50n),
});

test("the digest of an authorization is what viem makes of it, for any token", () => {
  fc.assert(
    fc.property(tokens, authorizations, (token, authorization) => {
      const { from, to, nonce, ...numbers } = authorization;
      const expected = hashTypedData({
        domain: {
          name: token.assetName,
          version: token.assetVersion,
          chainId: token.chainId,
          verifyingContract: token.asset as Hex,
        },
        types: authorizationTypes,
        primaryType: "TransferWithAuthorization",
        message: { ...numbers, from: from as Hex, to: to as Hex, nonce: nonce as Hex },
      });
      expect(bytesToHex(authorizationDigest(token, authorization))).toBe(expected);
    }),
    { numRuns: 100 },
  );
});

describe("recovery", () => {
  test("finds who signed, as viem knows them", async () => {
    await fc.assert(
      fc.asyncProperty(
        privateKey,
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        async (key, digest) => {
          const signature = await sign({ hash: bytesToHex(digest), privateKey: key, to: "hex" });
          const { address: signer } = privateKeyToAccount(key);
          expect(recoverAddress(digest, signature)).toBe(signer.toLowerCase());
        },
      ),
      { numRuns: 30 },
    );
  });

  test("finds nobody, or somebody else, behind whatever was altered", async () => {
    const digest = new Uint8Array(32).fill(7);
    const key: Hex = `0x${"5".repeat(64)}`;
    const signer = privateKeyToAccount(key).address.toLowerCase();
    const good = await sign({ hash: bytesToHex(digest), privateKey: key, to: "hex" });
    const bytes = hexToBytes(good);
    for (let at = 0; at < 65; at++) {
      const altered = bytes.with(at, (bytes[at] ?? 0) ^ 1);
      expect(recoverAddress(digest, bytesToHex(altered))).not.toBe(signer);
    }
    expect(recoverAddress(digest.with(0, 8), good)).not.toBe(signer);
  });

  test("takes no signature that a token would not take", async () => {
    const digest = new Uint8Array(32).fill(7);
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const key: Hex = `0x${"5".repeat(64)}`;
    const good = await sign({ hash: bytesToHex(digest), privateKey: key, to: "hex" });
    const s = BigInt(`0x${good.slice(66, 130)}`);
    const v = Number.parseInt(good.slice(130), 16);
    const high = `${good.slice(0, 66)}${(order - s).toString(16).padStart(64, "0")}`;
    const wrong = [
      // The same signature's other half (EIP-2): the same key, were it let in.
      `${high}${(55 - v).toString(16)}`,
      `${good.slice(0, 130)}${(v - 27).toString(16).padStart(2, "0")}`,
      `${good.slice(0, 130)}1d`,
      `0x${"0".repeat(128)}1b`,
      `0x${"f".repeat(128)}1b`,
      good.slice(0, 130),
      "0x",
    ];
    for (const signature of wrong) expect(recoverAddress(digest, signature)).toBeNull();
  });
});
