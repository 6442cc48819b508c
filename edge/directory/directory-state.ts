import type { Region } from "../../shared/regions.ts";
import { defaultHubConfig } from "../hub/hub-config.ts";
import type { HubDigest } from "./digest.ts";
import { hubName, shardOf } from "./hub-name.ts";

/**
 * Which hubs of a region are alive, and where its workers sit. Soft: a hub that says nothing for a
 * while is dropped, and a directory that lost its memory has it back with the hubs' next digests.
 *
 * D1. No worker is sent where digests and promised seats together leave no room; the one exception
 *     is a worker's own last hub, which knows best how many of its own have left.
 * D2. A seat that was promised counts until a digest that must have seen its worker, or until it
 *     expires: neither a lost dial nor a lost digest takes a seat for ever.
 * D3. A hub is told to move only while another one has room for both with some to spare, and each
 *     hub that stays is promised to so many that its room lasts; so merging never makes a hub.
 * D4. A hub that moves gets nobody, and is nobody's refuge; one hub always stays.
 */
export interface DirectoryState {
  readonly region: Region;
  /** When it began to know anything: after a reset hubs are there that it has not heard of yet. */
  readonly sinceMs: number;
  /** When it last looked for what has died and expired. */
  sweptMs: number;
  /** The seats of a hub: all of one build have as many. */
  sessionsMax: number;
  readonly digests: Map<string, HubDigest>;
  /** When each seat was promised, by hub, the oldest first. */
  readonly seatsMs: Map<string, number[]>;
  /** Hubs that refused a worker, and until when they are taken at their word. */
  readonly fullUntilMs: Map<string, number>;
  /** Hubs that could merge into another, and since when. */
  readonly sparseSinceMs: Map<string, number>;
  /**
   * Hubs that move, each with the hub that has room for its workers; null where somebody else told
   * it to.
   */
  readonly refuges: Map<string, string | null>;
}

/**
 * A hub repeats its digest every 15 s even where nothing changes; three of those missing are death.
 */
export const digestTtlMs = 45_000;

/** Nobody routes by a view of a directory that is older than this: its hubs may have died since. */
export const viewUsableMs = 15_000;

/** A worker proves itself within five seconds of its dial, or never. */
export const seatMs = 6_000;

/**
 * How old a promise has to be for a digest to have seen its worker: a dial reaches its hub within
 * a round trip, and a digest comes as late as that.
 */
const arrivedMs = 1_500;

/** A hub that was full a moment ago may have room with its next digest. */
const refusalMs = 2_000;

/**
 * Two hubs become one where it would be no more than this full: had they to part again at once, the
 * move would be for nothing.
 */
const mergedShareMax = 0.6;

/**
 * How long two hubs must fit in one: after a deploy or a storm all of them are nearly empty for as
 * long as workers take to return.
 */
export const sparseMs = 120_000;

/** A seat that expires a little late is a dial that asks another hub. */
const sweepEveryMs = 100;

/** For so long after its start a directory believes workers about hubs it has not heard of. */
const youngMs = 60_000;

/** 262,144 workers: a number beyond it is nobody's hub, whatever a worker says. */
const shardsMax = 1_024;

export function createDirectoryState(region: Region, sinceMs: number): DirectoryState {
  return {
    region,
    sinceMs,
    sweptMs: sinceMs,
    sessionsMax: defaultHubConfig.sessionsMax,
    digests: new Map(),
    seatsMs: new Map(),
    fullUntilMs: new Map(),
    sparseSinceMs: new Map(),
    refuges: new Map(),
  };
}

/** What a hub is told when it has told its digest. */
export type Advice = "stay" | "move";

/** Takes a digest; the answer says whether its hub should send its workers elsewhere. */
export function putDigest(state: DirectoryState, digest: HubDigest, nowMs: number): Advice {
  const { hubId } = digest;
  const known = state.digests.get(hubId);
  if (known !== undefined && known.atMs > digest.atMs) return "stay";
  state.fullUntilMs.delete(hubId);
  const seats = state.seatsMs.get(hubId)?.filter((promisedMs) => promisedMs > nowMs - arrivedMs);
  if (seats === undefined || seats.length === 0) state.seatsMs.delete(hubId);
  else state.seatsMs.set(hubId, seats);
  if (digest.sessions === 0) {
    // Nobody is there to be asked for; its number is free for the next hub that is needed.
    forget(state, hubId);
    return "stay";
  }
  state.digests.set(hubId, digest);
  state.sessionsMax = digest.sessionsMax;
  dropDead(state, nowMs);
  return adviceFor(state, digest, nowMs);
}

/** The digests of hubs that are alive; those that were told to move say so before they know it. */
export function liveDigests(state: DirectoryState, nowMs: number): HubDigest[] {
  dropDead(state, nowMs);
  return [...state.digests.values()].map((digest) =>
    state.refuges.has(digest.hubId) ? { ...digest, isMoving: true } : digest,
  );
}

/** A worker that dials in, as far as its place goes. */
export interface Dial {
  /** The hub it had, by its own word. */
  readonly lastHubId: string | null;
  /** Hubs that have refused this very dial. */
  readonly fullHubIds: readonly string[];
}

/**
 * The hub for a worker, with a seat promised: the one it had; else the fullest with room, so that
 * few hubs stay awake; else the next number.
 */
export function placeWorker(state: DirectoryState, dial: Dial, nowMs: number): string {
  // Not with each dial: in a storm there are thousands a second, and hubs are hundreds.
  if (nowMs - state.sweptMs >= sweepEveryMs) dropDead(state, nowMs);
  for (const hubId of dial.fullHubIds) {
    if (state.digests.has(hubId)) state.fullUntilMs.set(hubId, nowMs + refusalMs);
  }
  const hubId =
    lastHub(state, dial, nowMs) ?? fullestWithRoom(state, dial, nowMs) ?? nextHub(state, dial);
  const seats = state.seatsMs.get(hubId);
  if (seats === undefined) state.seatsMs.set(hubId, [nowMs]);
  else seats.push(nowMs);
  return hubId;
}

/** D1: a hub that was reset has room for those it had, though its last digest does not know. */
function lastHub(state: DirectoryState, dial: Dial, nowMs: number): string | null {
  const { lastHubId, fullHubIds } = dial;
  if (lastHubId === null || isShut(state, lastHubId, nowMs) || fullHubIds.includes(lastHubId)) {
    return null;
  }
  const shard = shardOf(lastHubId, state.region);
  if (shard === null || shard >= shardsMax) return null;
  const known = state.digests.get(lastHubId);
  const isYoung = nowMs - state.sinceMs < youngMs;
  if (known === undefined && !isYoung && !state.seatsMs.has(lastHubId)) return null;
  return seatsOf(state, lastHubId) < state.sessionsMax ? lastHubId : null;
}

function fullestWithRoom(state: DirectoryState, dial: Dial, nowMs: number): string | null {
  let fullest: string | null = null;
  let most = -1;
  const consider = (hubId: string, taken: number) => {
    if (taken < most || taken >= state.sessionsMax) return;
    // Among equals the lower name, so that two directories would agree.
    if (taken === most && fullest !== null && hubId > fullest) return;
    if (isShut(state, hubId, nowMs) || dial.fullHubIds.includes(hubId)) return;
    fullest = hubId;
    most = taken;
  };
  for (const [hubId, { sessions }] of state.digests) {
    consider(hubId, sessions + seatsOf(state, hubId));
  }
  for (const [hubId, seats] of state.seatsMs) {
    if (!state.digests.has(hubId)) consider(hubId, seats.length);
  }
  return fullest;
}

function nextHub(state: DirectoryState, dial: Dial): string {
  for (let shard = 0; ; shard += 1) {
    const hubId = hubName(state.region, shard);
    const isKnown = state.digests.has(hubId) || state.seatsMs.has(hubId);
    if (!isKnown && !dial.fullHubIds.includes(hubId)) return hubId;
  }
}

/** D3. Told again with every digest, as long as the hub is there: it may have lost its memory. */
function adviceFor(state: DirectoryState, digest: HubDigest, nowMs: number): Advice {
  const { hubId } = digest;
  if (digest.isMoving === true || state.refuges.has(hubId)) {
    state.sparseSinceMs.delete(hubId);
    if (!state.refuges.has(hubId)) state.refuges.set(hubId, null);
    return "move";
  }
  const refuge = refugeFor(state, digest);
  if (refuge === null) {
    state.sparseSinceMs.delete(hubId);
    return "stay";
  }
  const sinceMs = state.sparseSinceMs.get(hubId);
  if (sinceMs === undefined) state.sparseSinceMs.set(hubId, nowMs);
  if (sinceMs === undefined || nowMs - sinceMs < sparseMs) return "stay";
  state.sparseSinceMs.delete(hubId);
  state.refuges.set(hubId, refuge);
  return "move";
}

/** The fullest hub that would have room to spare if all workers of this emptier one came. */
function refugeFor(state: DirectoryState, digest: HubDigest): string | null {
  const { hubId } = digest;
  const mine = takenOf(state, hubId);
  // Workers on their way here would meet a closed door.
  if ([...state.refuges.values()].includes(hubId)) return null;
  let refuge: string | null = null;
  let most = -1;
  for (const other of state.digests.values()) {
    if (other.hubId === hubId || state.refuges.has(other.hubId)) continue;
    const taken = takenOf(state, other.hubId);
    const isEmptier = mine < taken || (mine === taken && hubId > other.hubId);
    const promised = promisedTo(state, other.hubId);
    if (!isEmptier || mine + taken + promised > mergedShareMax * other.sessionsMax) continue;
    if (taken > most) {
      refuge = other.hubId;
      most = taken;
    }
  }
  return refuge;
}

/** How many are still on hubs that were told to move there. */
function promisedTo(state: DirectoryState, refuge: string): number {
  let promised = 0;
  for (const [hubId, of] of state.refuges) {
    if (of === refuge) promised += takenOf(state, hubId);
  }
  return promised;
}

/** D4, and hubs that have just refused somebody. */
function isShut(state: DirectoryState, hubId: string, nowMs: number): boolean {
  return state.refuges.has(hubId) || (state.fullUntilMs.get(hubId) ?? 0) > nowMs;
}

function takenOf(state: DirectoryState, hubId: string): number {
  return (state.digests.get(hubId)?.sessions ?? 0) + seatsOf(state, hubId);
}

function seatsOf(state: DirectoryState, hubId: string): number {
  return state.seatsMs.get(hubId)?.length ?? 0;
}

function forget(state: DirectoryState, hubId: string): void {
  state.digests.delete(hubId);
  state.fullUntilMs.delete(hubId);
  state.sparseSinceMs.delete(hubId);
  state.refuges.delete(hubId);
}

function dropDead(state: DirectoryState, nowMs: number): void {
  state.sweptMs = nowMs;
  for (const [hubId, digest] of state.digests) {
    if (nowMs - digest.atMs > digestTtlMs) forget(state, hubId);
  }
  // D2: promised in the order of time, so those that expired come first.
  for (const [hubId, seats] of state.seatsMs) {
    const firstLive = seats.findIndex((promisedMs) => nowMs - promisedMs <= seatMs);
    if (firstLive === -1) state.seatsMs.delete(hubId);
    else if (firstLive > 0) seats.splice(0, firstLive);
  }
}
