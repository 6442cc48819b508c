import { type JWTPayload, errors, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import { assert } from "../../shared/assert.ts";
import { fromBase64Url, utf8 } from "../../shared/crypto/bytes.ts";
import { publicKeyPattern } from "../../shared/crypto/signing.ts";
import type { Context } from "../context.ts";
import type { Config } from "../env.ts";

/*
 * Session tokens, by RFC 8725:
 * S1. One algorithm, named here and never taken from the token.
 * S2. One purpose: the type is our own, and the key is derived for sessions alone, so that nothing
 *     signed for a receipt is a session, or the other way round.
 * S3. The key's id must be one this edge knows; keys that a token brings with it are not looked at.
 * S4. Issuer, audience, subject, time and end are all required.
 * S5. What a person may do is in no token: it is looked up at each request.
 */

const algorithm = "EdDSA";
const tokenType = "octo-session+jwt";

/** A token that leaks is worth nothing soon after; a wallet signs again in a moment. */
export const sessionS = 300;

export interface Session {
  readonly personId: string;
  /** The account they act for; null for none. */
  readonly accountId: string | null;
}

type Issuer = Pick<Context, "config" | "url" | "startedMs">;

const claimsSchema = z
  .object({
    sub: z.string().regex(publicKeyPattern),
    acct: z.string().min(1).max(64).optional(),
    iat: z.int(),
    exp: z.int(),
  })
  .refine(({ iat, exp }) => exp - iat <= sessionS);

/** Whether a bearer text has the form of a token, which no API key has. */
export function isToken(text: string): boolean {
  return text.split(".").length === 3;
}

/** A signed token for a session that begins now. */
export async function createSession(ctx: Issuer, session: Session): Promise<string> {
  const { kid, privateKey } = await sessionKey(ctx.config);
  const nowS = Math.floor(ctx.startedMs / 1000);
  const claims: JWTPayload = session.accountId === null ? {} : { acct: session.accountId };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: algorithm, typ: tokenType, kid })
    .setIssuer(ctx.config.network)
    .setAudience(new URL(ctx.url).host)
    .setSubject(session.personId)
    .setIssuedAt(nowS)
    .setExpirationTime(nowS + sessionS)
    .sign(privateKey);
}

/** The session of a token of ours that has not ended, or null for any other text. */
export async function readSession(ctx: Issuer, token: string): Promise<Session | null> {
  const own = await sessionKey(ctx.config);
  try {
    const { payload } = await jwtVerify(token, ({ kid }) => knownKey(own, kid), {
      algorithms: [algorithm],
      typ: tokenType,
      issuer: ctx.config.network,
      audience: new URL(ctx.url).host,
      requiredClaims: ["iss", "aud", "sub", "iat", "exp"],
      currentDate: new Date(ctx.startedMs),
    });
    const claims = claimsSchema.safeParse(payload);
    if (!claims.success) return null;
    return { personId: claims.data.sub, accountId: claims.data.acct ?? null };
  } catch (error) {
    // Whatever is wrong with a token, it is nobody's: why is not told.
    if (error instanceof errors.JOSEError) return null;
    throw error;
  }
}

interface SessionKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

function knownKey(own: SessionKey, kid: string | undefined): CryptoKey {
  if (kid === own.kid) return own.publicKey;
  throw new errors.JWSInvalid("the key is not one of this edge");
}

/** Resolved keys only: in workerd a promise made in one request must not be awaited in another. */
const keyByConfig = new WeakMap<Config, SessionKey>();

/** PKCS #8 of an Ed25519 key is this and the 32 bytes of its seed (RFC 8410 section 7). */
const pkcs8Head = [
  0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/** The key for sessions, derived from the edge's own (S2): another edge key, other sessions. */
async function sessionKey(config: Config): Promise<SessionKey> {
  const known = keyByConfig.get(config);
  if (known !== undefined) return known;
  const root = fromBase64Url(config.edgePrivateKey);
  assert(root !== null, "the edge's key is base64url");
  const material = await crypto.subtle.importKey("raw", root, "HKDF", false, ["deriveBits"]);
  const seed = await crypto.subtle.deriveBits(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: utf8(tokenType) },
    material,
    256,
  );
  const pkcs8 = Uint8Array.from([...pkcs8Head, ...new Uint8Array(seed)]);
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  const { x } = (await crypto.subtle.exportKey("jwk", key)) as JsonWebKey;
  assert(x !== undefined, "an Ed25519 key has a public half");
  const jwk = { kty: "OKP", crv: "Ed25519", x };
  const publicKey = await crypto.subtle.importKey("jwk", jwk, "Ed25519", true, ["verify"]);
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
  const made = { kid: x, privateKey, publicKey };
  keyByConfig.set(config, made);
  return made;
}
