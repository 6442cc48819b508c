import type { HubEffect, HubEvent } from "../../../edge/hub/hub-state.ts";

/** A hub's event in a few words, for the trace. */
export function describeEvent(event: HubEvent): string {
  if (event.kind === "frame") {
    const { frame } = event;
    const what = "attempt" in frame ? ` ${frame.attempt}` : "";
    const seq = "seq" in frame ? ` seq ${frame.seq}` : "";
    return `${event.sessionId} ${frame.type}${what}${seq}`;
  }
  if (event.kind === "task.submitted") return `${event.kind} ${event.task.id}`;
  const named = "taskId" in event ? event.taskId : "sessionId" in event ? event.sessionId : "";
  return `${event.kind} ${named}`;
}

/** What followed from it. */
export function describeEffect(effect: HubEffect): string {
  switch (effect.kind) {
    case "send":
      return `${effect.frame.type}${"attempt" in effect.frame ? ` ${effect.frame.attempt}` : ""}`;
    case "close":
      return `close ${effect.sessionId} ${effect.close} (${effect.reason})`;
    case "ended": {
      const { ending } = effect;
      const why = ending.kind === "failed" ? ` ${ending.code}: ${ending.message}` : "";
      return `ended ${ending.entry.task.id} ${ending.kind}${why}`;
    }
    default:
      return effect.kind;
  }
}
