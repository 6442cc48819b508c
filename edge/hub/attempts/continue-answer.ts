import type { TokenCounts } from "../../../shared/money.ts";
import { tokenIdsMax } from "../../../shared/openai/output.ts";
import { answerBytesMax, continuingVersion } from "../../../shared/protocol/limits.ts";
import type { ContinuedAnswer } from "../../../shared/protocol/task.ts";
import { listingFor } from "../routing/candidate-facts.ts";
import type { Attempt, Session, TaskEntry } from "../hub-state.ts";

/**
 * An answer whose worker was lost in the middle goes on with another one.
 * C1. Only a text in one choice is continued: half a call or half a thought has no words to go on
 *     from.
 * C2. The next worker has the same weights (by digest), and is given exactly what the consumer has:
 *     nothing is said twice and nothing is left out.
 * C3. Everybody who made a piece of a whole answer is paid for it, and the prompt is paid once, to
 *     whom the end comes from. An answer that stays broken costs nothing and pays nobody.
 */

/** What one worker made of an answer that another one ended. */
export interface Share {
  readonly attempt: Attempt;
  readonly counts: TokenCounts;
}

/** What a consumer has of an answer whose worker was lost. */
export interface Delivered {
  readonly text: string;
  /** The tokens that spell at least `text`; null where one of its workers did not name them. */
  readonly tokenIds: readonly number[] | null;
  readonly digest: string;
  /** Who made it, in order. */
  readonly shares: readonly Share[];
  /** Where its first byte came from. */
  readonly first: Attempt;
  readonly last: Attempt;
}

/** What the consumer has once this attempt says no more; null where C1 forbids to go on. */
export function deliveredBy(attempt: Attempt): Delivered | null {
  const { entry, transcript, listing } = attempt;
  const { delivered, task } = entry;
  if (!task.streamed || task.choices !== 1 || !transcript.isPlain(0)) return null;
  const text = (delivered?.text ?? "") + transcript.text(0);
  if (text.length > answerBytesMax) return null;
  // One that began anew has nothing to do with the tokens before it.
  const before = attempt.prefixText === null ? [] : (delivered?.tokenIds ?? null);
  const after = transcript.tokenIds;
  const completionTokens = paidTokens(attempt);
  const share = { attempt, counts: { promptTokens: 0, completionTokens } };
  return {
    text,
    tokenIds: before === null || after === null ? null : [...before, ...after],
    digest: listing.digest,
    shares: [...(delivered?.shares ?? []), ...(completionTokens > 0 ? [share] : [])],
    first: delivered?.first ?? attempt,
    last: attempt,
  };
}

/** What a lost worker is paid for: what it delivered, as far as it could name it. */
function paidTokens({ transcript, entry, isBreached }: Attempt): number {
  if (isBreached) return 0;
  const named = transcript.tokenIds?.length ?? Number.MAX_SAFE_INTEGER;
  return Math.min(transcript.tokens, transcript.bytes, named, tokensLeft(entry));
}

/** How many tokens the rest of the answer may be billed with (H5). */
export function tokensLeft({ delivered, task }: TaskEntry): number {
  let left = task.completionTokensMax ?? Number.MAX_SAFE_INTEGER;
  for (const { counts } of delivered?.shares ?? []) left -= counts.completionTokens;
  return Math.max(0, left);
}

/** Whether a session could go on with what was delivered (C2). */
export function canContinue(session: Session, model: string, of: Delivered): boolean {
  const listing = listingFor(session, model);
  if (listing?.digest !== of.digest) return false;
  // Where no word has left yet, the next worker simply begins.
  if (of.text === "") return true;
  return session.version >= continuingVersion && listing.abilities.includes("forced_prefix");
}

/** What was delivered, as an offer carries it. */
export function continuedAnswer({ text, tokenIds }: Delivered): ContinuedAnswer {
  const isKnown = tokenIds !== null && tokenIds.length <= tokenIdsMax;
  return { text, token_ids: isKnown ? [...tokenIds] : null };
}
