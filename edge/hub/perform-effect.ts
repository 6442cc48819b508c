import { assertNever } from "../../shared/assert.ts";
import type { CloseName } from "../../shared/protocol/close-codes.ts";
import type { Answers } from "./answers/answers.ts";
import type { HubEffect } from "./hub-state.ts";
import type { Presence } from "./sessions/presence.ts";
import type { Settler } from "./settling/settler.ts";
import type { WorkerSockets } from "./sessions/worker-sockets.ts";

/** The hands of a hub. */
export interface HubParts {
  readonly sockets: WorkerSockets;
  readonly answers: Answers;
  readonly settler: Settler;
  readonly presence: Presence;
  readonly close: (sessionId: string, name: CloseName, reason: string) => void;
  readonly takeReceipts: (effect: Extract<HubEffect, { kind: "receipts.submitted" }>) => void;
}

/** Does what the rules of step-hub.ts have decided. */
export function performEffect(parts: HubParts, effect: HubEffect, nowMs: number): void {
  switch (effect.kind) {
    case "send": {
      const socket = parts.sockets.bySessionId(effect.sessionId);
      if (socket !== null) parts.sockets.send(socket, effect.frame);
      return;
    }
    case "close":
      parts.close(effect.sessionId, effect.close, effect.reason);
      return;
    case "started":
      parts.answers.start(effect.attempt, nowMs);
      return;
    case "deliver":
      parts.answers.deliver(effect.taskId, effect.parts);
      return;
    case "ended":
      parts.answers.end(effect.ending);
      parts.settler.settle(effect.ending);
      return;
    case "listed":
      parts.presence.listed(effect.session);
      return;
    case "measured":
      parts.presence.measured(effect.session);
      return;
    case "unlisted":
      parts.presence.left(effect.session);
      return;
    case "receipts.submitted":
      parts.takeReceipts(effect);
      return;
    default:
      assertNever(effect);
  }
}
