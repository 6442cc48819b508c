import { z } from "zod";
import type { SigningKey } from "../../shared/crypto/signing.ts";
import { parseSealedText } from "../../shared/sign-in.ts";
import { CommandError } from "../failures.ts";
import { EdgeClient } from "../http/edge-client.ts";
import type { World } from "../world.ts";
import { type WalletProfile, writeProfile } from "./profile.ts";
import { loadWallet } from "./wallet.ts";

const challengeSchema = z.object({ challenge: z.string().min(1).max(4_096) });

const sessionSchema = z.object({
  access_token: z.string().min(1),
  expires_in: z.number().positive(),
  accounts: z.array(z.looseObject({ id: z.string() })),
  /** Whom the session acts for; null where there are several, or none. */
  account_id: z.string().nullish(),
});

export type Session = z.infer<typeof sessionSchema>;

/** Proves to an edge who one is: it asks with a challenge, and the key pair signs it. */
export async function signIn(
  url: string,
  of: { readonly key: SigningKey; readonly accountId: string | null; readonly signal: AbortSignal },
): Promise<Session> {
  const client = new EdgeClient({ url, bearer: async () => null, signal: of.signal });
  const { challenge } = await client.post("/api/v1/auth/challenge", challengeSchema, {
    public_key: of.key.publicKey,
  });
  assertMeant(challenge, url, of.key.publicKey);
  const signature = await of.key.sign("octo-sign-in-v1", challenge);
  return client.post("/api/v1/auth/token", sessionSchema, {
    challenge,
    signature,
    ...(of.accountId === null ? {} : { account_id: of.accountId }),
  });
}

/**
 * A wallet signs for the edge it called and for itself: a challenge that somebody passed on from
 * another edge would sign them in there.
 */
function assertMeant(challenge: string, url: string, publicKey: string): void {
  const asked = parseSealedText(challenge)?.challenge;
  if (asked?.origin === new URL(url).origin && asked.publicKey === publicKey) return;
  throw new CommandError(`${url} asks to sign for another edge or key; nothing was signed`);
}

/** What is stored of a session. */
export function walletProfile(of: {
  readonly url: string;
  readonly path: string;
  readonly accountId: string | null;
  readonly session: Session;
  readonly startedMs: number;
}): WalletProfile {
  const { url, path, accountId, session, startedMs } = of;
  const token = session.access_token;
  const expiresMs = startedMs + Math.floor(session.expires_in * 1_000);
  return { v: 1, url, wallet: { path, account_id: accountId, token, expires_ms: expiresMs } };
}

/** A session that ends while a request is under way has not been worth sending. */
const leftMsMin = 30_000;

/** The session of a profile, signed in again where it has ended. */
export async function walletToken(world: World, profile: WalletProfile): Promise<string> {
  const { wallet, url } = profile;
  if (wallet.expires_ms - world.nowMs() > leftMsMin) return wallet.token;
  const key = await loadWallet(wallet.path);
  const { signal } = world.interrupts;
  const startedMs = world.nowMs();
  const session = await signIn(url, { key, accountId: wallet.account_id, signal });
  const { path, account_id: accountId } = wallet;
  await writeProfile(world, walletProfile({ url, path, accountId, session, startedMs }));
  return session.access_token;
}
