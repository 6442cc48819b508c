import type { SessionNotice, SessionState } from "../connection/session.ts";
import type { ListingResult } from "../../shared/protocol/listing.ts";
import type { Availability } from "../serving/availability.ts";
import type { ModelView } from "../serving/serving.ts";
import type { AttemptSummary } from "../tasks/attempt.ts";
import type { ServedEngine, UnservedModel } from "../tasks/open-engines.ts";
import { version } from "../version.ts";
import type { Tally } from "./day-tally.ts";
import { endingOf } from "./day-tally.ts";
import { RateMeter } from "./rate-meter.ts";
import type { AgentStatus, ModelStatus } from "./status-file.ts";
import { statusVersion } from "./status-file.ts";

export interface BoardOptions {
  readonly worker: string;
  readonly edge: string;
  readonly engines: readonly ServedEngine[];
  readonly unserved: readonly UnservedModel[];
}

/** What the board does not count itself. */
export interface BoardReadings {
  readonly session: SessionState;
  readonly pendingReceipts: number;
  readonly availability: Availability;
  readonly view: (model: string) => ModelView;
  readonly today: Tally;
}

/** Enough to see whether a line is bad; a day of a bad one would be thousands. */
const connectionsKept = 16;

interface Counts {
  readonly rate: RateMeter;
  tasks: { complete: number; cancelled: number; failed: number };
}

/** Counts what a worker has done, for its status. */
export class StatusBoard {
  readonly #options: BoardOptions;
  readonly #startedMs = Date.now();
  readonly #countsByModel = new Map<string, Counts>();
  #hub: string | null = null;
  #connectedMs: number | null = null;
  #connections: AgentStatus["connections"] = [];
  /** What the edge last said of the listings. */
  #result: Pick<ListingResult, "refused" | "checking" | "struck"> = { refused: [] };
  #promptTokens = 0;
  #completionTokens = 0;

  constructor(options: BoardOptions) {
    this.#options = options;
    for (const { name } of options.engines) {
      const tasks = { complete: 0, cancelled: 0, failed: 0 };
      this.#countsByModel.set(name, { rate: new RateMeter(), tasks });
    }
  }

  notice(notice: SessionNotice): void {
    const at_ms = Date.now();
    if (notice.kind === "connected") {
      this.#hub = notice.hub;
      this.#connectedMs = at_ms;
      this.#keep({ at_ms, kind: "connected", detail: notice.hub, code: null });
    }
    if (notice.kind === "disconnected") {
      const { code, reason } = notice;
      const detail = reason === "" ? "the connection broke" : reason;
      this.#connectedMs = null;
      this.#keep({ at_ms, kind: "disconnected", detail, code });
    }
    if (notice.kind === "listed") this.#result = notice.result;
  }

  /** An engine has made so many tokens just now. */
  made(model: string, tokens: number): void {
    this.#countsByModel.get(model)?.rate.add(tokens, performance.now());
  }

  attempt(summary: AttemptSummary): void {
    const ending = endingOf(summary);
    if (ending === null) return;
    const counts = this.#countsByModel.get(summary.model);
    if (counts !== undefined) counts.tasks[ending] += 1;
    this.#promptTokens += summary.promptTokens;
    this.#completionTokens += summary.completionTokens;
  }

  status(readings: BoardReadings): AgentStatus {
    const { session, availability } = readings;
    const serving = session.phase.kind === "serving" ? session.phase : null;
    const models = this.#options.engines.map((served) => this.#model(served, readings));
    const tasks = { complete: 0, cancelled: 0, failed: 0 };
    for (const { tasks: own } of this.#countsByModel.values()) {
      for (const ending of ["complete", "cancelled", "failed"] as const) {
        tasks[ending] += own[ending];
      }
    }
    const rate = models.reduce((sum, model) => sum + model.tokens_per_s, 0);
    return {
      v: statusVersion,
      version,
      pid: process.pid,
      worker: this.#options.worker,
      edge: this.#options.edge,
      connection: session.phase.kind,
      region: serving?.welcome.region ?? null,
      hub: serving === null ? null : this.#hub,
      account: serving?.welcome.account ?? null,
      connected_ms: serving === null ? null : this.#connectedMs,
      connections: this.#connections,
      draining: session.drain !== null,
      availability: availabilityStatus(availability),
      no_work: this.#whyNoWork(readings, models),
      models,
      unserved: this.#options.unserved.map(({ name, reason }) => ({ name, reason })),
      tasks,
      prompt_tokens: this.#promptTokens,
      completion_tokens: this.#completionTokens,
      tokens_per_s: Math.round(rate * 10) / 10,
      today: readings.today,
      pending_receipts: readings.pendingReceipts,
      rss_bytes: process.memoryUsage.rss(),
      started_ms: this.#startedMs,
      updated_ms: Date.now(),
    };
  }

  #keep(event: AgentStatus["connections"][number]): void {
    this.#connections = [...this.#connections, event].slice(-connectionsKept);
  }

  #model({ name, engine, speed }: ServedEngine, readings: BoardReadings): ModelStatus {
    const { session } = readings;
    const { health, isLoaded, notOffered } = readings.view(name);
    const stats = engine.stats();
    const counts = this.#countsByModel.get(name);
    const serving = session.phase.kind === "serving" ? session.phase : null;
    const { checking = [], struck = [] } = this.#result;
    const isKnown = serving?.listed?.includes(name) ?? false;
    const listed = isKnown && !checking.includes(name);
    return {
      name,
      engine: engine.kind,
      context_tokens: engine.model.contextTokens,
      quantization: engine.model.quantization,
      slots: engine.model.slots,
      running: [...session.modelsByAttempt.values()].filter((model) => model === name).length,
      waiting: stats.waiting,
      listed,
      not_listed: listed ? null : (notOffered ?? this.#whyNotListed(name, serving !== null)),
      struck: struck
        .filter(({ model }) => model === name)
        .map(({ ability, reason }) => ({ ability, reason })),
      health: health.kind,
      loaded: isLoaded,
      memory_bytes: stats.memoryBytes,
      tokens_per_s: counts?.rate.perSecond(performance.now()) ?? 0,
      declared_speed: speed,
      tasks: { ...(counts?.tasks ?? { complete: 0, cancelled: 0, failed: 0 }) },
    };
  }

  #whyNotListed(name: string, isServing: boolean): string {
    if (!isServing) return "The worker is not connected";
    const { refused, checking = [] } = this.#result;
    if (checking.includes(name)) return "The edge is checking what it can do";
    const refusal = refused.find(({ model }) => model === name);
    return refusal === undefined
      ? "The edge has not answered yet"
      : `The edge refused: ${refusal.reason}`;
  }

  #whyNoWork(readings: BoardReadings, models: readonly ModelStatus[]): string | null {
    const { session, availability } = readings;
    if (session.drain !== null) return "The worker is leaving";
    if (availability.kind === "closed") return availability.reason;
    if (session.phase.kind !== "serving") {
      const last = this.#connections.findLast(({ kind }) => kind === "disconnected");
      return last === undefined
        ? "The worker is connecting"
        : `The worker is not connected: ${last.detail}`;
    }
    if (models.some(({ listed }) => listed)) return null;
    const [first] = models;
    return `No model is listed: ${first?.not_listed ?? "there is none"}`;
  }
}

function availabilityStatus(availability: Availability): AgentStatus["availability"] {
  if (availability.kind === "open") return { kind: "open", since_ms: availability.sinceMs };
  const { cause, reason, sinceMs, untilMs } = availability;
  return { kind: "closed", cause, reason, since_ms: sinceMs, until_ms: untilMs };
}
