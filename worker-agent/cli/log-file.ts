import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { describeError } from "../../shared/log.ts";

/** Some weeks of a busy worker's lines, and nobody's disk. */
const bytesMaxDefault = 10 * 2 ** 20;
/** The file and `.1` to `.4` behind it. */
const filesMaxDefault = 5;

/**
 * A log file that does not grow without end: when it is full it becomes `.1`, `.1` becomes `.2`,
 * and the oldest goes. A disk that is full costs lines, never the worker.
 */
export class LogFile {
  readonly #path: string;
  readonly #bytesMax: number;
  readonly #filesMax: number;
  readonly #onFailure: (sentence: string) => void;
  #fd: number | null = null;
  #bytes = 0;
  #isFailing = false;

  constructor(
    path: string,
    options: {
      /** Told once when lines begin to be lost. */
      readonly onFailure: (sentence: string) => void;
      readonly bytesMax?: number;
      readonly filesMax?: number;
    },
  ) {
    this.#path = path;
    this.#bytesMax = options.bytesMax ?? bytesMaxDefault;
    this.#filesMax = options.filesMax ?? filesMaxDefault;
    this.#onFailure = options.onFailure;
  }

  write(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    try {
      this.#open();
      if (this.#bytes > 0 && this.#bytes + bytes.length > this.#bytesMax) this.#rotate();
      writeSync(this.#open(), bytes);
      this.#bytes += bytes.length;
      this.#isFailing = false;
    } catch (error) {
      this.close();
      if (!this.#isFailing) {
        this.#onFailure(`Cannot write the log file ${this.#path}: ${describeError(error)}`);
      }
      this.#isFailing = true;
    }
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #open(): number {
    if (this.#fd !== null) return this.#fd;
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    this.#fd = openSync(this.#path, "a", 0o600);
    this.#bytes = fstatSync(this.#fd).size;
    return this.#fd;
  }

  #rotate(): void {
    this.close();
    for (let number = this.#filesMax - 2; number >= 0; number--) {
      const from = number === 0 ? this.#path : `${this.#path}.${number}`;
      try {
        renameSync(from, `${this.#path}.${number + 1}`);
      } catch (error) {
        // One that is not there yet: the log is young.
        if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
      }
    }
  }
}
