import type { ErrorCode } from "../../../shared/errors.ts";
import type { InferenceTask } from "../../inference/task.ts";
import type { Excluded } from "./route-explanation.ts";

export interface WhyNobody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly param: string | null;
}

/** Why no worker of a hub can serve a task: by the filter that came nearest to letting one pass. */
export function whyNobody(task: InferenceTask, excluded: Excluded): WhyNobody {
  const { model } = task;
  const here = (message: string): WhyNobody => ({ code: "no_capacity", message, param: null });
  if (excluded.price !== undefined) return here(`Prices for ${model} rose above the agreed limit`);
  if (excluded.draining !== undefined) return here(`Workers with ${model} are leaving`);
  // Another hub may have whom these name, so it is asked as well.
  if (excluded.include !== undefined) {
    return here(`No worker with ${model} is among those that octo.include names`);
  }
  if (excluded.exclude !== undefined) {
    return here(`All workers with ${model} are among those that octo.exclude names`);
  }
  if (excluded.reputation !== undefined || excluded.region !== undefined) {
    return here(`No worker with ${model} is where, or as reputed as, octo demands`);
  }
  if (excluded.context !== undefined) {
    const asked = `${task.completionTokensMax} tokens`;
    return {
      code: "context_length_exceeded",
      message: `Cannot serve ${asked}: no worker with ${model} has that much context`,
      param: "max_tokens",
    };
  }
  if (excluded.quantization !== undefined || excluded.identity !== undefined) {
    const message = `No worker with ${model} has the weights that octo demands`;
    return { code: "unsupported_parameter", message, param: "octo" };
  }
  if (excluded.ability !== undefined) {
    return {
      code: "unsupported_parameter",
      message: `No worker with ${model} can do all of: ${task.demands.join(", ")}`,
      param: null,
    };
  }
  // Whoever is left out for being a stranger's might do for a task that is paid for.
  if (excluded.own !== undefined) return here(`No worker of your own offers ${model} here`);
  return {
    code: "model_not_found",
    message: `No worker offers the model ${model} for ${task.class} tasks`,
    param: "model",
  };
}
