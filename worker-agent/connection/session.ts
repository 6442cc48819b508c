import type { AuthChallenge, AuthWelcome } from "../../shared/protocol/handshake.ts";
import type { Hardware, Listing, ListingResult } from "../../shared/protocol/listing.ts";
import type { DownFrame, UpFrame } from "../../shared/protocol/frames.ts";
import type { TaskBody, TaskCancel, TaskOffer, TaskWindow } from "../../shared/protocol/task.ts";

/**
 * What the worker's side of the conversation with a hub knows, is told and asks for.
 * `session-state.ts` is the function between them; `connection.ts` performs the effects.
 */

/** What stays the same for the life of the process. */
export interface SessionSettings {
  /** The worker's public key. */
  readonly worker: string;
  /** `octo-worker/0.1.0`: printable ASCII, at most 64 characters. */
  readonly agent: string;
  readonly account: string | null;
  /** `new URL(edge).origin`, which the proof covers. */
  readonly origin: string;
  /**
   * Whether the edge is dialled on this machine: with network "local", the only place synthetic
   * answers may go.
   */
  readonly isLoopback: boolean;
  /** Everything this worker can ever offer, and what it offers first. */
  readonly listings: readonly Listing[];
  /** The machine it runs on, where it was looked at. */
  readonly hardware?: Hardware;
  /** How long running attempts may take to end once the worker is leaving. */
  readonly drainMs: number;
}

export type SessionTimer = "handshake" | "heartbeat" | "retry" | "submit" | "drain";

/** Who is asked to prove what: kept between the challenge and the signature. */
export interface Proving {
  readonly challenge: AuthChallenge;
  readonly version: number;
  readonly message: string;
}

export interface Serving {
  readonly kind: "serving";
  readonly welcome: AuthWelcome;
  readonly sinceMs: number;
  readonly heardMs: number;
  /**
   * The models the hub lists and the worker still offers, or null before the hub has answered.
   */
  readonly listed: readonly string[] | null;
  /** Slots granted and not used up by an offer yet. */
  readonly credits: number;
}

export type SessionPhase =
  | { readonly kind: "idle" }
  | { readonly kind: "dialling" }
  | { readonly kind: "greeted" }
  | { readonly kind: "proving"; readonly proving: Proving }
  | { readonly kind: "proved"; readonly hub: string }
  | Serving
  | { readonly kind: "waiting" }
  | { readonly kind: "stopped"; readonly stop: SessionStop };

/** Why the conversation is over for good. */
export type SessionStop =
  | { readonly kind: "drained" }
  | { readonly kind: "aborted" }
  | { readonly kind: "final"; readonly reason: string };

/**
 * Leaving: first attempts end by themselves, at the limit they are stopped, then receipts are made
 * safe.
 */
export type DrainStage = "attempts" | "stopping" | "receipts";

export interface SessionState {
  readonly settings: SessionSettings;
  readonly phase: SessionPhase;
  /**
   * The model of every attempt that still holds a slot, by attempt. They may outlive their socket.
   */
  readonly modelsByAttempt: ReadonlyMap<string, string>;
  /** What the worker offers now. */
  readonly listings: readonly Listing[];
  /** The revision of the last listing published. */
  readonly revision: number;
  /** Sessions in a row that failed early. */
  readonly failures: number;
  /** The hub that last let it in, and knows it; null where there is none to go back to. */
  readonly hub: string | null;
  readonly drain: DrainStage | null;
}

export type SessionEvent =
  | { readonly kind: "start" }
  | { readonly kind: "opened" }
  /** Anything came from the hub, a pong included: it lives. */
  | { readonly kind: "heard" }
  | { readonly kind: "frame"; readonly frame: DownFrame }
  /** What came could not be understood; `code` is the close code that says so. */
  | { readonly kind: "broken"; readonly code: number; readonly reason: string }
  | { readonly kind: "closed"; readonly code: number; readonly reason: string }
  | { readonly kind: "signed"; readonly message: string; readonly signature: string }
  | { readonly kind: "timer"; readonly timer: SessionTimer }
  /** Some frames of receipts went out; `left` receipts are still to be submitted. */
  | { readonly kind: "submitted"; readonly left: number }
  /** What the worker offers from now on, in place of what it offered before. */
  | { readonly kind: "listings"; readonly listings: readonly Listing[] }
  /** An attempt gave its slot back, however it ended. */
  | { readonly kind: "attempt-over"; readonly attempt: string }
  | { readonly kind: "drain" }
  | { readonly kind: "flushed" }
  | { readonly kind: "abort" };

/** What the people watching a worker are told. */
export type SessionNotice =
  | { readonly kind: "dialling" }
  | { readonly kind: "connected"; readonly welcome: AuthWelcome; readonly hub: string }
  | { readonly kind: "listed"; readonly result: ListingResult }
  | { readonly kind: "offer-refused"; readonly attempt: string; readonly reason: string }
  | {
      readonly kind: "disconnected";
      readonly code: number;
      readonly reason: string;
      /** When the next dial is due; null where there is none. */
      readonly retryMs: number | null;
    }
  | { readonly kind: "draining"; readonly attempts: number };

export type SessionEffect =
  /** Dial in, asking for the hub of before where there is one. */
  | { readonly kind: "dial"; readonly hub: string | null }
  | { readonly kind: "send"; readonly frame: UpFrame }
  /** The text frame "ping", which the hub's platform answers without waking it. */
  | { readonly kind: "ping" }
  /** Close the socket with this code and forget it: nothing it still says is an event. */
  | { readonly kind: "hang-up"; readonly code: number; readonly reason: string }
  /** Sign `message` under `octo-auth-v1`, then `signed`. */
  | { readonly kind: "sign"; readonly message: string }
  /** Fire `timer` at `atMs`; null takes it back. Setting it again moves it. */
  | { readonly kind: "set-timer"; readonly timer: SessionTimer; readonly atMs: number | null }
  | { readonly kind: "start-attempt"; readonly offer: TaskOffer; readonly paceMs: number }
  | { readonly kind: "deliver"; readonly frame: TaskBody | TaskWindow | TaskCancel }
  /** The socket is gone: attempts stop, and keep a receipt of what they sent. */
  | { readonly kind: "lose-attempts" }
  /** The drain's limit has passed: attempts fail, so that another worker continues them. */
  | { readonly kind: "stop-attempts" }
  /**
   * Send the next few frames of unacknowledged receipts, then `submitted`; `isFirst` starts from
   * the oldest.
   */
  | { readonly kind: "submit-receipts"; readonly isFirst: boolean }
  | { readonly kind: "acknowledge"; readonly attempts: readonly string[] }
  /** Put the receipts on the disk, then `flushed`. */
  | { readonly kind: "flush-receipts" }
  | { readonly kind: "notice"; readonly notice: SessionNotice }
  | { readonly kind: "stop"; readonly stop: SessionStop };

export interface SessionStep {
  readonly state: SessionState;
  readonly effects: readonly SessionEffect[];
}

/** A number of at least 0 and below 1, like Math.random. */
export type Random = () => number;
