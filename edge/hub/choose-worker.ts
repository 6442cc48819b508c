import { isGenerated } from "../../shared/openai/task-kinds.ts";
import { classes, type Listing } from "../../shared/protocol/listing.ts";
import type { InferenceTask } from "../inference/task.ts";
import { freeSlotsOf, type Session } from "./hub-state.ts";

/** Why a worker could not serve a task. */
export type Exclusion =
  | "tried"
  | "model"
  | "ability"
  | "context"
  | "class"
  | "price"
  | "draining"
  | "no_credit";

/** Kept with the task, so that anyone can ask afterwards why this worker. */
export interface RouteExplanation {
  readonly considered: number;
  readonly excluded: Partial<Record<Exclusion, number>>;
  readonly workerId: string;
  readonly rule: "lowest_price_of_two";
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

/** The listing under which a worker would serve this task, by name or by digest. */
export function listingFor(session: Session, model: string): Listing | null {
  for (const listing of session.listings) {
    if (listing.model === model || `sha256:${listing.digest}` === model) return listing;
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
  return null;
}

interface Candidate {
  readonly session: Session;
  readonly listing: Listing;
}

/**
 * Chooses among `sessions`: hard filters, then the cheaper of two drawn at random (ties go to the
 * freer one), which spreads load without anyone keeping count. `random` gives numbers in [0, 1).
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
  const [chosen, other] = isBetter(second, first) ? [second, first] : [first, second];
  const route: RouteExplanation = {
    considered,
    excluded,
    workerId: chosen.session.workerId,
    rule: "lowest_price_of_two",
    inputMicrosPerMillion: chosen.listing.input_micros_per_million,
    outputMicrosPerMillion: chosen.listing.output_micros_per_million,
    otherWorkerId: other === chosen ? null : other.session.workerId,
  };
  return { kind: "chosen", session: chosen.session, listing: chosen.listing, route };
}

function isBetter(a: Candidate, b: Candidate): boolean {
  const priceA = a.listing.input_micros_per_million + a.listing.output_micros_per_million;
  const priceB = b.listing.input_micros_per_million + b.listing.output_micros_per_million;
  return priceA === priceB ? a.session.credits > b.session.credits : priceA < priceB;
}
