import { weightFault } from "../../../shared/openai/octo-options.ts";
import { isGenerated } from "../../../shared/openai/task-kinds.ts";
import { classes, type Listing } from "../../../shared/protocol/listing.ts";
import { distanceKm, type Region } from "../../../shared/regions.ts";
import type { InferenceTask } from "../../inference/task.ts";
import { type DemandedAbilities, demandedAbilities, isAble } from "./ability-sets.ts";
import { askedModel, type CandidateFacts, factsOf } from "./candidate-facts.ts";
import { freeSlotsOf, type Session } from "../hub-state.ts";
import {
  bestOf,
  type Excluded,
  explainedMax,
  type Exclusion,
  type ExclusionExample,
  type RouteExplanation,
  routingSaid,
} from "./route-explanation.ts";
import { type Drawn, Scoreboard } from "./scoreboard.ts";

export type Choice =
  | {
      readonly kind: "chosen";
      readonly session: Session;
      readonly listing: Listing;
      readonly route: RouteExplanation;
    }
  /** Nobody can serve it; `busy` where somebody fits but has no free slot: worth waiting. */
  | ({ readonly kind: "busy" | "nobody" } & Unchosen);

type Unchosen = Pick<RouteExplanation, "considered" | "excluded" | "excludedExamples">;

/** The first hard filter a candidate fails, or null where it fits. A slot is looked at apart. */
function exclusionOf(
  task: InferenceTask,
  session: Session,
  facts: CandidateFacts,
  demanded: DemandedAbilities,
): Exclusion | null {
  const reason = sessionExclusionOf(task, session, facts.measures.reputation);
  if (reason !== null) return reason;
  return isAble(facts.abilities, demanded) ? listingExclusionOf(task, facts.listing) : "ability";
}

function listingExclusionOf(task: InferenceTask, listing: Listing): Exclusion | null {
  // Only what certainly does not fit is excluded here: the bound on prompt tokens is several times
  // too high for most texts, and the engine knows exactly. Documents are in no context.
  const { completionTokensMax } = task;
  if (
    isGenerated(task.kind) &&
    (completionTokensMax ?? 0) > listing.context_tokens * task.choices
  ) {
    return "context";
  }
  if (
    task.class !== "public" &&
    classes.indexOf(task.class) > classes.indexOf(listing.class_ceiling)
  ) {
    return "class";
  }
  if (
    listing.input_micros_per_million > task.terms.input_micros_per_million ||
    listing.output_micros_per_million > task.terms.output_micros_per_million
  ) {
    return "price";
  }
  const { bitsMin, byContent } = task.weights;
  if (bitsMin === null && !byContent) return null;
  const { identity, bits_per_weight: bitsPerWeight } = listing;
  return weightFault(task.weights, { identity, bitsPerWeight });
}

/** What the worker itself fails, whatever it lists. */
function sessionExclusionOf(
  task: InferenceTask,
  session: Session,
  reputation: number,
): Exclusion | null {
  const { regions, exclude, include, reputationMin } = task.routing;
  if (isForeign(task, session)) return "own";
  if (session.draining) return "draining";
  if (regions !== null && !regions.includes(session.region)) return "region";
  const isAmong = (ids: readonly string[]) =>
    ids.includes(session.workerId) || ids.includes(session.accountId);
  if (exclude.length > 0 && isAmong(exclude)) return "exclude";
  if (include !== null && !isAmong(include)) return "include";
  return reputation < reputationMin ? "reputation" : null;
}

/** A stranger's worker, for a task that is agreed to go to none: it would work for nothing (A6). */
export function isForeign({ terms }: InferenceTask, { accountId }: Session): boolean {
  return terms.own === true && accountId !== terms.account;
}

/** Whether a worker could serve a task if it had a slot. */
export function isFitting(task: InferenceTask, session: Session): boolean {
  const facts = factsOf(session, askedModel(task.model));
  if (facts === null) return false;
  return exclusionOf(task, session, facts, demandedAbilities(task.demands)) === null;
}

/** Everything that one look at the sessions finds out. */
interface Survey {
  considered: number;
  isBusy: boolean;
  readonly excluded: Excluded;
  readonly examples: ExclusionExample[];
  /** In the order of the board. */
  readonly fitting: CandidateFacts[];
}

/** One choice at a time: nothing waits inside, so the board is nobody else's meanwhile. */
const board = new Scoreboard();

/**
 * Chooses among `sessions`: hard filters, then the scores of the task's strategy and a draw among
 * the best (scoreboard.ts). `random` gives numbers in [0, 1).
 */
export function chooseWorker(
  task: InferenceTask,
  sessions: Iterable<Session>,
  triedSessionIds: ReadonlySet<string>,
  random: () => number,
): Choice {
  const survey = surveyOf(task, sessions, triedSessionIds);
  const drawn = board.draw(task.routing, random);
  if (drawn === null) {
    const { considered, excluded, examples: excludedExamples } = survey;
    return { kind: survey.isBusy ? "busy" : "nobody", considered, excluded, excludedExamples };
  }
  const { session, listing } = survey.fitting[drawn.at] as CandidateFacts;
  return { kind: "chosen", session, listing, route: explanationOf(task, survey, drawn) };
}

/** Puts on the board whoever passes every filter and has a slot free, and scores them. */
function surveyOf(
  task: InferenceTask,
  sessions: Iterable<Session>,
  triedSessionIds: ReadonlySet<string>,
): Survey {
  const survey: Survey = {
    considered: 0,
    isBusy: false,
    excluded: {},
    examples: [],
    fitting: [],
  };
  const model = askedModel(task.model);
  const demanded = demandedAbilities(task.demands);
  const isRetried = triedSessionIds.size > 0;
  // Nearly all workers of a hub are in one region.
  let region: Region | null = null;
  let km = 0;
  // Most sessions list other models: this reason is counted apart from the named ones.
  let unlisted = 0;
  board.clear(task.kind);
  for (const session of sessions) {
    survey.considered += 1;
    const facts = factsOf(session, model);
    if (facts === null) {
      unlisted += 1;
      exemplify(survey, session, "model");
      continue;
    }
    const reason = exclusionOf(task, session, facts, demanded);
    if (reason !== null || (isRetried && triedSessionIds.has(session.id))) {
      exclude(survey, session, reason ?? "tried");
      continue;
    }
    const freeSlots = freeSlotsOf(session, facts.listing);
    if (freeSlots < 1) {
      exclude(survey, session, "no_credit");
      survey.isBusy = true;
      continue;
    }
    survey.fitting.push(facts);
    if (session.region !== region) {
      ({ region } = session);
      km = distanceKm(task.region, region);
    }
    const freeShare = Math.min(1, freeSlots / facts.listing.slots);
    board.add(facts.measures, { freeShare, km });
  }
  if (unlisted > 0) survey.excluded.model = unlisted;
  board.score(task.routing.weights);
  return survey;
}

function exclude(survey: Survey, session: Session, reason: Exclusion): void {
  survey.excluded[reason] = (survey.excluded[reason] ?? 0) + 1;
  exemplify(survey, session, reason);
}

function exemplify(survey: Survey, session: Session, reason: Exclusion): void {
  if (survey.examples.length < explainedMax) {
    survey.examples.push({ workerId: session.workerId, reason });
  }
}

function explanationOf(task: InferenceTask, survey: Survey, drawn: Drawn): RouteExplanation {
  const { session, listing } = survey.fitting[drawn.at] as CandidateFacts;
  return {
    ...routingSaid(task.routing),
    considered: survey.considered,
    excluded: survey.excluded,
    excludedExamples: survey.examples,
    candidates: bestOf(board, task.routing, (at) => survey.fitting[at]?.session.workerId ?? ""),
    workerId: session.workerId,
    ownOnly: task.terms.own === true,
    explored: drawn.isExplored,
    sticky: drawn.isSticky,
    inputMicrosPerMillion: listing.input_micros_per_million,
    outputMicrosPerMillion: listing.output_micros_per_million,
  };
}
