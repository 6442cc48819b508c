import { type JWTHeaderParameters, type JWTPayload, SignJWT } from "jose";
import { beforeAll, describe, expect, test } from "vitest";
import { createSession, isToken, readSession, sessionS } from "../../../edge/sign-in/session.ts";
import { configOf, type Env } from "../../../edge/env.ts";
import { newSecrets } from "../../../dev/secrets.ts";
import { fromBase64Url, utf8 } from "../../../shared/crypto/bytes.ts";
import { formatApiKey, newApiKey } from "../../../shared/crypto/api-key.ts";

const startedMs = Date.parse("2026-11-28T20:00:00Z");
const nowS = startedMs / 1000;
const session = { personId: "K".repeat(43), accountId: "acct_0000000000000000000000" };

async function makeEdge() {
  const { operatorKey, edgeKey, ticketSecret, keyPepper } = await newSecrets("test");
  const env = {
    OCTO_OPERATOR_KEY: operatorKey,
    OCTO_EDGE_KEY: edgeKey,
    OCTO_TICKET_SECRET: ticketSecret,
    OCTO_KEY_PEPPER: keyPepper,
    LIBSQL_URL: "http://libsql.invalid",
    OCTO_RATES: "off",
  } as unknown as Env;
  return { config: configOf(env), url: "https://edge.test/api/v1/me", startedMs };
}

let edge: Awaited<ReturnType<typeof makeEdge>>;
let key: CryptoKey;
let header: JWTHeaderParameters;
let claims: JWTPayload;

/** The edge's key for sessions, as it derives it: what it signs is wrong in one point only. */
async function derivedKey(): Promise<CryptoKey> {
  const root = fromBase64Url(edge.config.edgePrivateKey) ?? new Uint8Array();
  const material = await crypto.subtle.importKey("raw", root, "HKDF", false, ["deriveBits"]);
  const info = utf8("octo-session+jwt");
  const hkdf = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info };
  const seed = new Uint8Array(await crypto.subtle.deriveBits(hkdf, material, 256));
  const head = fromBase64Url("MC4CAQAwBQYDK2VwBCIEIA") ?? [];
  const pkcs8 = Uint8Array.from([...head, ...seed]);
  return crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
}

function sign(change: { header?: object; claims?: object } = {}): Promise<string> {
  const payload = { ...claims, ...change.claims };
  return new SignJWT(payload).setProtectedHeader({ ...header, ...change.header }).sign(key);
}

beforeAll(async () => {
  edge = await makeEdge();
  key = await derivedKey();
  const [head = "", body = ""] = (await createSession(edge, session)).split(".");
  header = JSON.parse(atob(head)) as JWTHeaderParameters;
  claims = JSON.parse(atob(body)) as JWTPayload;
});

describe("a session token", () => {
  test("says who and for whom, and nothing of what they may do", () => {
    expect(header).toEqual({ alg: "EdDSA", typ: "octo-session+jwt", kid: expect.any(String) });
    expect(claims).toEqual({
      iss: "public",
      aud: "edge.test",
      sub: session.personId,
      acct: session.accountId,
      iat: nowS,
      exp: nowS + sessionS,
    });
  });

  test("is read until it ends, by the edge that made it", async () => {
    const token = await createSession(edge, session);
    expect(await readSession(edge, token)).toEqual(session);
    const last = { ...edge, startedMs: startedMs + sessionS * 1000 - 1 };
    expect(await readSession(last, token)).toEqual(session);
    const over = { ...edge, startedMs: startedMs + sessionS * 1000 };
    expect(await readSession(over, token)).toBeNull();
    expect(await readSession(await makeEdge(), token)).toBeNull();
  });

  test("may act for nobody", async () => {
    const nobody = { ...session, accountId: null };
    expect(await readSession(edge, await createSession(edge, nobody))).toEqual(nobody);
  });

  test("is good as the test itself signs it, so that what is changed below is what is refused", async () => {
    expect(await readSession(edge, await sign())).toEqual(session);
  });

  test.each([
    ["another type", { header: { typ: "JWT" } }],
    ["no type", { header: { typ: undefined } }],
    ["no key id", { header: { kid: undefined } }],
    ["another key id", { header: { kid: "x" } }],
    ["another name of its algorithm", { header: { alg: "Ed25519" } }],
    ["another issuer", { claims: { iss: "local" } }],
    ["no issuer", { claims: { iss: undefined } }],
    ["another audience", { claims: { aud: "other.test" } }],
    ["no audience", { claims: { aud: undefined } }],
    ["no subject", { claims: { sub: undefined } }],
    ["a subject that is no key", { claims: { sub: "alice" } }],
    ["no time", { claims: { iat: undefined } }],
    ["no end", { claims: { exp: undefined } }],
    ["an end that is past", { claims: { iat: nowS - 10, exp: nowS } }],
    ["an end too far", { claims: { exp: nowS + sessionS + 1 } }],
    ["a beginning to come", { claims: { nbf: nowS + 10 } }],
    ["an account that is no text", { claims: { acct: 5 } }],
  ])("with %s is nobody's", async (_, change) => {
    expect(await readSession(edge, await sign(change))).toBeNull();
  });
});

test("no API key has the form of a token", () => {
  expect(isToken(formatApiKey(newApiKey("live")))).toBe(false);
  expect(isToken("sk-proj-0123")).toBe(false);
  expect(isToken("a.b.")).toBe(true);
});

test.each([
  ["kyc", "must be a list of kyc:KEY and certified:KEY"],
  [`gold:${"K".repeat(43)}`, "must be a list of kyc:KEY"],
  [`kyc:${"K".repeat(42)}`, "must be a list of kyc:KEY"],
])("the attesters %j stop the start in words", (OCTO_ATTESTERS, words) => {
  const { config } = edge;
  const env = {
    OCTO_OPERATOR_KEY: formatApiKey(config.operatorKey),
    OCTO_EDGE_KEY: config.edgePrivateKey,
    OCTO_TICKET_SECRET: config.ticketSecret,
    OCTO_KEY_PEPPER: config.keyPepper,
    LIBSQL_URL: "http://libsql.invalid",
    OCTO_ATTESTERS,
  } as unknown as Env;
  expect(() => configOf(env)).toThrow(`OCTO_ATTESTERS ${words}`);
});
