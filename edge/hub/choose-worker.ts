import { weightFault } from "../../shared/openai/octo-options.ts";
import { isGenerated } from "../../shared/openai/task-kinds.ts";
import { classes, type Listing } from "../../shared/protocol/listing.ts";
import type { InferenceTask } from "../inference/task.ts";
import { freeSlotsOf, type Session } from "./hub-state.ts";
import { expectedAnswersMs, speedOf } from "./worker-memory.ts";

/** Why a worker could not serve a task. */
export type Exclusion =
  | "tried"
  | "model"
  | "ability"
  | "context"
  | "class"
  | "quantization"
  | "identity"
  | "price"
  | "draining"
  | "no_credit";

/** Kept with the task, so that anyone can ask afterwards why this worker. */
export interface RouteExplanation {
  readonly considered: number;
  readonly excluded: Partial<Record<Exclusion, number>>;
  readonly workerId: string;
  readonly rule: "better_of_two";
  readonly inputMicrosPerMillion: number;
  readonly outputMicrosPerMillion: number;
  readonly otherWorkerId: string | null;
}

export type Choice =
  | {
      readonly kind: "chosen";
      readonly session: Session;
      readonly listing: Listing;
      readonly route: RouteExplanation;
    }
  /** Somebody fits but has no free slot: worth waiting. */
  | { readonly kind: "busy" }
  | { readonly kind: "nobody"; readonly excluded: Partial<Record<Exclusion, number>> };

const digestPrefix = "sha256:";

/** The listing under which a worker would serve this task, by name or by digest. */
export function listingFor(session: Session, model: string): Listing | null {
  const digest = model.startsWith(digestPrefix) ? model.slice(digestPrefix.length) : null;
  for (const listing of session.listings) {
    if (listing.model === model || listing.digest === digest) return listing;
  }
  return null;
}

/** The first hard filter a worker fails, or null where it fits. A free slot is looked at apart. */
export function exclusionOf(task: InferenceTask, listing: Listing): Exclusion | null {
  for (const ability of task.demands) {
    if (!listing.abilities.includes(ability)) return "ability";
  }
  // Only what certainly does not fit is excluded here: the bound on prompt tokens is several times
  // too high for most texts, and the engine knows exactly. Documents are in no context.
  const { completionTokensMax } = task;
  if (
    isGenerated(task.kind) &&
    (completionTokensMax ?? 0) > listing.context_tokens * task.choices
  ) {
    return "context";
  }
  if (classes.indexOf(task.class) > classes.indexOf(listing.class_ceiling)) return "class";
  if (
    listing.input_micros_per_million > task.terms.input_micros_per_million ||
    listing.output_micros_per_million > task.terms.output_micros_per_million
  ) {
    return "price";
  }
  const { identity, bits_per_weight: bitsPerWeight } = listing;
  return weightFault(task.weights, { identity, bitsPerWeight });
}

interface Candidate {
  readonly session: Session;
  readonly listing: Listing;
}

/**
 * Chooses among `sessions`: hard filters, then the better of two drawn at random, which spreads
 * load without anyone keeping count. The better one is the cheaper; at one price the faster, by
 * what its hub has measured and never by its word; among the equally fast the freer. One that has
 * only ever failed is the worse one. `random` gives numbers in [0, 1).
 */
export function chooseWorker(
  task: InferenceTask,
  sessions: Iterable<Session>,
  triedSessionIds: ReadonlySet<string>,
  random: () => number,
): Choice {
  const excluded: Partial<Record<Exclusion, number>> = {};
  const exclude = (reason: Exclusion) => (excluded[reason] = (excluded[reason] ?? 0) + 1);
  const free: Candidate[] = [];
  let considered = 0;
  let busy = false;
  for (const session of sessions) {
    considered += 1;
    const listing = listingFor(session, task.model);
    if (listing === null) exclude("model");
    else if (session.draining) exclude("draining");
    else {
      const reason = exclusionOf(task, listing);
      if (reason !== null) exclude(reason);
      else if (triedSessionIds.has(session.id)) exclude("tried");
      else if (freeSlotsOf(session, listing) < 1) {
        exclude("no_credit");
        busy = true;
      } else free.push({ session, listing });
    }
  }
  const first = free[Math.floor(random() * free.length)];
  if (first === undefined) return busy ? { kind: "busy" } : { kind: "nobody", excluded };
  const second = free[Math.floor(random() * free.length)] ?? first;
  const [chosen, other] = isBetter(second, first, random) ? [second, first] : [first, second];
  const route: RouteExplanation = {
    considered,
    excluded,
    workerId: chosen.session.workerId,
    rule: "better_of_two",
    inputMicrosPerMillion: chosen.listing.input_micros_per_million,
    outputMicrosPerMillion: chosen.listing.output_micros_per_million,
    otherWorkerId: other === chosen ? null : other.session.workerId,
  };
  return { kind: "chosen", session: chosen.session, listing: chosen.listing, route };
}

/** Of the pairs in which one is not measured, this share goes to that one: so it will be. */
const explorationShare = 0.05;
/** Measured times nearer than this are equal: they vary more than that by themselves. */
const speedMargin = 1.15;

function isBetter(a: Candidate, b: Candidate, random: () => number): boolean {
  const speedA = speedOf(a.session.memory, a.listing);
  const speedB = speedOf(b.session.memory, b.listing);
  // One that has failed whatever it was asked is no bargain.
  const failsA = speedA !== null && speedA.firstTokenMs === null;
  const failsB = speedB !== null && speedB.firstTokenMs === null;
  if (failsA !== failsB) return failsB;
  const priceA = a.listing.input_micros_per_million + a.listing.output_micros_per_million;
  const priceB = b.listing.input_micros_per_million + b.listing.output_micros_per_million;
  if (priceA !== priceB) return priceA < priceB;
  if (speedA !== null && speedB !== null) {
    const [msA, msB] = expectedAnswersMs(speedA, speedB);
    if (msA * speedMargin < msB) return true;
    if (msB * speedMargin < msA) return false;
  } else if (speedA !== null || speedB !== null) {
    return (speedA === null) === random() < explorationShare;
  }
  return a.session.credits > b.session.credits;
}
