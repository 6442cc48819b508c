import type { Ability } from "../../shared/openai/demands.ts";
import type { TaskMode, WeightDemands } from "../../shared/openai/octo-options.ts";
import type { Routing } from "../../shared/openai/routing.ts";
import type { TaskKind } from "../../shared/openai/task-kinds.ts";
import type { Class } from "../../shared/protocol/listing.ts";
import type { Region } from "../../shared/regions.ts";
import type { AttemptRecord } from "../billing/closing.ts";
import type { Terms } from "../billing/ticket.ts";
import type { ResultShape } from "./results/result-shape.ts";

/**
 * One inference asked for, as the front Worker hands it to a hub. Plain data: it crosses an RPC.
 */
export interface InferenceTask {
  readonly id: string;
  readonly kind: TaskKind;
  readonly accountId: string;
  readonly keyId: string;
  /** The name or `sha256:` digest the consumer asked for. */
  readonly model: string;
  /**
   * The request as JSON text: exactly what the engine gets and the receipt's prompt hash covers.
   */
  readonly body: string;
  readonly streamed: boolean;
  /** Whether a streamed answer ends with a usage chunk. */
  readonly usageChunk: boolean;
  readonly choices: number;
  readonly demands: readonly Ability[];
  /** No tokenizer makes more prompt tokens than this of the request. */
  readonly promptTokensMax: number;
  /**
   * The most completion tokens over all choices, or null where only the model's context bounds
   * them.
   */
  readonly completionTokensMax: number | null;
  /** What the answer must be where it is a document; null where it is a text. */
  readonly result: ResultShape | null;
  /** What is demanded of the weights that answer. */
  readonly weights: WeightDemands;
  /** How its worker is chosen. */
  readonly routing: Routing;
  readonly class: Class;
  /** How long it may wait for a slot, and who goes before it. */
  readonly mode: TaskMode;
  /** A second worker is asked where the first is late. */
  readonly hedge: boolean;
  /** It is answered to the end though its consumer leaves: the consumer means to come back. */
  readonly resume: boolean;
  readonly region: Region;
  readonly createdMs: number;
  /** How many attempt numbers hubs asked before may have used; this one's go on from there. */
  readonly attemptsBefore: number;
  /** What is known of those attempts. */
  readonly earlierAttempts: readonly AttemptRecord[];
  readonly terms: Terms;
  readonly ticket: string;
}
