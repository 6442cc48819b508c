import type { ErrorCode } from "../../shared/errors.ts";
import type { Class } from "../../shared/protocol/listing.ts";
import type { Context } from "../context.ts";
import { accountObject } from "../objects.ts";
import type { AttemptRecord, TaskClosing } from "./closing.ts";
import type { Terms } from "./ticket.ts";

/**
 * Closes the books of a task that no hub will settle: its hold returns. Twice is a no-op, and so is
 * being late.
 */
export async function voidTask(
  ctx: Context,
  task: {
    readonly terms: Terms;
    readonly class: Class;
    readonly earlierAttempts: readonly AttemptRecord[];
  },
  errorCode: ErrorCode,
): Promise<void> {
  const closing: TaskClosing = {
    kind: "void",
    terms: task.terms,
    record: {
      digest: null,
      class: task.class,
      finish: "failed",
      errorCode,
      route: null,
      firstTokenMs: null,
      endedMs: Date.now(),
      attempts: task.earlierAttempts,
      receipt: null,
    },
  };
  await accountObject(ctx.env, task.terms.account).close([closing]);
}
