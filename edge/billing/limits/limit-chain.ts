import type { BudgetPeriod, Limits, ModelLimits } from "../../../shared/limits.ts";
import type { Micros } from "../../../shared/money.ts";
import type { Bucket } from "./token-bucket.ts";

/** What has limits in an account, and what of them a task comes under. */

export type HolderScope = "account" | "team" | "project" | "key";

/** Everybody's, or those of some keys together. */
export interface GroupId {
  readonly scope: Exclude<HolderScope, "key">;
  readonly id: string;
}

/** Whose limits these are: of all that is under a scope, or of one model in it. */
export interface Subject {
  readonly scope: HolderScope;
  readonly id: string;
  readonly model: string | null;
}

/** What a key belongs to. */
export interface KeyGroups {
  readonly teamId: string | null;
  readonly projectId: string | null;
}

/** What an Account is told of a key beside whether it may be used. */
export interface KeySettings extends KeyGroups {
  readonly limits: Limits | null;
}

/** What was used and is held under one subject. */
export interface Meter {
  readonly subject: Subject;
  /** Null where it is full. */
  requests: Bucket | null;
  tokens: Bucket | null;
  running: number;
  heldTokens: number;
  heldMicros: Micros;
  readonly spent: Record<BudgetPeriod, Spent>;
}

/** What was spent of a budget in one period, and what was told of it. */
export interface Spent {
  readonly startMs: number;
  readonly micros: Micros;
  /** The highest percentage that was told, of this budget. */
  readonly toldPercent: number;
  readonly toldBudget: Micros;
}

interface ScopeLimits {
  readonly limits: Limits;
  readonly byModel: ReadonlyMap<string, ModelLimits>;
}

export interface LimitsState {
  readonly accountId: string;
  /** By `scopeName`; a scope without limits is not in it. */
  readonly limitsByScope: Map<string, ScopeLimits>;
  readonly groupsByKeyId: Map<string, KeyGroups>;
  /** By `subjectName`. */
  readonly meters: Map<string, Meter>;
  readonly tasks: Map<string, LimitedTask>;
  /** Meters that spent what storage has not heard of. */
  readonly unsaved: Set<Meter>;
}

/** What a task that runs has taken, and where. */
export interface LimitedTask {
  readonly meters: readonly Meter[];
  readonly tokens: number;
  readonly micros: Micros;
}

/** One place at which a task has to fit. */
export interface Link {
  readonly subject: Subject;
  readonly limits: ModelLimits;
  readonly meter: Meter;
}

export function createLimitsState(accountId: string): LimitsState {
  return {
    accountId,
    limitsByScope: new Map(),
    groupsByKeyId: new Map(),
    meters: new Map(),
    tasks: new Map(),
    unsaved: new Set(),
  };
}

export function setLimits(
  state: LimitsState,
  { scope, id }: Pick<Subject, "scope" | "id">,
  limits: Limits | null,
): void {
  const name = scopeName(scope, id);
  if (limits === null || Object.keys(limits).length === 0) state.limitsByScope.delete(name);
  else {
    const byModel = new Map(Object.entries(limits.models ?? {}));
    state.limitsByScope.set(name, { limits, byModel });
  }
}

export function setKeyGroups(state: LimitsState, keyId: string, groups: KeyGroups): void {
  const { teamId, projectId } = groups;
  if (teamId === null && projectId === null) state.groupsByKeyId.delete(keyId);
  else state.groupsByKeyId.set(keyId, { teamId, projectId });
}

/** The limits of a scope as they were set; null where there are none. */
export function limitsOf(state: LimitsState, scope: HolderScope, id: string): Limits | null {
  return state.limitsByScope.get(scopeName(scope, id))?.limits ?? null;
}

/** The limits of a subject as they are now; null where it has none. */
export function subjectLimits(state: LimitsState, subject: Subject): ModelLimits | null {
  const scoped = state.limitsByScope.get(scopeName(subject.scope, subject.id));
  if (scoped === undefined) return null;
  return subject.model === null ? scoped.limits : (scoped.byModel.get(subject.model) ?? null);
}

/** Whether anything that a key does comes under a limit. */
export function isLimited(state: LimitsState, keyId: string): boolean {
  if (state.limitsByScope.size === 0) return false;
  return holders(state, keyId).some(([scope, id]) => limitsOf(state, scope, id) !== null);
}

/**
 * The keys whose leases have to be over before limits of a group are obeyed; null stands for all.
 * Others go on being leased, and nobody waits for those.
 */
export function keysUnder(state: LimitsState, { scope, id }: GroupId): (string | null)[] {
  if (scope === "account") return [null];
  const isIn = ({ teamId, projectId }: KeyGroups) => (scope === "team" ? teamId : projectId) === id;
  return [...state.groupsByKeyId].flatMap(([keyId, groups]) => (isIn(groups) ? [keyId] : []));
}

/**
 * Everything that a key's task of a model, by all its names, has to fit in, from the widest to the
 * narrowest.
 */
export function chainOf(state: LimitsState, keyId: string, models: readonly string[]): Link[] {
  if (state.limitsByScope.size === 0) return [];
  return holders(state, keyId).flatMap(([scope, id]) =>
    [null, ...models].flatMap((of) => {
      const subject = { scope, id, model: of };
      const limits = subjectLimits(state, subject);
      return limits === null ? [] : [{ subject, limits, meter: meterOf(state, subject) }];
    }),
  );
}

export function meterOf(state: LimitsState, subject: Subject): Meter {
  const name = subjectName(subject);
  const known = state.meters.get(name);
  if (known !== undefined) return known;
  const meter: Meter = {
    subject,
    requests: null,
    tokens: null,
    running: 0,
    heldTokens: 0,
    heldMicros: 0n,
    spent: { day: nothingSpent, month: nothingSpent },
  };
  state.meters.set(name, meter);
  return meter;
}

export const nothingSpent: Spent = { startMs: 0, micros: 0n, toldPercent: 0, toldBudget: 0n };

/** A subject's one name; ids hold no slash, and a model's name comes last. */
export function subjectName({ scope, id, model }: Subject): string {
  return model === null ? scopeName(scope, id) : `${scopeName(scope, id)}/${model}`;
}

function scopeName(scope: HolderScope, id: string): string {
  return `${scope}:${id}`;
}

function holders(state: LimitsState, keyId: string): (readonly [HolderScope, string])[] {
  const { teamId = null, projectId = null } = state.groupsByKeyId.get(keyId) ?? {};
  return [
    ["account", state.accountId],
    ...(teamId === null ? [] : ([["team", teamId]] as const)),
    ...(projectId === null ? [] : ([["project", projectId]] as const)),
    ["key", keyId],
  ];
}
