import type { ErrorCode } from "../../shared/errors.ts";
import type { Finish, OutputPart } from "../../shared/openai/output.ts";
import type { Price, TokenCounts } from "../../shared/money.ts";
import type { CloseName } from "../../shared/protocol/close-codes.ts";
import type { DownFrame, UpFrame } from "../../shared/protocol/frames.ts";
import type { Hardware, Listing } from "../../shared/protocol/listing.ts";
import { OutputTranscript, type SignedReceipt } from "../../shared/protocol/receipt.ts";
import type { Region } from "../../shared/regions.ts";
import type { AttemptRecord, CountersignedReceipt, TaskRecord } from "../billing/closing.ts";
import type { InferenceTask } from "../inference/task.ts";
import type { Delivered, Share } from "./attempts/continue-answer.ts";
import { createFirstTokenTimes, type FirstTokenTimes } from "./attempts/first-token-times.ts";
import type { HubConfig } from "./hub-config.ts";
import type { KeptFacts } from "./routing/candidate-facts.ts";
import type { RouteExplanation } from "./routing/route-explanation.ts";
import type { Moving } from "./sessions/move-workers.ts";
import type { Preflight } from "./vetting/preflight-state.ts";
import type { Vetting } from "./vetting/vetting.ts";
import type { WorkerMemory } from "./sessions/worker-memory.ts";

/**
 * The state of one hub, and the words its reducer speaks. Invariants, checked by the simulation
 * after every event:
 * H1. A task is in exactly one place: waiting, on an attempt (and perhaps a rival beside it, until
 *     one of them has output), or gone; it leaves exactly once, by one `ended` effect.
 * H2. A session never has more open attempts than it granted credits for.
 * H3. A frame counts only on its own session, for an open attempt, with the next sequence number.
 * H4. Output reaches a consumer from one attempt at a time: once `started`, a lost worker's answer
 *     is continued from exactly what was delivered (continue-answer.ts), or ends with an error.
 * H5. Billed tokens are at most what was delivered (in bytes), what was agreed (the limit) and what
 *     the worker claims.
 * H6. Memory is bounded: sessions, waiting tasks, the bodies of all tasks together, and the output
 *     of a task all have a maximum.
 */
export interface HubState {
  readonly config: HubConfig;
  readonly sessions: Map<string, Session>;
  readonly sessionIdByWorkerId: Map<string, string>;
  /** Tasks in order of arrival; a task put back after a lost attempt goes first. */
  waiting: TaskEntry[];
  readonly tasks: Map<string, TaskEntry>;
  /** Characters that the bodies of consumers' tasks have together. */
  bodiesChars: number;
  readonly attempts: Map<string, Attempt>;
  /** How long first tokens take, by the weights that make them. */
  readonly firstTokens: FirstTokenTimes;
  /** How long an answer takes on average, by model, the least recently seen first. */
  readonly taskMsByModel: Map<string, number>;
  /** The listing of each session that is being probed. */
  readonly preflights: Map<string, Preflight>;
  /** Its workers are being sent elsewhere; null where they stay. */
  moving: Moving | null;
}

/** A proven worker on a socket. */
export interface Session {
  readonly id: string;
  readonly workerId: string;
  readonly accountId: string;
  readonly region: Region;
  /** From the hub's challenge to the worker's proof; null where the hub did not measure it. */
  readonly roundTripMs: number | null;
  /** The version of the protocol it speaks. */
  readonly version: number;
  readonly epoch: number;
  /** What it may be asked for: claims that probes have borne out. */
  listings: readonly Listing[];
  /** The rest of what it claims. */
  readonly vetting: Vetting;
  /** Its machine, by its own word. */
  hardware: Hardware | null;
  revision: number;
  credits: number;
  draining: boolean;
  /** The model each open attempt runs on. */
  readonly modelsByAttempt: Map<string, string>;
  /** What is known of it from before and from now. */
  readonly memory: WorkerMemory;
  /** When what was measured of it was last told. */
  measuredMs: number;
  /** Its last slot went to a probe: the next one is for a task that waits. */
  probedLast: boolean;
  /** What candidate-facts.ts keeps of the rest; null before anybody asked. */
  facts: KeptFacts | null;
}

/** A session as it is kept and brought back: idle. */
export type SessionRecord = Omit<
  Session,
  "modelsByAttempt" | "measuredMs" | "probedLast" | "facts"
>;

/** How an attempt ended that gave no answer. */
export interface Loss {
  /** `lost: …` where the worker itself is gone, `left: …` where it had said goodbye. */
  readonly outcome: string;
  /** A sentence for the consumer. */
  readonly message: string;
  readonly countsAsFailure: boolean;
  /** How long its engine asked to be left alone, where it did. */
  readonly retryAfterMs?: number | null;
  /** It says nothing of its worker, or that has been noted already. */
  readonly isWorkerKnown?: boolean;
  /** The same worker may be asked again: what it was asked for was wrong. */
  readonly mayBeAsked?: boolean;
}

export interface TaskEntry {
  readonly task: InferenceTask;
  /** The preflight it is a probe of; null for a consumer's task. */
  readonly probe: Preflight | null;
  /** Sessions that failed or refused this task: not asked again. */
  readonly triedSessionIds: Set<string>;
  readonly records: AttemptRecord[];
  attempt: Attempt | null;
  /** A second attempt beside it: whichever has output first is the only one from then on. */
  rival: Attempt | null;
  attemptNumber: number;
  failures: number;
  /** How its last attempt here ended without an answer; null before. */
  lastLoss: Loss | null;
  placeByMs: number;
  /** Output has left for the consumer: from here on no other worker may begin the answer. */
  started: boolean;
  /** The response has begun before any output: this hub has the last word on the task. */
  told: boolean;
  /** What left of attempts that were lost: the next one goes on from it. */
  delivered: Delivered | null;
  route: RouteExplanation | null;
}

export interface Attempt {
  readonly id: string;
  readonly number: number;
  readonly entry: TaskEntry;
  readonly session: Session;
  readonly listing: Listing;
  readonly startedMs: number;
  /** Why this worker. */
  readonly route: RouteExplanation | null;
  /** It broke the rules of the wire: nothing of it is paid. */
  isBreached: boolean;
  /** What it goes on from; null where it begins the answer. */
  readonly prefixText: string | null;
  /** When the first byte of its output came. */
  firstTokenMs: number | null;
  lastFrameMs: number;
  seqNext: number;
  readonly transcript: OutputTranscript;
  /** Parts held until the end where the consumer asked for a whole answer. */
  readonly held: OutputPart[];
  grantedBytes: number;
  /** Bytes of memory that all its parts have taken, roughly. */
  memoryBytes: number;
  cancelledMs: number | null;
  /** Its consumer did not read for a while, so its pace is not the worker's. */
  wasHeldUp: boolean;
  /** UTF-8 bytes that had come when the consumer left: what comes later is nobody's to pay for. */
  bytesAtCancel: number | null;
}

export type HubEvent =
  | {
      readonly kind: "session.opened";
      readonly sessionId: string;
      readonly workerId: string;
      readonly accountId: string;
      readonly region: Region;
      readonly version: number;
      readonly epoch: number;
      readonly roundTripMs?: number;
      readonly memory?: WorkerMemory;
    }
  /**
   * After hibernation: what a socket's attachment and the hub's storage remember of an idle
   * session.
   */
  | {
      readonly kind: "session.restored";
      readonly session: SessionRecord;
    }
  | { readonly kind: "session.closed"; readonly sessionId: string; readonly reason: string }
  | { readonly kind: "frame"; readonly sessionId: string; readonly frame: UpFrame }
  | { readonly kind: "task.submitted"; readonly task: InferenceTask }
  | { readonly kind: "consumer.gone"; readonly taskId: string }
  /** The response has begun though no output has come: the front Worker asks no other hub. */
  | { readonly kind: "consumer.told"; readonly taskId: string }
  /** The consumer has read: what was granted may be granted again. */
  | { readonly kind: "consumer.reads"; readonly taskId: string }
  /** All workers shall go elsewhere, the idle ones now. */
  | { readonly kind: "hub.moves"; readonly moving: Moving }
  /**
   * Time has passed. The workers of `unread` tasks are silent because they must be: their consumers
   * have not read what is there.
   */
  | { readonly kind: "tick"; readonly unread?: ReadonlySet<string> };

/** How a task left the hub. `counts` is what may be billed. */
export type TaskEnding = {
  readonly entry: TaskEntry;
  readonly endedMs: number;
} & (
  | {
      readonly kind: "answered" | "cancelled";
      readonly attempt: Attempt;
      readonly finishes: readonly Finish[];
      /** Of the whole answer, whoever made it. */
      readonly counts: TokenCounts;
      /** Who made the answer, in order: their counts add up to `counts`. */
      readonly shares: readonly Share[];
      /** Null where a cancelled worker never sent one. */
      readonly receipt: SignedReceipt | null;
    }
  | {
      readonly kind: "failed";
      readonly code: ErrorCode;
      readonly message: string;
      readonly param: string | null;
      readonly retryAfterS: number | null;
    }
);

export type HubEffect =
  | { readonly kind: "send"; readonly sessionId: string; readonly frame: DownFrame }
  | {
      readonly kind: "close";
      readonly sessionId: string;
      readonly close: CloseName;
      readonly reason: string;
    }
  /** The first output of a streamed task: its response can begin. */
  | { readonly kind: "started"; readonly attempt: Attempt }
  | { readonly kind: "deliver"; readonly taskId: string; readonly parts: readonly OutputPart[] }
  | { readonly kind: "ended"; readonly ending: TaskEnding }
  /** The session's listings changed: tell the registry and remember it for waking up. */
  | { readonly kind: "listed"; readonly session: Session }
  | { readonly kind: "unlisted"; readonly session: Session }
  /** What was measured of the session has changed for a while. */
  | { readonly kind: "measured"; readonly session: Session }
  | {
      readonly kind: "receipts.submitted";
      readonly sessionId: string;
      readonly frame: Extract<UpFrame, { type: "receipt.submit" }>;
    };

export function createHubState(config: HubConfig): HubState {
  return {
    config,
    sessions: new Map(),
    sessionIdByWorkerId: new Map(),
    waiting: [],
    tasks: new Map(),
    bodiesChars: 0,
    attempts: new Map(),
    firstTokens: createFirstTokenTimes(),
    taskMsByModel: new Map(),
    preflights: new Map(),
    moving: null,
  };
}

export function createTaskEntry(
  task: InferenceTask,
  placeByMs: number,
  probe: Preflight | null = null,
): TaskEntry {
  return {
    task,
    probe,
    triedSessionIds: new Set(),
    records: [...task.earlierAttempts],
    attempt: null,
    rival: null,
    attemptNumber: task.attemptsBefore,
    failures: 0,
    lastLoss: null,
    placeByMs,
    started: false,
    told: false,
    delivered: null,
    route: null,
  };
}

/**
 * How many more tasks of one listing a session takes now. A credit is for any model of the worker;
 * each of them runs no more at once than it lists.
 */
export function freeSlotsOf(session: Session, listing: Listing): number {
  const { credits, modelsByAttempt } = session;
  // However many of them run this model, there are slots for all its credits.
  if (credits <= listing.slots - modelsByAttempt.size) return Math.max(0, credits);
  let running = 0;
  for (const model of modelsByAttempt.values()) running += model === listing.model ? 1 : 0;
  return Math.max(0, Math.min(credits, listing.slots - running));
}

export function priceOf(listing: Listing): Price {
  return {
    inputMicrosPerMillion: listing.input_micros_per_million,
    outputMicrosPerMillion: listing.output_micros_per_million,
  };
}

/** What is remembered of a task that ended here. */
export function recordOf(ending: TaskEnding, receipt: CountersignedReceipt | null): TaskRecord {
  const { entry } = ending;
  const attempt = ending.kind === "failed" ? null : ending.attempt;
  const finish = ending.kind === "answered" ? (ending.finishes[0]?.reason ?? "stop") : ending.kind;
  return {
    digest: attempt?.listing.digest ?? null,
    class: entry.task.class,
    finish,
    errorCode: ending.kind === "failed" ? ending.code : null,
    route: entry.route === null ? null : JSON.stringify(entry.route),
    firstTokenMs: entry.delivered?.first.firstTokenMs ?? attempt?.firstTokenMs ?? null,
    endedMs: ending.endedMs,
    attempts: entry.records,
    receipt,
  };
}

/** Whether free slots, listings or sessions may be others after this event. */
export function changesDigest({ kind }: HubEvent): boolean {
  return kind !== "tick" && !kind.startsWith("consumer.");
}
