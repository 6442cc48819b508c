import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { replaceFile } from "../state/replace-file.ts";
import type { Log } from "../../shared/log.ts";
import { describeError } from "../../shared/log.ts";
import { benchmarkSchema } from "./benchmark.ts";

/*
 * What was measured on this machine, in one file of the state folder. Losing it costs a few seconds
 * at the next start, so a file that cannot be read is begun anew.
 */

/** More models than a disk holds, in a file that is read in a millisecond. */
const entriesMax = 64;
const fileBytesMax = 2 ** 20;

const entrySchema = z.object({
  /** Names the measurement: see `benchmarkKey`. */
  key: z.string().max(64),
  /** Names what was opened, before anybody knows its digest: see `sourceKey`. */
  source: z.string().max(64),
  /** The slots that were found best; null where the number was given. */
  best_slots: z.int().min(1).max(4096).nullable(),
  measured_ms: z.int().min(0),
  benchmark: benchmarkSchema,
});
export type BenchmarkEntry = z.infer<typeof entrySchema>;

const fileSchema = z.object({ version: z.literal(1), entries: z.array(entrySchema) });

/** Servers beside the worker change their version unseen, and machines age. */
const ageMsMax = 30 * 24 * 3_600_000;

export class BenchmarkCache {
  readonly #path: string;
  readonly #log: Log;
  readonly #nowMs: () => number;
  #entries: readonly BenchmarkEntry[];

  private constructor(
    path: string,
    entries: readonly BenchmarkEntry[],
    more: { readonly log: Log; readonly nowMs: () => number },
  ) {
    this.#path = path;
    this.#entries = entries;
    this.#log = more.log;
    this.#nowMs = more.nowMs;
  }

  static async open(
    stateDir: string,
    log: Log,
    nowMs: () => number = Date.now,
  ): Promise<BenchmarkCache> {
    const path = join(stateDir, "benchmarks.json");
    return new BenchmarkCache(path, await readEntries(path, log), { log, nowMs });
  }

  /** The measurement of this key, unless it is a month old. */
  find(key: string): BenchmarkEntry | null {
    return this.#fresh((entry) => entry.key === key);
  }

  /** How many slots were best for what was opened from this source. */
  bestSlotsOf(source: string): number | null {
    const found = this.#fresh((entry) => entry.source === source && entry.best_slots !== null);
    return found?.best_slots ?? null;
  }

  #fresh(matches: (entry: BenchmarkEntry) => boolean): BenchmarkEntry | null {
    const found = this.#entries.find(matches);
    if (found === undefined) return null;
    const ageMs = this.#nowMs() - found.measured_ms;
    // A clock that was set back must not keep a measurement for ever.
    return ageMs >= 0 && ageMs < ageMsMax ? found : null;
  }

  /** Keeps a measurement, the newest first. A disk that takes none only costs the next start. */
  async put(entry: Omit<BenchmarkEntry, "measured_ms">): Promise<void> {
    const others = this.#entries.filter(({ key }) => key !== entry.key);
    const added = { ...entry, measured_ms: Math.max(0, Math.floor(this.#nowMs())) };
    this.#entries = [added, ...others].slice(0, entriesMax);
    try {
      await replaceFile(this.#path, JSON.stringify({ version: 1, entries: this.#entries }));
    } catch (error) {
      const path = this.#path;
      this.#log("warn", "Cannot keep what was measured", { path, error: describeError(error) });
    }
  }
}

async function readEntries(path: string, log: Log): Promise<readonly BenchmarkEntry[]> {
  const found = await stat(path).catch(() => null);
  // Nothing was measured yet.
  if (found === null) return [];
  try {
    if (found.size > fileBytesMax) throw new Error(`it has ${found.size} bytes`);
    return fileSchema.parse(JSON.parse(await readFile(path, "utf8"))).entries;
  } catch {
    log("warn", "What was measured before cannot be read, so it is measured again", { path });
    return [];
  }
}

/** A name for everything given, in any order of members that is always the same. */
export function keyOf(parts: Readonly<Record<string, string | number | boolean | null>>): string {
  const sorted = Object.entries(parts).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("hex").slice(0, 32);
}
