import { assert } from "../../shared/assert.ts";
import type { TokenCounts } from "../../shared/money.ts";
import type { HoldRequest } from "./account-state.ts";
import type { Terms } from "./ticket.ts";

const noTokens: TokenCounts = { promptTokens: 0, completionTokens: 0 };

/** What is to be held for a task of these terms, which can use so many tokens at most. */
export function holdRequestOf(
  terms: Terms,
  ask: { readonly tokensMax?: TokenCounts; readonly alsoNamed?: readonly string[] },
): HoldRequest {
  const { tokensMax = noTokens, alsoNamed = [] } = ask;
  assert(terms.own !== true || terms.limit === "0", "what only own workers answer is free (A6)");
  return {
    taskId: terms.task,
    keyId: terms.key,
    model: terms.model,
    alsoNamed,
    limit: BigInt(terms.limit),
    isOwn: terms.own === true,
    tokensMax,
    expiresMs: terms.expires_ms,
  };
}
