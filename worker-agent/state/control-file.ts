import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { replaceFile } from "./replace-file.ts";

/*
 * What the provider asked of the worker of a state folder, from another process: it is looked at
 * while the worker runs, and a pause outlives it. Each wish has a file of its own that is replaced
 * as a whole, so that two that are made at once cannot undo each other.
 */

const pauseSchema = z.object({
  v: z.literal(1),
  pause: z
    .object({
      since_ms: z.int(),
      /** Null is until somebody resumes. */
      until_ms: z.int().nullable(),
    })
    .nullable(),
});

const stopSchema = z.object({
  v: z.literal(1),
  /**
   * For this process alone, as its lock names it: one that starts later is not meant, though in a
   * container it may have the same number.
   */
  stop: z.object({ pid: z.int(), started: z.string().nullable(), now: z.boolean() }).nullable(),
});

export type Control = z.infer<typeof pauseSchema> & z.infer<typeof stopSchema>;

/** What was asked, or null where it cannot be understood whether the worker is paused. */
export async function readControl(stateDir: string): Promise<Control | null> {
  const paused = await readWish(controlPath(stateDir), pauseSchema, { v: 1, pause: null });
  // A stop that cannot be understood is for no process; the next one is written anew.
  const stopped = await readWish(stopPath(stateDir), stopSchema, null);
  return paused === null ? null : { ...paused, stop: stopped?.stop ?? null };
}

/** The wish in a file: `unasked` where there is none, null where it cannot be understood. */
async function readWish<Wish>(
  path: string,
  schema: z.ZodType<Wish>,
  unasked: Wish | null,
): Promise<Wish | null> {
  try {
    const parsed = schema.safeParse(JSON.parse(await readFile(path, "utf8")));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    // Nobody has asked for anything yet; else it is damaged, or not ours to read.
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    return isMissing ? unasked : null;
  }
}

/** Changes what is asked; a damaged file is forgotten. */
export async function changeControl(
  stateDir: string,
  { pause, stop }: Partial<Pick<Control, "pause" | "stop">>,
): Promise<void> {
  if (pause !== undefined)
    await replaceFile(controlPath(stateDir), JSON.stringify({ v: 1, pause }));
  if (stop !== undefined) await replaceFile(stopPath(stateDir), JSON.stringify({ v: 1, stop }));
}

/** The file that says whether the worker is paused. */
export function controlPath(stateDir: string): string {
  return join(stateDir, "control.json");
}

function stopPath(stateDir: string): string {
  return join(stateDir, "stop.json");
}
