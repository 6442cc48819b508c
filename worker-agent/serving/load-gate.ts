/** A switch that follows a reading with patience, so that it does not flap. */
export interface LoadGate {
  readonly isShut: boolean;
  /** Since when the reading says otherwise; null where it agrees. */
  readonly crossedMs: number | null;
  /** Since when there is no reading; null where there is one. */
  readonly blindMs: number | null;
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

/**
 * A task of our own that blinds the readings has ended by then, and nvidia-smi was asked again
 * several times. Where nobody tells any more, a shut gate would stay so for ever.
 */
const openBlindAfterMs = 300_000;

export const openGate: LoadGate = { isShut: false, crossedMs: null, blindMs: null };

/**
 * The gate after a reading in percent; null is none: what was not seen did not last, and what is
 * not seen for long keeps nothing shut.
 */
export function stepGate(
  gate: LoadGate,
  percent: number | null,
  limits: LoadLimits,
  nowMs: number,
): LoadGate {
  if (percent === null) {
    const blindMs = gate.blindMs ?? nowMs;
    const isLost = nowMs - blindMs >= openBlindAfterMs;
    return { isShut: gate.isShut && !isLost, crossedMs: null, blindMs };
  }
  const seen = { ...gate, blindMs: null };
  const isAcross = gate.isShut ? percent <= limits.openAt : percent > limits.shutAbove;
  if (!isAcross) return { ...seen, crossedMs: null };
  const crossedMs = gate.crossedMs ?? nowMs;
  const afterMs = gate.isShut ? openAfterMs : shutAfterMs;
  if (nowMs - crossedMs < afterMs) return { ...seen, crossedMs };
  return { isShut: !gate.isShut, crossedMs: null, blindMs: null };
}
