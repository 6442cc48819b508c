import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { onTestFinished } from "vitest";
import { Interrupts } from "../../cli/interrupts.ts";
import { main } from "../../cli/main.ts";

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  readonly input?: string;
  readonly cwd?: string;
  /** How wide the screen of a person is; a program reads without one. */
  readonly columns?: number;
  readonly interrupts?: Interrupts;
  /** Called with all that was printed so far, whenever there is more. */
  readonly onOut?: (out: string) => void;
}

/** A machine of one user, with a home folder of its own. */
export class OctoMachine {
  readonly home: string;

  constructor() {
    this.home = mkdtempSync(join(tmpdir(), "octo-cli-"));
    onTestFinished(() => rmSync(this.home, { recursive: true, force: true }));
  }

  path(...names: string[]): string {
    return join(this.home, ...names);
  }

  /** Runs `octo` in this process. */
  async run(words: readonly string[], options: RunOptions = {}): Promise<Said> {
    let out = "";
    let err = "";
    const print = (text: string) => {
      out += text;
      options.onOut?.(out);
    };
    const plain = (_style: string, text: string) => text;
    const code = await main(words, {
      terminal: {
        write: (line) => print(`${line}\n`),
        print,
        error: (line) => void (err += `${line}\n`),
        hint: (text) => void (err += text),
        isInteractive: options.columns !== undefined,
        isWatched: false,
        columns: options.columns ?? null,
        paint: plain,
        paintBeside: plain,
      },
      input: {
        stream: Readable.from([Buffer.from(options.input ?? "")]),
        echo: new PassThrough(),
        isInteractive: false,
      },
      env: options.env ?? {},
      home: this.home,
      cwd: options.cwd ?? this.home,
      interrupts: options.interrupts ?? new Interrupts(),
      nowMs: Date.now,
    });
    return { code, out, err };
  }
}
