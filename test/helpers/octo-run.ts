import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { onTestFinished } from "vitest";
import type { Input } from "../../cli/world.ts";
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
  /** What a person types at each prompt, in their turn; the input is then theirs. */
  readonly typed?: readonly string[];
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
      input: options.typed === undefined ? piped(options.input ?? "") : typing(options.typed),
      env: options.env ?? {},
      home: this.home,
      cwd: options.cwd ?? this.home,
      interrupts: options.interrupts ?? new Interrupts(),
      nowMs: Date.now,
    });
    return { code, out, err };
  }
}

function piped(text: string): Input {
  const stream = Readable.from([Buffer.from(text)]);
  return { stream, echo: new PassThrough(), isInteractive: false };
}

/** A person who waits for a prompt and types; after the last of it the terminal is closed. */
function typing(keys: readonly string[]): Input {
  const stream = new PassThrough();
  const echo = new PassThrough();
  let turn = 0;
  // A prompt is drawn whole, and its own line is cleared first.
  echo.setEncoding("utf8").on("data", (text: string) => {
    if (!text.includes("you › ")) return;
    const next = keys[turn++];
    if (next === undefined) stream.end();
    else stream.write(next);
  });
  return { stream, echo, isInteractive: true };
}
