import { parseArgs } from "node:util";

/** What `npm start` can be told. */
export interface Options {
  readonly port: number;
  readonly workers: number;
  readonly model: string;
  readonly fresh: boolean;
}

/** One line for a person, and exit code 2: the words of the call are wrong. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const usage = `Runs the whole network on this machine: libSQL, the edge, and real workers.

  npm start                          http://127.0.0.1:8787 and one worker
  npm start -- --workers 3           three workers
  npm start -- --port 9000           another port
  npm start -- --model ./my.gguf     another model: a GGUF file, hf:OWNER/REPO/FILE.gguf,
                                     or synthetic:NAME
  npm start -- --fresh               forget everything in .octo/ first

Settings of the edge (OCTO_DISPUTE_MS, OCTO_X402_PAY_TO and others, as in wrangler.toml) are taken
from the environment. State is kept in .octo/ and survives a restart. Scripts read .octo/dev.json.
Ctrl-C stops everything.`;

/** The options, or `help`. Throws UsageError, which says what is accepted. */
export function readOptions(words: readonly string[]): Options | "help" {
  const { values } = parsed(words);
  if (values.help === true) return "help";
  return {
    port: integer("--port", values.port, { least: 1, most: 65_535 }),
    // Sixteen embedded engines are more than any laptop has cores for.
    workers: integer("--workers", values.workers, { least: 0, most: 16 }),
    model: values.model,
    fresh: values.fresh,
  };
}

function parsed(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        port: { type: "string", default: "8787" },
        workers: { type: "string", default: "1" },
        model: { type: "string", default: "octo-tiny" },
        fresh: { type: "boolean", default: false },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message.split(". ")[0] : "unknown option";
    throw new UsageError(`${reason}. See npm start -- --help`);
  }
}

function integer(
  flag: string,
  text: string,
  range: { readonly least: number; readonly most: number },
): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < range.least || value > range.most) {
    throw new UsageError(
      `${flag} must be a whole number from ${range.least} to ${range.most}, not ${text}`,
    );
  }
  return value;
}
