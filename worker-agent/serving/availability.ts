import type { WallClock, Window } from "./hours.ts";
import { isWithin, nextTurnMs } from "./hours.ts";
import type { LoadGate } from "./load-gate.ts";
import { openGate, stepGate } from "./load-gate.ts";

/**
 * Whether a worker takes tasks now.
 *
 * V1. The provider's word comes first: a pause, then the hours, then what other programs do.
 * V2. Load opens and closes with patience (load-gate.ts); a pause and the hours at once.
 * V3. A reading that is missing opens and closes nothing, and patience begins anew behind it. Where
 *     none comes for minutes, load closes nothing any more.
 */

export interface AvailabilitySettings {
  /** Null serves at all hours. */
  readonly hours: readonly Window[] | null;
  /** The percentage of the processors, or of the GPU, that others may use; null is any. */
  readonly maxLoad: number | null;
  /** Whether other programs have the GPU for themselves when they use it. */
  readonly yieldsGpu: boolean;
}

/** What other programs use, in percent; null where it cannot be told. */
export interface LoadReadings {
  readonly cpu: number | null;
  readonly gpu: number | null;
}

export interface Pause {
  readonly sinceMs: number;
  /** Null is until somebody resumes. */
  readonly untilMs: number | null;
}

export type ClosedCause = "paused" | "hours" | "gpu" | "load";

export type Availability =
  | { readonly kind: "open"; readonly sinceMs: number }
  | {
      readonly kind: "closed";
      readonly cause: ClosedCause;
      /** A sentence for the provider. */
      readonly reason: string;
      readonly sinceMs: number;
      /** When it opens by itself; null where that depends. */
      readonly untilMs: number | null;
    };

export interface AvailabilityState {
  readonly availability: Availability;
  readonly loadGate: LoadGate;
  readonly gpuGate: LoadGate;
  /** When the hours turn next, so that it is not worked out every time. */
  readonly hoursTurnMs: number | null;
}

export interface AvailabilityInput {
  readonly nowMs: number;
  readonly wallClock: WallClock;
  readonly pause: Pause | null;
  readonly readings: LoadReadings;
}

export function createAvailability(nowMs: number): AvailabilityState {
  return {
    availability: { kind: "open", sinceMs: nowMs },
    loadGate: openGate,
    gpuGate: openGate,
    hoursTurnMs: null,
  };
}

/** A desktop's own drawing stays below; a game, a video or a training does not. */
const gpuYieldPercent = 10;
/** Below the limit by so much, so that a load at the limit does not open and close. */
const loadMarginPercent = 10;

/** The state after another look at the clock, the provider's wish and the machine. */
export function stepAvailability(
  state: AvailabilityState,
  settings: AvailabilitySettings,
  input: AvailabilityInput,
): AvailabilityState {
  const { nowMs, readings } = input;
  const loadGate = stepLoadGate(state.loadGate, settings, readings, nowMs);
  const limits = { shutAbove: gpuYieldPercent, openAt: gpuYieldPercent / 2 };
  const gpuReading = settings.yieldsGpu ? readings.gpu : null;
  const gpuGate = stepGate(state.gpuGate, gpuReading, limits, nowMs);
  const gated = { ...state, loadGate, gpuGate };
  const found = judge(gated, settings, input);
  const before = state.availability;
  const isSame =
    before.kind === "open"
      ? found.kind === "open"
      : found.kind === "closed" && found.cause === before.cause && found.untilMs === before.untilMs;
  const availability = isSame ? before : { ...found, sinceMs: nowMs };
  const hoursTurnMs = found.kind === "closed" && found.cause === "hours" ? found.untilMs : null;
  return { ...gated, availability, hoursTurnMs };
}

function stepLoadGate(
  gate: LoadGate,
  settings: AvailabilitySettings,
  { cpu, gpu }: LoadReadings,
  nowMs: number,
): LoadGate {
  const { maxLoad } = settings;
  if (maxLoad === null) return openGate;
  const highest = cpu === null && gpu === null ? null : Math.max(cpu ?? 0, gpu ?? 0);
  const openAt = Math.max(0, maxLoad - Math.min(loadMarginPercent, maxLoad / 2));
  return stepGate(gate, highest, { shutAbove: maxLoad, openAt }, nowMs);
}

type Judgement =
  | { readonly kind: "open" }
  | Omit<Extract<Availability, { kind: "closed" }>, "sinceMs">;

/** V1 */
function judge(
  state: AvailabilityState,
  settings: AvailabilitySettings,
  { nowMs, wallClock, pause }: AvailabilityInput,
): Judgement {
  const { hours } = settings;
  if (pause !== null && (pause.untilMs === null || nowMs < pause.untilMs)) {
    const { untilMs } = pause;
    return { kind: "closed", cause: "paused", reason: "You paused it", untilMs };
  }
  if (hours !== null && !isWithin(hours, wallClock(nowMs))) {
    const known = state.hoursTurnMs;
    const isKnown = known !== null && nowMs < known;
    const untilMs = isKnown ? known : nextTurnMs(hours, nowMs, wallClock);
    return { kind: "closed", cause: "hours", reason: "It is outside of its hours", untilMs };
  }
  if (state.gpuGate.isShut) {
    const reason = "Another program uses the GPU";
    return { kind: "closed", cause: "gpu", reason, untilMs: null };
  }
  if (state.loadGate.isShut) {
    const reason = `Other programs use more than ${settings.maxLoad} % of this machine`;
    return { kind: "closed", cause: "load", reason, untilMs: null };
  }
  return { kind: "open" };
}
