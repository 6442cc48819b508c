import type { SessionNotice, SessionState } from "../connection/session.ts";
import type { Engine } from "../engine/engine.ts";
import type { AttemptSummary } from "../tasks/attempt.ts";
import { version } from "../version.ts";
import type { AgentStatus } from "./status-file.ts";

export interface BoardOptions {
  readonly worker: string;
  readonly edge: string;
  readonly engines: readonly { readonly name: string; readonly engine: Engine }[];
}

/** Counts what a worker has done, for its status. */
export class StatusBoard {
  readonly #options: BoardOptions;
  readonly #startedMs = Date.now();
  #hub: string | null = null;
  #refusalsByModel = new Map<string, string>();
  #tasks = { complete: 0, cancelled: 0, failed: 0 };
  #promptTokens = 0;
  #completionTokens = 0;

  constructor(options: BoardOptions) {
    this.#options = options;
  }

  notice(notice: SessionNotice): void {
    if (notice.kind === "connected") this.#hub = notice.hub;
    if (notice.kind !== "listed") return;
    const refused = notice.result.refused.map(({ model, reason }) => [model, reason] as const);
    this.#refusalsByModel = new Map(refused);
  }

  attempt(summary: AttemptSummary): void {
    if (summary.outcome === "refused") return;
    const { outcome } = summary;
    this.#tasks[outcome === "complete" || outcome === "cancelled" ? outcome : "failed"] += 1;
    this.#promptTokens += summary.promptTokens;
    this.#completionTokens += summary.completionTokens;
  }

  status(session: SessionState, pendingReceipts: number): AgentStatus {
    const serving = session.phase.kind === "serving" ? session.phase : null;
    const running = [...session.modelsByAttempt.values()];
    return {
      version,
      worker: this.#options.worker,
      edge: this.#options.edge,
      connection: session.phase.kind,
      region: serving?.welcome.region ?? null,
      hub: serving === null ? null : this.#hub,
      account: serving?.welcome.account ?? null,
      draining: session.drain !== null,
      models: this.#options.engines.map(({ name, engine }) => ({
        name,
        context_tokens: engine.model.contextTokens,
        quantization: engine.model.quantization,
        slots: engine.model.slots,
        running: running.filter((model) => model === name).length,
        listed: serving?.listed?.includes(name) ?? false,
        refused: this.#refusalsByModel.get(name) ?? null,
      })),
      tasks: { ...this.#tasks },
      prompt_tokens: this.#promptTokens,
      completion_tokens: this.#completionTokens,
      pending_receipts: pendingReceipts,
      started_ms: this.#startedMs,
      updated_ms: Date.now(),
    };
  }
}
