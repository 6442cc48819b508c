import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { CommandError, Interrupted } from "../failures.ts";
import type { World } from "../world.ts";

/** Longer is no key. */
const lineCharsMax = 8_192;

/** Asks a person for a secret, showing nothing of what is typed. */
export async function askSecret(question: string, world: World): Promise<string> {
  const { terminal, input } = world;
  if (!input.isInteractive) {
    throw new CommandError(
      `${question}: nobody types here; give it with --key - on standard input`,
    );
  }
  terminal.hint(`${question} (nothing is shown): `);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: input.stream, output: silent, terminal: true });
  try {
    return await new Promise<string>((resolve, reject) => {
      reader.once("line", resolve);
      reader.once("SIGINT", () => reject(new Interrupted("interrupted while asking")));
      reader.once("close", () => reject(new CommandError("No key was given")));
    });
  } finally {
    reader.close();
    terminal.hint("\n");
  }
}

/** All of standard input up to its end. */
export async function readInput(world: World, bytesMax: number): Promise<string> {
  const { signal } = world.interrupts;
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  const stop = () => void world.input.stream.destroy(new Interrupted("interrupted while reading"));
  signal.addEventListener("abort", stop);
  try {
    for await (const piece of world.input.stream as AsyncIterable<Uint8Array | string>) {
      const part = typeof piece === "string" ? Buffer.from(piece) : piece;
      bytes += part.byteLength;
      if (bytes > bytesMax) {
        throw new CommandError(`Standard input has over ${bytesMax} bytes, more than can be sent`);
      }
      pieces.push(part);
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** The secret on standard input: its one line. */
export async function readSecret(world: World): Promise<string> {
  return (await readInput(world, lineCharsMax)).trim();
}
