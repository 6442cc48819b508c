import { equalInConstantTime, randomBase62, toBase64Url, utf8 } from "../../shared/crypto/bytes.ts";
import { verifySignature } from "../../shared/crypto/signing.ts";
import { OctoError } from "../../shared/errors.ts";
import { randomBytes } from "../../shared/ids.ts";
import {
  parseSealedText,
  sealedText,
  type SignInChallenge,
  signInText,
} from "../../shared/sign-in.ts";
import type { Context } from "../context.ts";

/*
 * C1. A challenge is stored nowhere: its seal, a MAC of this deployment, is what makes it ours. So
 *     asking for challenges fills nothing.
 * C2. It names network, origin, key, nonce and end; its signature is worth nothing elsewhere.
 * C3. It is answered once: the nonce of an answered one is stored for as long as it could be
 *     answered again (the registry's part).
 */

/** What signing takes a person who reads what they sign. */
const challengeMs = 2 * 60_000;

type Issuer = Pick<Context, "config" | "url" | "startedMs">;

/** A new challenge for a key, as the wallet is to sign it. */
export async function newChallenge(
  ctx: Issuer,
  publicKey: string,
): Promise<{ readonly text: string; readonly expiresMs: number }> {
  const expiresMs = ctx.startedMs + challengeMs;
  const text = signInText({
    network: ctx.config.network,
    origin: originOf(ctx),
    publicKey,
    nonce: randomBase62(22, randomBytes),
    expiresMs,
  });
  return { text: sealedText(text, await seal(ctx, text)), expiresMs };
}

/** The challenge that was answered; throws where it is not ours, or not rightly answered. */
export async function answeredChallenge(
  ctx: Issuer,
  answer: { readonly text: string; readonly signature: string },
): Promise<SignInChallenge> {
  const parsed = parseSealedText(answer.text);
  if (parsed === null) throw refused("the text is not a challenge");
  const { challenge } = parsed;
  const ours = await seal(ctx, signInText(challenge));
  if (!equalInConstantTime(utf8(ours), utf8(parsed.seal))) {
    throw refused("the challenge is not of this edge");
  }
  if (challenge.network !== ctx.config.network || challenge.origin !== originOf(ctx)) {
    throw refused(`the challenge is for ${challenge.origin}`);
  }
  if (challenge.expiresMs <= ctx.startedMs) throw refused("the challenge has expired");
  const isSigned = await verifySignature({
    publicKey: challenge.publicKey,
    domain: "octo-sign-in-v1",
    message: answer.text,
    signature: answer.signature,
  });
  if (!isSigned) throw refused("the signature is not of the challenge's key");
  return challenge;
}

/** Nobody is signed in by what they sent. */
export function refused(reason: string): OctoError {
  return new OctoError("invalid_api_key", `Cannot sign in: ${reason}`);
}

function originOf(ctx: Issuer): string {
  return new URL(ctx.url).origin;
}

/** Tickets are sealed under the same secret; theirs are JSON, which never begins like this. */
async function seal(ctx: Issuer, text: string): Promise<string> {
  const key = await crypto.subtle.importKey(
    "raw",
    utf8(ctx.config.ticketSecret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const mac = await crypto.subtle.sign("HMAC", key, utf8(`octo-sign-in-v1\0${text}`));
  return toBase64Url(new Uint8Array(mac));
}
