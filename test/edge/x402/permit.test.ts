import * as fc from "fast-check";
import { bytesToHex, getAddress, hashTypedData } from "viem";
import { describe, expect, test } from "vitest";
import { permitDigest } from "../../../edge/x402/permit2.ts";
import { permitBody, settlingOnly } from "../../../edge/x402/permit-body.ts";
import { permitId } from "../../../edge/x402/payer.ts";
import { offersOf } from "../../../edge/x402/requirements.ts";
import { whyNotPromised } from "../../../edge/x402/why-not-promised.ts";
import { decodeHeader, hasPermit, presentedPermitSchema } from "../../../edge/x402/wire.ts";
import {
  facilitator,
  presentedPermitOf,
  proxy,
  signedPermit,
  typedPermit,
  type WirePermit,
} from "./whole-permit.ts";
import { nowS, settings } from "./whole-wire.ts";

const other = "0x1111111111111111111111111111111111111111";
const at = { nowMs: Number(nowS) * 1_000, taskMs: 35 * 60_000 };

const uint = fc.bigInt(0n, 2n ** 256n - 1n).map(String);
const address = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map((bytes) => bytesToHex(bytes) as string);
const permits: fc.Arbitrary<WirePermit> = fc.record({
  from: address,
  permitted: fc.record({ token: address, amount: uint }),
  spender: address,
  nonce: uint,
  deadline: uint,
  witness: fc.record({ to: address, facilitator: address, validAfter: uint }),
});

test("the digest of a permit is what viem makes of it, on any chain", () => {
  fc.assert(
    fc.property(permits, fc.bigInt(1n, 2n ** 50n), (permit, chainId) => {
      const { permitted, nonce, deadline, witness } = permit;
      const read = {
        ...permit,
        permitted: { ...permitted, amount: BigInt(permitted.amount) },
        nonce: BigInt(nonce),
        deadline: BigInt(deadline),
        witness: { ...witness, validAfter: BigInt(witness.validAfter) },
      };
      const expected = hashTypedData(typedPermit(permit, chainId));
      expect(bytesToHex(permitDigest(chainId, read))).toBe(expected);
    }),
    { numRuns: 100 },
  );
});

/** What @x402/core and @x402/evm 2.27.0 made of a price of ours, 636, until 1795906239. */
const published =
  "eyJ4NDAyVmVyc2lvbiI6MiwicGF5bG9hZCI6eyJzaWduYXR1cmUiOiIweDg3NjU0MDllMjdkMjVlMGIwZjU0MzZmYj" +
  "YzOGM1YzYzZmRmNjBlYzY3ZmQ4MTBhNjlmMDAwNzJjNjMxZjM4ZDEzZTQ5ZjllYmJiMTYyOGIyZjEwNGFlOTcxM2Ex" +
  "NGZhZjM4MGZkZjkwMGY2MTRkZjRhYTI5ZDliZTUxNmYxZWE3MWMiLCJwZXJtaXQyQXV0aG9yaXphdGlvbiI6eyJmcm" +
  "9tIjoiMHhCZGE0ZTBlMWYyMDY5OTljZEY3MmQzNzQxNUVCM0Q2ZTU2QjM3OWY0IiwicGVybWl0dGVkIjp7InRva2Vu" +
  "IjoiMHgwMzZDYkQ1Mzg0MmM1NDI2NjM0ZTc5Mjk1NDFlQzIzMThmM2RDRjdlIiwiYW1vdW50IjoiNjM2In0sInNwZW" +
  "5kZXIiOiIweDQwMjBBNGYzYjdiOTBjY0E0MjNCOWZhYkNjMENFNTdDNkMyNDAwMDIiLCJub25jZSI6IjI3NzE5NDk5" +
  "NTExNjc1Njk5ODg2NjY0NzIxMDEwMDAzMzM5MTI1MjA1NDQxMDg5MTk2ODc1NzM0NDM4NDc4NjkzNzYwMTMwMTA1MD" +
  "U0IiwiZGVhZGxpbmUiOiIxNzk1OTA2MjM5Iiwid2l0bmVzcyI6eyJ0byI6IjB4MjA5NjkzQmM2YWZjMEM1MzI4YkEz" +
  "NkZhRjAzQzUxNEVGMzEyMjg3QyIsImZhY2lsaXRhdG9yIjoiMHg4NTdiMDY1MTlFOTFlM0E1NDUzODc5MWJEYmIwRT" +
  "IyMzczZTM2YjY2IiwidmFsaWRBZnRlciI6IjAifX19LCJyZXNvdXJjZSI6eyJ1cmwiOiJodHRwczovL2VkZ2UudGVz" +
  "dC92MS9jaGF0L2NvbXBsZXRpb25zIiwiZGVzY3JpcHRpb24iOiJPbmUgaW5mZXJlbmNlIiwibWltZVR5cGUiOiJhcH" +
  "BsaWNhdGlvbi9qc29uIn0sImFjY2VwdGVkIjp7InNjaGVtZSI6InVwdG8iLCJuZXR3b3JrIjoiZWlwMTU1Ojg0NTMy" +
  "IiwiYW1vdW50IjoiNjM2IiwiYXNzZXQiOiIweDAzNmNiZDUzODQyYzU0MjY2MzRlNzkyOTU0MWVjMjMxOGYzZGNmN2" +
  "UiLCJwYXlUbyI6IjB4MjA5NjkzYmM2YWZjMGM1MzI4YmEzNmZhZjAzYzUxNGVmMzEyMjg3YyIsIm1heFRpbWVvdXRT" +
  "ZWNvbmRzIjozNjAwLCJleHRyYSI6eyJuYW1lIjoiVVNEQyIsInZlcnNpb24iOiIyIiwiYXNzZXRUcmFuc2Zlck1ldG" +
  "hvZCI6InBlcm1pdDIiLCJmYWNpbGl0YXRvckFkZHJlc3MiOiIweDg1N2IwNjUxOWU5MWUzYTU0NTM4NzkxYmRiYjBl" +
  "MjIzNzNlMzZiNjYifX19";

test("what the published client made is good", () => {
  const presented = presentedPermitSchema.parse(decodeHeader(published));
  expect(presented.payload.permit2Authorization.permitted.amount).toBe(636n);
  expect(whyNotPromised(presented, settings, { ...at, nowMs: 1795902639000 })).toBeNull();
});

test("what viem signs is good, in any case of its addresses", async () => {
  expect(whyNotPromised(presentedPermitOf(await signedPermit()), settings, at)).toBeNull();
  const mixed = (text: string) => getAddress(text);
  const accepted = { payTo: mixed(settings.payTo), asset: mixed(settings.asset) };
  const witness = { to: mixed(settings.payTo), facilitator: mixed(facilitator) };
  const other = await signedPermit({
    token: mixed(settings.asset),
    spender: mixed(proxy),
    witness,
  });
  expect(whyNotPromised(presentedPermitOf(other, accepted), settings, at)).toBeNull();
});

describe("a permit that is", () => {
  test.each([
    ["for another receiver", { witness: { to: other } }, {}, /signed for 0x1111/],
    ["for another facilitator", { witness: { facilitator: other } }, {}, /facilitator must be/],
    ["for another spender", { spender: other }, {}, /spender must be 0x4020a4f3/],
    ["of another token", { token: other }, {}, /signed for the token 0x1111/],
    ["accepted for another receiver", {}, { payTo: other }, /must go to/],
    ["of another scheme", {}, { scheme: "exact" }, /scheme must be upto, not exact/],
    ["of another network", {}, { network: "eip155:1" }, /network must be eip155:84532/],
    ["over another amount", {}, { amount: "1001" }, /signed for 1000, and 1001/],
    ["not valid yet", { witness: { validAfter: `${nowS + 1n}` } }, {}, /not valid yet/],
    ["good for too short", { deadline: `${nowS + 2_399n}` }, {}, /good for 2400 seconds/],
    ["from somebody else", { from: other }, {}, /not signed by 0x1111/],
  ])("%s is refused in words", async (_, change, accepted, words) => {
    const presented = presentedPermitOf(await signedPermit(change), accepted);
    expect(whyNotPromised(presented, settings, at)).toMatch(words);
  });

  test("good for as long as an answer takes is taken, and where it is not offered, none", async () => {
    const last = presentedPermitOf(await signedPermit({ deadline: `${nowS + 2_400n}` }));
    expect(whyNotPromised(last, settings, at)).toBeNull();
    const without = { ...settings, uptoFacilitator: null };
    expect(whyNotPromised(last, without, at)).toBe("the scheme upto is not offered");
  });

  test.each([
    ["amount", { permitted: { token: settings.asset, amount: "1001" } }, { amount: "1001" }],
    ["nonce", { nonce: "7" }, {}],
    ["deadline", { deadline: `${nowS + 9_999n}` }, {}],
    ["start", { witness: { to: settings.payTo, facilitator, validAfter: "1" } }, {}],
  ])("signed with another %s is refused", async (_, change, accepted) => {
    const { signature, permit2Authorization } = await signedPermit();
    const payload = { signature, permit2Authorization: { ...permit2Authorization, ...change } };
    const presented = presentedPermitOf(payload, accepted);
    expect(whyNotPromised(presented, settings, at)).toMatch(/not signed by/);
  });
});

test("both schemes are offered where upto is set up, and exact alone where it is not", () => {
  expect(offersOf(settings, 5n)).toMatchObject([
    { scheme: "exact", amount: "5", extra: { name: "USDC", version: "2" } },
    {
      scheme: "upto",
      amount: "5",
      payTo: settings.payTo,
      maxTimeoutSeconds: 3_600,
      extra: { assetTransferMethod: "permit2", facilitatorAddress: facilitator },
    },
  ]);
  const alone = offersOf({ ...settings, uptoFacilitator: null }, 5n);
  expect(alone.map(({ scheme }) => scheme)).toEqual(["exact"]);
});

test("what is settled is less than was signed, and all else as it was signed", async () => {
  const presented = presentedPermitOf(await signedPermit());
  const whole = permitBody(settings, facilitator, presented);
  const { paymentRequirements, paymentPayload, ...rest } = JSON.parse(settlingOnly(whole, 7n));
  const before = JSON.parse(whole);
  expect({ ...paymentRequirements, amount: "1000" }).toEqual(before.paymentRequirements);
  expect(paymentRequirements.amount).toBe("7");
  expect(paymentPayload).toEqual(before.paymentPayload);
  expect(rest).toEqual({ x402Version: 2 });
});

test("a permit takes nothing that is not in the protocol, nor numbers out of range", async () => {
  const payload = await signedPermit();
  const { accepted } = presentedPermitOf(payload);
  const good = { x402Version: 2, accepted: { ...accepted, amount: "1000" }, payload };
  expect(presentedPermitSchema.safeParse(good).success).toBe(true);
  expect(hasPermit(good)).toBe(true);
  const permit = payload.permit2Authorization;
  for (const change of [
    { nonce: "0x10" },
    { deadline: `${2n ** 256n}` },
    { permitted: { token: settings.asset, amount: "0" } },
    { permitted: { token: settings.asset, amount: "9007199254740992" } },
    { witness: { ...permit.witness, extra: "0x" } },
    { spender: "proxy" },
    { gas: "1" },
  ]) {
    const wrong = { ...payload, permit2Authorization: { ...permit, ...change } };
    expect(presentedPermitSchema.safeParse({ ...good, payload: wrong }).success).toBe(false);
  }
  for (const none of [null, 1, {}, { payload: null }, { payload: { authorization: {} } }]) {
    expect(hasPermit(none)).toBe(false);
  }
});

test("a permit's id tells it from any other of its chain, its owner and its nonce", async () => {
  const permit = presentedPermitOf(await signedPermit()).payload.permit2Authorization;
  const id = permitId(settings, permit);
  const others = [
    permitId({ ...settings, network: "eip155:1" }, permit),
    permitId(settings, { ...permit, from: other }),
    permitId(settings, { ...permit, nonce: 1n }),
  ];
  expect(new Set([id, ...others]).size).toBe(4);
  // Permit2 counts nonces of one owner whatever the token and the most.
  const permitted = { token: other, amount: 5n };
  expect(permitId({ ...settings, asset: other }, { ...permit, permitted })).toBe(id);
});
