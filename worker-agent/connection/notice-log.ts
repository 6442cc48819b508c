import type { Log } from "../../shared/log.ts";
import { closeCodes } from "../../shared/protocol/close-codes.ts";
import type { SessionNotice } from "./session.ts";

/** Says what happens to the connection, one line each. */
export function logNotice(log: Log, edge: string, notice: SessionNotice): void {
  switch (notice.kind) {
    case "dialling":
      return log("debug", "Dialling the edge", { edge });
    case "connected": {
      const { region, account, epoch } = notice.welcome;
      return log("info", "Connected", { edge, hub: notice.hub, region, account, epoch });
    }
    case "listed": {
      const { listed, refused, checking = [], struck = [] } = notice.result;
      const ready = listed.filter((model) => !checking.includes(model));
      if (checking.length > 0) log("info", "Being checked", { models: checking.join(", ") });
      if (ready.length > 0) log("info", "Listed", { models: ready.join(", ") });
      for (const { model, ability, reason } of struck) {
        log("warn", "Listed without an ability", { model, ability, reason });
      }
      for (const { model, reason } of refused) log("warn", "Refused to list", { model, reason });
      return;
    }
    case "offer-refused":
      return log("warn", "Refused an offer", { attempt: notice.attempt, reason: notice.reason });
    case "disconnected": {
      const { code, reason, retryMs } = notice;
      const message = code === closeCodes.refused ? "Refused by the edge" : "Disconnected";
      return log("warn", message, {
        reason: reason === "" ? "the connection broke" : reason,
        code,
        ...(retryMs === null ? {} : { retry_s: Math.round(retryMs / 100) / 10 }),
      });
    }
    case "draining":
      return log("info", "Leaving once running answers have ended", { running: notice.attempts });
  }
}
