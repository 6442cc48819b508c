/**
 * One measured number. `target` is what we hold ourselves to, null for numbers that only explain
 * others.
 */
export interface Figure {
  readonly figure: string;
  readonly value: number;
  readonly unit: string;
  readonly target: number | null;
  readonly better: "higher" | "lower";
}

/** A number that only explains others, and had better be small. */
export function explaining(figure: string, value: number, unit: string): Figure {
  return { figure, value, unit, target: null, better: "lower" };
}

/** A number that is to be at most `target`. */
export function atMost(target: number, figure: string, value: number, unit: string): Figure {
  return { figure, value, unit, target, better: "lower" };
}

/** Measures, telling a person meanwhile what it does, and gives its figures. */
export type Suite = (progress: (line: string) => void) => Promise<readonly Figure[]>;

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/**
 * The value below which a share `q` of `values` lies, between neighbours where it falls between.
 */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

/** Four digits that count, and all digits of a whole number: 1030, 0.5, 12.35. */
export function formatValue(value: number): string {
  const isLarge = Math.abs(value) >= 1_000;
  const text = isLarge ? String(Math.round(value)) : value.toPrecision(4);
  // Only what stands behind a point can be left out.
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}
