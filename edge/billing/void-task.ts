import type { ErrorCode } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import type { InferenceTask } from "../inference/task.ts";
import { accountObject } from "../objects.ts";
import type { TaskClosing } from "./closing.ts";

/**
 * Closes the books of a task that no hub will settle: its hold returns. Twice is a no-op, and so is
 * being late.
 */
export async function voidTask(
  ctx: Context,
  task: Pick<InferenceTask, "terms" | "class" | "earlierAttempts">,
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
