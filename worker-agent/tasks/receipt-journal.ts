import type { FileHandle } from "node:fs/promises";
import { open, readFile, rename } from "node:fs/promises";
import { z } from "zod";
import { jsonOrNull } from "../../shared/json-or-null.ts";
import type { Log } from "../../shared/log.ts";
import { describeError } from "../../shared/log.ts";
import { signedReceiptSchema } from "../../shared/protocol/receipt.ts";

/**
 * Receipts that the edge has not acknowledged, on the worker's own disk.
 *
 * J1. A line is appended whole or is the file's torn end; the file is rewritten before anything is
 *     put behind a torn end.
 * J2. Lines are written and synced in groups, never on the way of a task.
 * J3. What is acknowledged before its group is written never touches the disk.
 */

const entrySchema = z.object({ ticket: z.string().max(4096), signed: signedReceiptSchema });
export type ReceiptEntry = z.infer<typeof entrySchema>;

const lineSchema = z.union([
  z.object({ keep: entrySchema }),
  z.object({ drop: z.array(z.string()) }),
]);

/**
 * Groups this long cost one sync for a busy machine's receipts, and a power cut at most this much.
 */
const groupMs = 25;
/** More than a day's answers of a slow machine; each is up to 5 KiB of memory. */
const entriesMax = 10_000;
/** Rewriting is worth it once the dead lines outnumber the living and these. */
const deadLinesMax = 1_000;

export class ReceiptJournal implements AsyncDisposable {
  readonly #path: string;
  readonly #log: Log;
  readonly #entries = new Map<string, ReceiptEntry>();
  #file: FileHandle | null = null;
  #lines = 0;
  #queuedKeeps = new Map<string, string>();
  #queuedDrops: string[] = [];
  #writing: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #waiting: (() => void)[] = [];

  private constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  /**
   * Opens the journal, making it where there is none. Throws where the file cannot be read or
   * written.
   */
  static async open(path: string, log: Log): Promise<ReceiptJournal> {
    const journal = new ReceiptJournal(path, log);
    journal.#load(await readIfThere(path));
    await journal.#rewrite();
    return journal;
  }

  get pendingCount(): number {
    return this.#entries.size;
  }

  /** The receipts nobody has acknowledged, oldest first. */
  entries(): ReceiptEntry[] {
    return [...this.#entries.values()];
  }

  has(attempt: string): boolean {
    return this.#entries.has(attempt);
  }

  find(attempt: string): ReceiptEntry | null {
    return this.#entries.get(attempt) ?? null;
  }

  keep(entry: ReceiptEntry): void {
    const { attempt } = entry.signed.receipt;
    this.#entries.set(attempt, entry);
    this.#queuedKeeps.set(attempt, JSON.stringify({ keep: entry }));
    if (this.#entries.size > entriesMax) this.#dropOldest();
    this.#schedule();
  }

  acknowledge(attempts: readonly string[]): void {
    for (const attempt of attempts) {
      if (!this.#entries.delete(attempt)) continue;
      // J3
      if (!this.#queuedKeeps.delete(attempt)) this.#queuedDrops.push(attempt);
    }
    if (this.#queuedDrops.length > 0) this.#schedule();
    if (this.#entries.size === 0) this.#wake();
  }

  /** Resolves once nothing is pending, or after `ms`. */
  async empty(ms: number): Promise<void> {
    if (this.#entries.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Puts everything on the disk. */
  async flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#writing;
    await this.#write();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
    this.#wake();
    await this.#file?.close();
    this.#file = null;
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #dropOldest(): void {
    const [oldest] = this.#entries.keys();
    if (oldest === undefined) return;
    this.#log("warn", "Too many receipts wait for the edge: the oldest is given up", {
      attempt: oldest,
    });
    this.acknowledge([oldest]);
  }

  #load(text: string): void {
    let damaged = 0;
    const lines = text.split("\n");
    // J1: what follows the last line feed was never written whole.
    lines.pop();
    for (const line of lines) {
      const parsed = lineSchema.safeParse(jsonOrNull(line));
      if (!parsed.success) damaged += 1;
      else if ("keep" in parsed.data) {
        this.#entries.set(parsed.data.keep.signed.receipt.attempt, parsed.data.keep);
      } else for (const attempt of parsed.data.drop) this.#entries.delete(attempt);
    }
    if (damaged > 0) {
      this.#log("warn", "Skipped damaged lines of the receipt journal", { lines: damaged });
    }
  }

  #schedule(): void {
    if (this.#timer !== null || this.#writing !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#write();
    }, groupMs);
  }

  async #write(): Promise<void> {
    if (this.#queuedKeeps.size === 0 && this.#queuedDrops.length === 0) return;
    this.#writing = this.#append().catch((error: unknown) => {
      // A full disk: receipts stay in memory, and the next group tries again.
      this.#log("error", "Cannot write receipts to the disk", { error: describeError(error) });
    });
    await this.#writing;
    this.#writing = null;
    if (this.#queuedKeeps.size > 0 || this.#queuedDrops.length > 0) this.#schedule();
  }

  async #append(): Promise<void> {
    if (this.#lines > 2 * this.#entries.size + deadLinesMax || this.#file === null) {
      return this.#rewrite();
    }
    const lines = [...this.#queuedKeeps.values()];
    if (this.#queuedDrops.length > 0) lines.push(JSON.stringify({ drop: this.#queuedDrops }));
    this.#queuedKeeps = new Map();
    this.#queuedDrops = [];
    const file = this.#file;
    // Until the group is known to be whole, a rewrite is what the next group needs (J1).
    this.#file = null;
    try {
      await file.appendFile(`${lines.join("\n")}\n`);
      await file.datasync();
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
    this.#file = file;
    this.#lines += lines.length;
  }

  async #rewrite(): Promise<void> {
    this.#queuedKeeps = new Map();
    this.#queuedDrops = [];
    const lines = this.entries().map((entry) => `${JSON.stringify({ keep: entry })}\n`);
    const fresh = `${this.#path}.new`;
    const file = await open(fresh, "w", 0o600);
    try {
      await file.appendFile(lines.join(""));
      await file.datasync();
    } finally {
      await file.close();
    }
    await this.#file?.close();
    this.#file = null;
    await rename(fresh, this.#path);
    this.#file = await open(this.#path, "a", 0o600);
    this.#lines = lines.length;
  }
}

async function readIfThere(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  });
}
