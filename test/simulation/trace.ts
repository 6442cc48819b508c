import type { Schedule } from "./schedule.ts";

/** How many of the last events a failure shows. */
const lastEvents = 60;

/** What happened, in one line each: the last of it for failures, all of it where somebody looks. */
export class Trace {
  /** A running hash of every line: two runs of one seed agree in it or are not the same. */
  hash = 0;
  readonly #schedule: Schedule;
  readonly #print: ((line: string) => void) | null;
  readonly #lines: string[] = [];

  constructor(schedule: Schedule, print: ((line: string) => void) | null) {
    this.#schedule = schedule;
    this.#print = print;
  }

  note(who: string, what: string): void {
    const line = `${String(this.#schedule.elapsedMs).padStart(8)} ${who.padEnd(12)} ${what}`;
    for (let i = 0; i < line.length; i++)
      this.hash = Math.imul(this.hash ^ line.charCodeAt(i), 16777619);
    this.#print?.(line);
    this.#lines.push(line);
    if (this.#lines.length > 4 * lastEvents) this.#lines.splice(0, 3 * lastEvents);
  }

  last(): string[] {
    return this.#lines.slice(-lastEvents);
  }
}
