import { z } from "zod";
import { describeError } from "../../shared/log.ts";
import { configOf, type Env } from "../env.ts";

/** What became of a transfer, by the facilitator's word. */
export type Settlement =
  | { readonly kind: "settled"; readonly transaction: string }
  | { readonly kind: "refused"; readonly reason: string }
  /** There was no word; it may be settled or not. */
  | { readonly kind: "unknown"; readonly reason: string };

/** A chain settles in a second or two; a consumer waits this long at most. */
const answerMs = 5_000;

const answerSchema = z.object({
  success: z.boolean(),
  transaction: z.string().nullish(),
  network: z.string().nullish(),
  errorReason: z.string().nullish(),
});

/**
 * Asks the operator's facilitator to settle a transfer; `body` is what it takes at `/settle`. No
 * other server is ever asked, wherever it may send us.
 */
export async function askToSettle(env: Env, body: string): Promise<Settlement> {
  const settings = configOf(env).x402;
  if (settings === null) return { kind: "unknown", reason: "x402 is not configured any more" };
  const request = new Request(`${settings.facilitatorUrl}/settle`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    redirect: "manual",
    signal: AbortSignal.timeout(answerMs),
  });
  let text: string;
  let status: number;
  try {
    const response = await (env.FACILITATOR?.fetch(request) ?? fetch(request));
    status = response.status;
    text = await response.text();
  } catch (error) {
    return { kind: "unknown", reason: describeError(error) };
  }
  const answer = answerOf(text);
  if (answer === null) return { kind: "unknown", reason: `it answered ${status} in another form` };
  if (!answer.success) return { kind: "refused", reason: reasonOf(answer.errorReason) };
  if (answer.network !== settings.network || !answer.transaction) {
    return { kind: "unknown", reason: "it says success, and not of which transaction" };
  }
  return { kind: "settled", transaction: answer.transaction.slice(0, 200) };
}

function answerOf(text: string): z.infer<typeof answerSchema> | null {
  try {
    return answerSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    // Not JSON: what stands before it says that it cannot be reached.
    return null;
  }
}

/** Facilitators name reasons by codes; a text of theirs goes no further. */
function reasonOf(code: string | null | undefined): string {
  return /^[\w.:-]{1,100}$/.test(code ?? "") ? `${code}` : "it gave no reason";
}
