import { createPrivateKey, sign } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toBase64Url } from "../../../shared/crypto/bytes.ts";
import {
  generateSigningKey,
  importSigningKey,
  publicKeyPattern,
  signaturePattern,
  verifySignature,
} from "../../../shared/crypto/signing.ts";

/** RFC 8032 section 7.1, tests 1 to 3: the seed and its public key. */
const vectors = [
  [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
  ],
  [
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
  ],
  [
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
  ],
] as const;

function pkcs8Of(seed: string): Buffer {
  return Buffer.from(`302e020100300506032b657004220420${seed}`, "hex");
}

const message = "weur:0\nhttps://edge.test\nnonce";

describe("signing", () => {
  test.each(vectors)("the RFC 8032 seed %s has its public key", async (seed, publicKey) => {
    const key = await importSigningKey(toBase64Url(pkcs8Of(seed)));
    expect(key.publicKey).toBe(Buffer.from(publicKey, "hex").toString("base64url"));
  });

  test("a signature is RFC 8032's over the domain, a zero byte and the message", async () => {
    const pkcs8 = pkcs8Of(vectors[0][0]);
    const key = await importSigningKey(toBase64Url(pkcs8));
    const other = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
    const expected = sign(null, Buffer.from(`octo-auth-v1\0${message}`), other);
    expect(await key.sign("octo-auth-v1", message)).toBe(expected.toString("base64url"));
  });

  test("a fresh key has its own identity, and its stored half is the same key again", async () => {
    const [a, b] = await Promise.all([generateSigningKey(), generateSigningKey()]);
    expect(a.key.publicKey).toMatch(publicKeyPattern);
    expect(a.key.publicKey).not.toBe(b.key.publicKey);
    const again = await importSigningKey(a.privateKey);
    expect(again.publicKey).toBe(a.key.publicKey);
    expect(await again.sign("octo-auth-v1", "x")).toBe(await a.key.sign("octo-auth-v1", "x"));
  });

  test.each([
    ["is not base64url", "not base64url!"],
    ["is empty", ""],
    ["is some other bytes", toBase64Url(new Uint8Array(48))],
    ["is cut short", toBase64Url(pkcs8Of(vectors[0][0]).subarray(0, 40))],
  ])("a private key that %s is a TypeError", async (_case, text) => {
    await expect(importSigningKey(text)).rejects.toThrow(TypeError);
  });
});

describe("verifying", () => {
  test("what was signed verifies, and nothing else does", async () => {
    const { key } = await generateSigningKey();
    const { key: other } = await generateSigningKey();
    const signature = await key.sign("octo-auth-v1", message);
    const good = { publicKey: key.publicKey, domain: "octo-auth-v1", message, signature } as const;
    expect(signature).toMatch(signaturePattern);
    expect(await verifySignature(good)).toBe(true);
    expect(await verifySignature({ ...good, message: `${message} ` })).toBe(false);
    expect(await verifySignature({ ...good, publicKey: other.publicKey })).toBe(false);
    const moved = await other.sign("octo-auth-v1", message);
    expect(await verifySignature({ ...good, signature: moved })).toBe(false);
  });

  test("a signature made for one purpose is worthless for another", async () => {
    const { key } = await generateSigningKey();
    const domains = ["octo-auth-v1", "octo-receipt-v1", "octo-countersign-v1"] as const;
    for (const signed of domains) {
      const signature = await key.sign(signed, message);
      for (const domain of domains) {
        const verified = await verifySignature({
          publicKey: key.publicKey,
          domain,
          message,
          signature,
        });
        expect(verified).toBe(signed === domain);
      }
    }
  });

  test("a signature altered in any one character is refused", async () => {
    const { key } = await generateSigningKey();
    const signature = await key.sign("octo-auth-v1", message);
    const good = { publicKey: key.publicKey, domain: "octo-auth-v1", message } as const;
    for (let at = 0; at < signature.length; at++) {
      for (const digit of "AQgw_") {
        const altered = signature.slice(0, at) + digit + signature.slice(at + 1);
        const verified = await verifySignature({ ...good, signature: altered });
        expect(verified).toBe(altered === signature);
      }
    }
  });

  test("malformed keys and signatures are a plain false", async () => {
    const { key } = await generateSigningKey();
    const signature = await key.sign("octo-auth-v1", message);
    const text = fc.oneof(
      fc.string({ maxLength: 100 }),
      fc.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      fc.stringMatching(/^[A-Za-z0-9_-]{86}$/),
    );
    await fc.assert(
      fc.asyncProperty(text, async (wrong) => {
        const of = { publicKey: key.publicKey, domain: "octo-auth-v1", message } as const;
        expect(await verifySignature({ ...of, signature: wrong })).toBe(false);
        expect(await verifySignature({ ...of, signature, publicKey: wrong })).toBe(false);
      }),
    );
  });

  test("keys beyond those kept in memory still verify", async () => {
    const { key } = await generateSigningKey();
    const good = {
      publicKey: key.publicKey,
      domain: "octo-auth-v1",
      message,
      signature: await key.sign("octo-auth-v1", message),
    } as const;
    for (let seen = 0; seen < 1_100; seen++) {
      const publicKey = toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
      await verifySignature({ ...good, publicKey });
    }
    expect(await verifySignature(good)).toBe(true);
  });
});
