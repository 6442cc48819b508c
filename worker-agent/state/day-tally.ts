import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { replaceFile } from "./replace-file.ts";
import { jsonOrNull } from "../../shared/json-or-null.ts";
import { costMicros } from "../../shared/money.ts";
import type { Receipt } from "../../shared/protocol/receipt.ts";
import type { AttemptSummary } from "../tasks/attempt.ts";

const count = z.int().min(0);
export const tallySchema = z.object({
  /** The provider's own day, `2026-11-20`. */
  date: z.string(),
  tasks: z.object({ complete: count, cancelled: count, failed: count }),
  prompt_tokens: count,
  completion_tokens: count,
  /**
   * What consumers pay by the receipts that the edge acknowledged today, at list price and before
   * the network's shares.
   */
  gross_micros: count,
});
export type Tally = z.infer<typeof tallySchema>;

/** What a worker did today: kept in the state folder, so that a restart forgets nothing of it. */
export class DayTally {
  readonly #path: string;
  readonly #today: () => string;
  #tally: Tally;
  #written = "";

  private constructor(path: string, tally: Tally, today: () => string) {
    this.#path = path;
    this.#tally = tally;
    this.#today = today;
  }

  /** What is known of the day. A file that cannot be read counts as a day that begins. */
  static async open(stateDir: string, today: () => string = localDate): Promise<DayTally> {
    const path = join(stateDir, "today.json");
    const text = await readFile(path, "utf8").catch(() => "");
    const parsed = tallySchema.safeParse(jsonOrNull(text));
    return new DayTally(path, parsed.success ? parsed.data : emptyTally(today()), today);
  }

  get tally(): Tally {
    const date = this.#today();
    if (this.#tally.date !== date) this.#tally = emptyTally(date);
    return this.#tally;
  }

  attempt(summary: AttemptSummary): void {
    const { tally } = this;
    const { promptTokens, completionTokens } = summary;
    const ending = endingOf(summary);
    if (ending === null) return;
    this.#tally = {
      ...tally,
      tasks: { ...tally.tasks, [ending]: tally.tasks[ending] + 1 },
      prompt_tokens: tally.prompt_tokens + promptTokens,
      completion_tokens: tally.completion_tokens + completionTokens,
    };
  }

  /** The edge has settled what this receipt is for. */
  acknowledged(receipt: Receipt): void {
    const { tally } = this;
    const cost = costMicros(
      { promptTokens: receipt.prompt_tokens, completionTokens: receipt.completion_tokens },
      {
        inputMicrosPerMillion: receipt.input_micros_per_million,
        outputMicrosPerMillion: receipt.output_micros_per_million,
      },
    );
    this.#tally = { ...tally, gross_micros: tally.gross_micros + Number(cost) };
  }

  /** Puts it on the disk where it has changed. */
  async write(): Promise<void> {
    const text = JSON.stringify(this.tally);
    if (text === this.#written) return;
    await replaceFile(this.#path, text);
    this.#written = text;
  }
}

/** Which count an attempt belongs to; null where nothing was tried. */
export function endingOf({ outcome }: AttemptSummary): keyof Tally["tasks"] | null {
  if (outcome === "refused") return null;
  return outcome === "complete" || outcome === "cancelled" ? outcome : "failed";
}

function emptyTally(date: string): Tally {
  const tasks = { complete: 0, cancelled: 0, failed: 0 };
  return { date, tasks, prompt_tokens: 0, completion_tokens: 0, gross_micros: 0 };
}

/** The day on this machine's calendar. */
function localDate(): string {
  const now = new Date();
  const two = (value: number) => String(value).padStart(2, "0");
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}
