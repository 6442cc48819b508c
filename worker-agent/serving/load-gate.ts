/** A switch that follows a reading with patience, so that it does not flap. */
export interface LoadGate {
  readonly isShut: boolean;
  /** Since when the reading says otherwise; null where it agrees. */
  readonly crossedMs: number | null;
}

export interface LoadLimits {
  /** Shuts above this percentage, once it lasted. */
  readonly shutAbove: number;
  /** Opens at or below this percentage, once it lasted. */
  readonly openAt: number;
}

/** A program that starts is over the limit for a moment; one that works stays there. */
const shutAfterMs = 5_000;
/** A person who pauses for a thought wants the machine again soon. */
const openAfterMs = 30_000;

export const openGate: LoadGate = { isShut: false, crossedMs: null };

/** The gate after a reading in percent; null is none: what was not seen did not last. */
export function stepGate(
  gate: LoadGate,
  percent: number | null,
  limits: LoadLimits,
  nowMs: number,
): LoadGate {
  const isAcross =
    percent !== null && (gate.isShut ? percent <= limits.openAt : percent > limits.shutAbove);
  if (!isAcross) return gate.crossedMs === null ? gate : { ...gate, crossedMs: null };
  const crossedMs = gate.crossedMs ?? nowMs;
  const afterMs = gate.isShut ? openAfterMs : shutAfterMs;
  if (nowMs - crossedMs < afterMs) return { ...gate, crossedMs };
  return { isShut: !gate.isShut, crossedMs: null };
}
