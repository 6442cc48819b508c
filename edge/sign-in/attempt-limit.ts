import { OctoError } from "../../shared/errors.ts";

/** Sign-ins of one address: a program that signs in for each request stays below. */
const burst = 30;
const perMinute = 30;
/** Addresses that an isolate remembers: the oldest are forgotten, and may begin anew. */
const addressesMax = 10_000;

interface Allowance {
  left: number;
  atMs: number;
}

/**
 * How often an address may ask for or answer challenges, in one isolate. What they cost is a few
 * signatures, and nothing is stored but what was rightly answered, so that a loose limit is enough.
 */
export class AttemptLimit {
  readonly #allowances = new Map<string, Allowance>();

  /** Takes one from the address's allowance; throws where none is left. */
  take(address: string | null, nowMs: number): void {
    // Only where there is no platform in front that tells addresses: on the operator's own machine.
    if (address === null) return;
    const name = networkOf(address);
    const { left, atMs } = this.#allowances.get(name) ?? { left: burst, atMs: nowMs };
    const refilled = Math.min(burst, left + (Math.max(0, nowMs - atMs) * perMinute) / 60_000);
    if (refilled < 1) {
      const retryAfterS = Math.ceil(((1 - refilled) * 60) / perMinute);
      const message = `Cannot sign in: too many sign-ins from this address; wait ${retryAfterS} s`;
      throw new OctoError("rate_limit_exceeded", message, { retryAfterS });
    }
    // Deleted first, so that the map's order is that of their last use.
    this.#allowances.delete(name);
    this.#allowances.set(name, { left: refilled - 1, atMs: Math.max(atMs, nowMs) });
    if (this.#allowances.size <= addressesMax) return;
    const [oldest] = this.#allowances.keys();
    if (oldest !== undefined) this.#allowances.delete(oldest);
  }
}

/** Whoever has one address of IPv6 has the 2^64 of its network. */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail = ""] = address.toLowerCase().split("::");
  const [first, last] = [head, tail].map((part) => (part === "" ? [] : part.split(":")));
  const [before, behind] = [first ?? [], last ?? []];
  const zeros = Array<string>(Math.max(0, 8 - before.length - behind.length)).fill("0");
  return [...before, ...zeros, ...behind].slice(0, 4).join(":");
}
