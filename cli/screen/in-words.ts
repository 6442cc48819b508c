import { formatCredits } from "../../shared/money.ts";

/** Micros that came as JSON, in credits. */
export function credits(micros: number): string {
  return formatCredits(BigInt(micros));
}

/** Thousands apart, the same everywhere: 1 234 567. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, " ");
}

/** So many of something: 1 journal, 2 journals. */
export function many(value: number, word: string): string {
  return `${count(value)} ${word}${value === 1 ? "" : "s"}`;
}

/** A time to the second, in UTC as the edge's books are kept. */
export function time(iso: string | null): string {
  return iso === null ? "-" : iso.replace("T", " ").replace(/(\.\d+)?Z$/, "Z");
}

/** How long something took. */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1_000)} s`;
}
