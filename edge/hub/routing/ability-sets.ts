import { abilities } from "../../../shared/openai/abilities.ts";
import type { Ability } from "../../../shared/openai/demands.ts";

/*
 * Abilities as bits. Every choice compares what a task demands with what hundreds can do, and
 * comparing names takes most of its time.
 */

/** What a worker can do: what bits say, and all of it by name. */
export interface AbilitySet {
  readonly bits: number;
  readonly names: readonly string[];
}

/** What a task demands: what bits say, and the rest (file formats, engines' own fields). */
export interface DemandedAbilities {
  readonly bits: number;
  readonly others: readonly Ability[];
}

/** Numbers have 31 bits that need no care; there are fewer named abilities. */
const bitByAbility = new Map<string, number>(
  abilities.slice(0, 31).map((ability, at) => [ability, 1 << at]),
);

export function abilitySet(names: readonly string[]): AbilitySet {
  return { bits: bitsOf(names), names };
}

export function demandedAbilities(demands: Iterable<Ability>): DemandedAbilities {
  const names = [...demands];
  const others = names.filter((ability) => !bitByAbility.has(ability));
  return { bits: bitsOf(names), others };
}

/** Whether whoever has these abilities can do all that is demanded. */
export function isAble(set: AbilitySet, { bits, others }: DemandedAbilities): boolean {
  if ((set.bits & bits) !== bits) return false;
  for (const one of others) if (!set.names.includes(one)) return false;
  return true;
}

function bitsOf(names: readonly string[]): number {
  let bits = 0;
  for (const name of names) bits |= bitByAbility.get(name) ?? 0;
  return bits;
}
