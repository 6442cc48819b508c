import type { Finish, OutputPart, Usage } from "../../shared/openai/output.ts";
import type { SignedReceipt } from "../../shared/protocol/receipt.ts";
import type {
  TaskAccept,
  TaskDelta,
  TaskEnd,
  TaskFail,
  TaskOffer,
  TaskRefuse,
} from "../../shared/protocol/task.ts";
import type { EngineErrorCode, EngineTask } from "../engine/engine.ts";

/**
 * What one attempt knows, is told and asks for. `attempt-state.ts` is the function between them;
 * `task-runner.ts` performs the effects.
 */

/** Why an engine was told to stop: what is sent when it has. */
export type Halt = "cancelled" | "lost" | "stopped";

/** How the answer ended, once the engine has said so. */
export interface Ending {
  readonly outcome: "complete" | "cancelled";
  readonly finishes: readonly Finish[];
  readonly usage: Usage;
}

export type AttemptPhase =
  /** The body comes in parts. */
  | { readonly kind: "gathering"; readonly parts: number }
  /** The engine runs. `isPulling` while its next event is awaited. */
  | { readonly kind: "running"; readonly isPulling: boolean; readonly halt: Halt | null }
  /** The engine has ended, and output waits for the window. */
  | { readonly kind: "emptying"; readonly ending: Ending }
  /** The receipt is being signed. `isLost` when nobody is there any more to send it to. */
  | {
      readonly kind: "sealing";
      readonly ending: Ending;
      readonly parts: readonly OutputPart[];
      readonly isLost: boolean;
    }
  | { readonly kind: "over" };

export interface AttemptState {
  readonly offer: TaskOffer;
  readonly paceMs: number;
  readonly startedMs: number;
  readonly phase: AttemptPhase;
  /** The consumer's request as far as it has come. */
  readonly body: string;
  /** The answer to go on from, as JSON text, as far as it has come; empty where there is none. */
  readonly prefix: string;
  /** Output that waits to be sent. */
  readonly gathered: readonly OutputPart[];
  readonly gatheredBytes: number;
  /** Bytes of output that may still be sent. */
  readonly windowBytes: number;
  /** The next frame's number. */
  readonly seq: number;
  readonly sentTokens: number;
  readonly firstSentMs: number | null;
  readonly lastSentMs: number;
  readonly isTimerSet: boolean;
}

export type AttemptEvent =
  | { readonly kind: "begin" }
  | { readonly kind: "body"; readonly part: number; readonly text: string }
  /** The engine's next event, after `pull`. */
  | { readonly kind: "part"; readonly part: OutputPart }
  | { readonly kind: "ended"; readonly finishes: readonly Finish[]; readonly usage: Usage }
  | {
      readonly kind: "failed";
      readonly code: EngineErrorCode;
      readonly message: string;
      /** How long the engine asked to be left alone, where it did. */
      readonly retryAfterMs?: number | null;
    }
  /** The hub: more may be sent; stop. */
  | { readonly kind: "window"; readonly bytes: number }
  | { readonly kind: "cancel" }
  /** The socket is gone. */
  | { readonly kind: "lost" }
  /** The worker is leaving and its patience is over. */
  | { readonly kind: "stop" }
  /** The pace's timer has fired. */
  | { readonly kind: "pace" }
  /** The hub has said with a newer offer how long output may be gathered now. */
  | { readonly kind: "paced"; readonly paceMs: number }
  | { readonly kind: "sealed"; readonly signed: SignedReceipt };

export type AttemptFrame = TaskAccept | TaskRefuse | TaskDelta | TaskEnd | TaskFail;

/** A receipt without its hashes and its signature, which take time. */
export interface ReceiptDraft {
  readonly body: string;
  /** The text that was gone on from, or null where the attempt began the answer. */
  readonly prefixText: string | null;
  /**
   * The parts of `task.end`: they belong to the transcript behind those of every `task.delta` sent.
   */
  readonly parts: readonly OutputPart[];
  readonly outcome: "complete" | "cancelled";
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly startedMs: number;
  readonly firstTokenMs: number | null;
  readonly endedMs: number;
}

export type AttemptOutcome = "complete" | "cancelled" | "failed" | "refused" | "lost" | "stopped";

export interface AttemptSummary {
  readonly attempt: string;
  readonly model: string;
  readonly outcome: AttemptOutcome;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly startedMs: number;
  readonly firstTokenMs: number | null;
  readonly endedMs: number;
}

export type AttemptEffect =
  | { readonly kind: "send"; readonly frame: AttemptFrame }
  /** Make the engine ready to run `task`; `pull` follows. */
  | { readonly kind: "generate"; readonly task: EngineTask }
  /** Ask the engine for one more event: `part`, `ended` or `failed`. */
  | { readonly kind: "pull" }
  /** Tell the engine to stop; it still ends by an event. */
  | { readonly kind: "halt" }
  /** Fire `pace` at `atMs`; null takes it back. */
  | { readonly kind: "set-timer"; readonly atMs: number | null }
  /** Hash, sign, then `sealed`. */
  | { readonly kind: "seal"; readonly draft: ReceiptDraft }
  /** Keep the receipt on the disk until the hub acknowledges it. */
  | { readonly kind: "keep"; readonly ticket: string; readonly signed: SignedReceipt }
  | { readonly kind: "over"; readonly summary: AttemptSummary };

export interface AttemptStep {
  readonly state: AttemptState;
  readonly effects: readonly AttemptEffect[];
}
