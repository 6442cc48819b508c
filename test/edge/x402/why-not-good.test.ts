import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { describe, expect, test } from "vitest";
import { payerAccountId, purchaseId } from "../../../edge/x402/payer.ts";
import { whyNotGood } from "../../../edge/x402/why-not-good.ts";
import { decodeHeader, encodeHeader, presentedSchema } from "../../../edge/x402/wire.ts";
import { nowS, presentedOf, settings, signed } from "./whole-wire.ts";

const other = "0x1111111111111111111111111111111111111111";
const nowMs = Number(nowS) * 1_000;

/** What @x402/core and @x402/evm 2.27.0 made of a price of ours, 636, until 1795901425. */
const published =
  "eyJ4NDAyVmVyc2lvbiI6MiwicGF5bG9hZCI6eyJhdXRob3JpemF0aW9uIjp7ImZyb20iOiIweDY1RkE3OTgyQjc5" +
  "RjFEMENBNGI5YTFjYjdEMkE2OTdCMzhiYWE2ZGEiLCJ0byI6IjB4MjA5NjkzQmM2YWZjMEM1MzI4YkEzNkZhRjAz" +
  "QzUxNEVGMzEyMjg3QyIsInZhbHVlIjoiNjM2IiwidmFsaWRBZnRlciI6IjAiLCJ2YWxpZEJlZm9yZSI6IjE3OTU5" +
  "MDE0MjUiLCJub25jZSI6IjB4NzJmZGFiMTkyODRhN2M5OWE2MzRlOGIzYmQyMzNlNjBmNGIyOTU0YWFlZTdkNGZh" +
  "ZGZiZjc2ZjFiOTZmNTJlMSJ9LCJzaWduYXR1cmUiOiIweGYzZTA3NDY2NTNhYWNkMjBkN2FhODkxYjQ1MWEyZDI3" +
  "ZjMyNmI5YmQ1YzI2NDRkNmViMWI0NWE4MjY4ZjkyZTA1ZmQ2ZTg2ZGNhZGU4MmYxOTQ2NTMyZTBmYTFkYzc2OWQy" +
  "Nzc2YTFmNDI2NWY3MjgzZDJjMjBiMWViYjk5Y2U1MWIifSwicmVzb3VyY2UiOnsidXJsIjoiaHR0cHM6Ly9lZGdl" +
  "LnRlc3QvdjEvY2hhdC9jb21wbGV0aW9ucyIsImRlc2NyaXB0aW9uIjoiT25lIGluZmVyZW5jZSIsIm1pbWVUeXBl" +
  "IjoiYXBwbGljYXRpb24vanNvbiJ9LCJhY2NlcHRlZCI6eyJzY2hlbWUiOiJleGFjdCIsIm5ldHdvcmsiOiJlaXAx" +
  "NTU6ODQ1MzIiLCJhbW91bnQiOiI2MzYiLCJhc3NldCI6IjB4MDM2Y2JkNTM4NDJjNTQyNjYzNGU3OTI5NTQxZWMy" +
  "MzE4ZjNkY2Y3ZSIsInBheVRvIjoiMHgyMDk2OTNiYzZhZmMwYzUzMjhiYTM2ZmFmMDNjNTE0ZWYzMTIyODdjIiwi" +
  "bWF4VGltZW91dFNlY29uZHMiOjMwMCwiZXh0cmEiOnsibmFtZSI6IlVTREMiLCJ2ZXJzaW9uIjoiMiJ9fX0=";

test("what the published client made is good, until it expires", () => {
  const presented = presentedSchema.parse(decodeHeader(published));
  expect(presented.payload.authorization).toMatchObject({ value: 636n, validBefore: 1795901425n });
  expect(whyNotGood(presented, settings, 1_795_901_419_000)).toBeNull();
  expect(whyNotGood(presented, settings, 1_795_901_420_000)).toContain("expired");
});

test("what viem signs is good", async () => {
  expect(whyNotGood(presentedOf(await signed()), settings, nowMs)).toBeNull();
});

test("addresses count in any case", async () => {
  const upper = (text: string) => `0x${text.slice(2).toUpperCase()}`;
  const accepted = { payTo: upper(settings.payTo), asset: upper(settings.asset) };
  expect(whyNotGood(presentedOf(await signed(), accepted), settings, nowMs)).toBeNull();
});

describe("an authorization that is", () => {
  test.each([
    ["for another receiver", { to: other }, {}, /signed for 0x1111/],
    ["accepted for another receiver", {}, { payTo: other }, /must go to/],
    ["of another scheme", {}, { scheme: "upto" }, /scheme must be exact, not upto/],
    ["of another network", {}, { network: "eip155:1" }, /network must be eip155:84532/],
    ["of another token", {}, { asset: other }, /asset must be/],
    ["of another domain", {}, { extra: { name: "USDC", version: "1" } }, /USDC version 2/],
    ["of no domain", {}, { extra: null }, /USDC version 2/],
    ["over another amount", {}, { amount: "1001" }, /signed for 1000, and 1001/],
    ["not valid yet", { validAfter: `${nowS + 1n}` }, {}, /not valid yet/],
    ["expired", { validBefore: `${nowS}` }, {}, /expired/],
    ["about to expire", { validBefore: `${nowS + 5n}` }, {}, /expired/],
    ["from somebody else", { from: other }, {}, /not signed by 0x1111/],
  ])("%s is refused in words", async (_, change, accepted, words) => {
    expect(whyNotGood(presentedOf(await signed(change), accepted), settings, nowMs)).toMatch(words);
  });

  test("good to its last second but six is taken", async () => {
    const last = presentedOf(await signed({ validBefore: `${nowS + 6n}`, validAfter: `${nowS}` }));
    expect(whyNotGood(last, settings, nowMs)).toBeNull();
  });

  test.each(["value", "validAfter", "validBefore", "nonce"])(
    "signed with another %s is refused",
    async (name) => {
      const payload = await signed();
      const changed = name === "nonce" ? `0x${"9".repeat(64)}` : name === "validAfter" ? "1" : null;
      const authorization = {
        ...payload.authorization,
        [name]: changed ?? `${BigInt(payload.authorization.value) + nowS + 1n}`,
      };
      expect(whyNotGood(presentedOf({ ...payload, authorization }), settings, nowMs)).toMatch(
        /not signed by/,
      );
    },
  );
});

describe("the header", () => {
  test("is read as it was written", async () => {
    const value = { name: "Überweisung", list: [1, null] };
    expect(decodeHeader(encodeHeader(value))).toEqual(value);
  });

  test.each(["", "{}", "e30", "!!!!", btoa("{"), btoa("\xff\xff"), "A".repeat(8_196)])(
    "%j is none, or nothing of use",
    (text) => {
      expect(presentedSchema.safeParse(decodeHeader(text)).success).toBe(false);
    },
  );

  test("takes nothing that is not in the protocol, nor numbers out of range", async () => {
    const payload = await signed();
    const accepted = { ...presentedOf(payload).accepted, amount: "1000" };
    const good = { x402Version: 2, accepted, payload };
    const wrong: unknown[] = [
      { ...good, x402Version: 1 },
      { ...good, balance: 1 },
      { ...good, accepted: { ...accepted, amount: 1_000 } },
      { ...good, accepted: { ...accepted, amount: "-1" } },
      { ...good, accepted: { ...accepted, amount: "0" } },
      { ...good, accepted: { ...accepted, amount: "1.5" } },
      { ...good, accepted: { ...accepted, amount: "9007199254740992" } },
      { ...good, accepted: { ...accepted, amount: "1e3" } },
      { ...good, payload: { ...payload, permit2Authorization: {} } },
      { ...good, payload: { ...payload, signature: `${payload.signature}00` } },
      ...[
        { value: "0x10" },
        { validBefore: `${2n ** 256n}` },
        { nonce: "0x12" },
        { from: "alice" },
        { gas: "1" },
      ].map((change) => ({
        ...good,
        payload: { ...payload, authorization: { ...payload.authorization, ...change } },
      })),
    ];
    expect(presentedSchema.safeParse(good).success).toBe(true);
    for (const value of wrong) expect(presentedSchema.safeParse(value).success).toBe(false);
  });
});

test("an address has one account on each chain, whose id looks like any other's", async () => {
  const from = privateKeyToAccount(generatePrivateKey()).address.toLowerCase();
  const ids = await Promise.all([
    payerAccountId("eip155:1", from),
    payerAccountId("eip155:1", from),
    payerAccountId("eip155:8453", from),
    payerAccountId("eip155:1", other),
  ]);
  for (const id of ids) expect(id).toMatch(/^acct_[0-9A-Za-z]{22}$/);
  expect(ids[0]).toBe(ids[1]);
  expect(new Set(ids).size).toBe(3);
});

test("a transfer's id tells it from any other of its token, its owner and its nonce", async () => {
  const { authorization } = presentedOf(await signed()).payload;
  const id = purchaseId(settings, authorization);
  const others = [
    purchaseId({ ...settings, asset: other }, authorization),
    purchaseId({ ...settings, network: "eip155:1" }, authorization),
    purchaseId(settings, { ...authorization, from: other }),
    purchaseId(settings, { ...authorization, nonce: `0x${"0".repeat(64)}` }),
  ];
  expect(new Set([id, ...others]).size).toBe(5);
  expect(purchaseId(settings, { ...authorization, value: 7n })).toBe(id);
});
