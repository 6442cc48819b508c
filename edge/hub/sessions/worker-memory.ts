import { z } from "zod";
import { toBase64Url } from "../../../shared/crypto/bytes.ts";
import { sha256Sync } from "../../../shared/crypto/sha256-sync.ts";
import type { Listing } from "../../../shared/protocol/listing.ts";
import { breakerSchema, closedBreaker } from "../attempts/breaker.ts";

/** What is known of one model on one worker from the attempts it ran. */
const measuredSpeedSchema = z.object({
  model: z.string(),
  digest: z.string(),
  /** From the offer to the first output; null before there was any. */
  firstTokenMs: z.number().nullable(),
  /** Of one answer, while `running` of them ran on its worker; null before one was long enough. */
  decodeTokensPerS: z.number().nullable(),
  /** How many attempts ran on the worker when these were measured, on average. */
  running: z.number(),
  /** The share of attempts that the worker did not fail. */
  successShare: z.number().min(0).max(1),
  samples: z.int().min(0),
});
export type MeasuredSpeed = z.infer<typeof measuredSpeedSchema>;

/** What probes have shown of one model on one worker. */
const verdictSchema = z.object({
  key: z.string(),
  /** The abilities that were claimed and not there. */
  struck: z.array(z.object({ ability: z.string(), reason: z.string() })),
  /** Why nothing of it is listed; null where it is. */
  refused: z.string().nullable(),
  /** When all of it was probed last. */
  atMs: z.int(),
  /** When it is to be probed again: kept here, so that to claim it anew changes nothing. */
  dueMs: z.int(),
  /** How often in a row something of it was not there. */
  failures: z.int(),
});
export type Verdict = z.infer<typeof verdictSchema>;

/** What a hub remembers of a worker beyond its connection. */
export const workerMemorySchema = z.object({
  verdicts: z.array(verdictSchema),
  speeds: z.array(measuredSpeedSchema),
  breaker: breakerSchema.default(closedBreaker),
});
export type WorkerMemory = z.infer<typeof workerMemorySchema>;

export function emptyMemory(): WorkerMemory {
  return { verdicts: [], speeds: [], breaker: closedBreaker() };
}

/** Engines and weights change under a worker that keeps its claims, but not every day. */
const wholeVerdictMs = 24 * 60 * 60_000;
/**
 * Verdicts and speeds of one worker: as many as it may have listings at once, twice over, so that
 * one that changes its set back and forth is not probed each time.
 */
const entriesMax = 64;

/** Everything a verdict is about: under another name, weights or abilities it is another claim. */
export function verdictKey(listing: Listing): string {
  const { model, digest, quantization, bits_per_weight: bits, engine, identity } = listing;
  const { context_tokens: contextTokens, abilities } = listing;
  const weights = [model, digest, identity, quantization, bits];
  const claim = JSON.stringify([...weights, engine, contextTokens, ...abilities.toSorted()]);
  // Hashed: a worker can make a claim of kilobytes, and 64 of each worker are kept.
  return toBase64Url(sha256Sync(claim));
}

/** What probes have shown of the claim of a key, or null where nothing of it was probed yet. */
export function verdictOn(memory: WorkerMemory, key: string): Verdict | null {
  return memory.verdicts.find((candidate) => candidate.key === key) ?? null;
}

/** Whether all of a claim has to be probed again, because the last time is long ago. */
export function isStale(verdict: Verdict, nowMs: number): boolean {
  return nowMs - verdict.atMs >= wholeVerdictMs;
}

export function rememberVerdict(memory: WorkerMemory, verdict: Verdict): void {
  const others = memory.verdicts.filter(({ key }) => key !== verdict.key);
  memory.verdicts = [...others, verdict].slice(-entriesMax);
}

/**
 * What is kept on the disk: what was struck or refused is probed again when its worker comes back,
 * because coming back is how most faults are mended.
 */
export function lastingMemory(memory: WorkerMemory): WorkerMemory {
  const isClean = ({ struck, refused }: Verdict) => struck.length === 0 && refused === null;
  return { ...memory, verdicts: memory.verdicts.filter(isClean) };
}

export function speedOf(
  memory: Pick<WorkerMemory, "speeds">,
  listing: Pick<Listing, "model" | "digest">,
): MeasuredSpeed | null {
  for (const speed of memory.speeds) {
    if (speed.model === listing.model && speed.digest === listing.digest) return speed;
  }
  return null;
}

/** One attempt, as far as it tells how fast and reliable its worker is. */
export interface Measurement {
  readonly model: string;
  readonly digest: string;
  readonly isSuccess: boolean;
  readonly firstTokenMs: number | null;
  readonly decodeTokensPerS: number | null;
  readonly running: number;
}

/** A new value counts a fifth: about ten answers tell how fast a worker is now. */
const newest = 0.2;

/** Adds one attempt to a worker's moving averages (EWMA; the first few count alike). */
export function rememberSpeed(memory: WorkerMemory, of: Measurement): void {
  const known = speedOf(memory, of);
  const samples = (known?.samples ?? 0) + 1;
  const weight = Math.max(newest, 1 / samples);
  const mix = (before: number | null | undefined, value: number | null) => {
    if (value === null) return before ?? null;
    return before === null || before === undefined ? value : before + weight * (value - before);
  };
  const success = of.isSuccess ? 1 : 0;
  const speed: MeasuredSpeed = {
    model: of.model,
    digest: of.digest,
    firstTokenMs: mix(known?.firstTokenMs, of.firstTokenMs),
    decodeTokensPerS: mix(known?.decodeTokensPerS, of.decodeTokensPerS),
    running: mix(known?.running, of.running) ?? of.running,
    successShare: mix(known?.successShare, success) ?? success,
    samples,
  };
  const others = memory.speeds.filter((other) => other !== known);
  memory.speeds = [...others, speed].slice(-entriesMax);
}
