import type { InferenceTask } from "../../inference/task.ts";
import type { Choice } from "./choose-worker.ts";
import type { StepContext } from "../attempts/end-task.ts";
import { createTaskEntry, type HubState } from "../hub-state.ts";
import { chooseFor } from "../attempts/place-task.ts";
import type { RouteExplanation } from "./route-explanation.ts";

/** What would become of a task, as it crosses an RPC: without the session itself. */
export type Prospect =
  | { readonly kind: "chosen"; readonly route: RouteExplanation }
  | Exclude<Choice, { kind: "chosen" }>;

/** What would become of a task that came now. Changes nothing. */
export function prospectOf(
  state: HubState,
  task: InferenceTask,
  { nowMs, random }: Pick<StepContext, "nowMs" | "random">,
): Prospect {
  const step: StepContext = { nowMs, random, effects: [], probed: [] };
  const choice = chooseFor(state, createTaskEntry(task, nowMs), step);
  if (choice.kind === "chosen") return { kind: "chosen", route: choice.route };
  // Whoever rests after failures is busy, as far as a consumer can tell.
  return choice.kind === "resting" ? { ...choice, kind: "busy" } : choice;
}
