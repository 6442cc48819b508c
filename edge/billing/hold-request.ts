import type { TokenCounts } from "../../shared/money.ts";
import type { HoldRequest } from "./account-state.ts";
import type { Terms } from "./ticket.ts";

const noTokens: TokenCounts = { promptTokens: 0, completionTokens: 0 };

/** What is to be held for a task of these terms, which can use so many tokens at most. */
export function holdRequestOf(terms: Terms, tokensMax = noTokens): HoldRequest {
  return {
    taskId: terms.task,
    keyId: terms.key,
    model: terms.model,
    limit: BigInt(terms.limit),
    tokensMax,
    expiresMs: terms.expires_ms,
  };
}
