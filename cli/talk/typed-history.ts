import { appendFile } from "node:fs/promises";
import { historyPath } from "../session/folders.ts";
import { fileError, hasCode, readPrivateFile, writePrivateFile } from "../session/private-file.ts";
import type { World } from "../world.ts";

/** As many as anybody looks back for; the file is cut when it has twice as many. */
const linesMax = 1_000;

/** The lines typed in chats, kept over days. Those that begin with a space are not kept. */
export class TypedHistory {
  readonly #path: string;
  #lines: string[];

  private constructor(path: string, lines: string[]) {
    this.#path = path;
    this.#lines = lines;
  }

  static async load(world: Pick<World, "env" | "home">): Promise<TypedHistory> {
    const path = historyPath(world);
    const text = (await readPrivateFile(path)) ?? "";
    const lines = text.split("\n").filter((line) => line !== "");
    if (lines.length > 2 * linesMax) {
      await writePrivateFile(path, `${lines.slice(-linesMax).join("\n")}\n`);
    }
    return new TypedHistory(path, lines.slice(-linesMax));
  }

  /** The newest first, as readline wants them. */
  get newestFirst(): string[] {
    return this.#lines.toReversed();
  }

  async add(line: string): Promise<void> {
    if (line.trim() === "" || line.startsWith(" ") || line === this.#lines.at(-1)) return;
    this.#lines = [...this.#lines, line].slice(-linesMax);
    try {
      await appendFile(this.#path, `${line}\n`, { mode: 0o600 });
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw fileError("write", this.#path, error);
      await writePrivateFile(this.#path, `${line}\n`);
    }
  }
}
