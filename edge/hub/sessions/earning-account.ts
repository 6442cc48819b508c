import { base62, sha256, utf8 } from "../../../shared/crypto/bytes.ts";
import type { AuthProve } from "../../../shared/protocol/handshake.ts";
import type { Env } from "../../env.ts";
import { accountObject } from "../../objects.ts";

/**
 * An account a worker was never told of earns, but may not spend much at once until its owner shows
 * up.
 */
const providerConcurrencyMax = 16;

/**
 * The account a worker earns for: the one it names, or one of its own, made from its identity on
 * its first visit. Null where the named account has not taken it on.
 */
export async function earningAccount(
  env: Env,
  hubId: string,
  proof: AuthProve,
): Promise<string | null> {
  const digest = await sha256(utf8(proof.worker));
  const accountId = `acct_${base62(digest.slice(0, 16), 22)}`;
  const named = proof.account ?? accountId;
  if (named !== accountId) {
    const join = { kind: "join", id: proof.worker, hubId } as const;
    const { kind } = await accountObject(env, named).workers(join);
    return kind === "joined" ? named : null;
  }
  const account = accountObject(env, accountId);
  if (!(await account.isOpen())) {
    await account.open({ accountId, status: "active", concurrencyMax: providerConcurrencyMax });
  }
  return accountId;
}
