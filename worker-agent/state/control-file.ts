import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

/*
 * What the provider asked of the worker of a state folder, from another process: it is looked at
 * while the worker runs, and a pause outlives it.
 */

const controlSchema = z.object({
  v: z.literal(1),
  pause: z
    .object({
      since_ms: z.int(),
      /** Null is until somebody resumes. */
      until_ms: z.int().nullable(),
    })
    .nullable(),
  /**
   * For this process alone, as its lock names it: one that starts later is not meant, though in a
   * container it may have the same number.
   */
  stop: z.object({ pid: z.int(), started: z.string().nullable(), now: z.boolean() }).nullable(),
});
export type Control = z.infer<typeof controlSchema>;

const nothingAsked: Control = { v: 1, pause: null, stop: null };

/** What was asked, or null where the file cannot be understood. */
export async function readControl(stateDir: string): Promise<Control | null> {
  try {
    const text = await readFile(controlPath(stateDir), "utf8");
    const parsed = controlSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    // Nobody has asked for anything yet; else it is damaged, or not ours to read.
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    return isMissing ? nothingAsked : null;
  }
}

/** Changes what is asked; the file is replaced as a whole, and a damaged one forgotten. */
export async function changeControl(
  stateDir: string,
  changes: Partial<Pick<Control, "pause" | "stop">>,
): Promise<void> {
  const before = (await readControl(stateDir)) ?? nothingAsked;
  const path = controlPath(stateDir);
  await writeFile(`${path}.new`, JSON.stringify({ ...before, ...changes }), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

export function controlPath(stateDir: string): string {
  return join(stateDir, "control.json");
}
