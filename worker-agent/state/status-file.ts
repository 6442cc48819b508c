import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

export const agentStatusSchema = z.object({
  version: z.string(),
  worker: z.string(),
  edge: z.string(),
  /** `serving`, `waiting` (to dial again) or a step in between. */
  connection: z.string(),
  region: z.string().nullable(),
  hub: z.string().nullable(),
  account: z.string().nullable(),
  draining: z.boolean(),
  models: z.array(
    z.object({
      name: z.string(),
      context_tokens: z.int(),
      quantization: z.string(),
      slots: z.int(),
      running: z.int(),
      listed: z.boolean(),
      /** Why the edge does not list it. */
      refused: z.string().nullable(),
    }),
  ),
  tasks: z.object({ complete: z.int(), cancelled: z.int(), failed: z.int() }),
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  pending_receipts: z.int(),
  started_ms: z.int(),
  updated_ms: z.int(),
});
/** What a running worker says about itself. */
export type AgentStatus = z.infer<typeof agentStatusSchema>;

/** Replaces the status in `stateDir` as a whole: a reader never sees half of one. */
export async function writeStatus(stateDir: string, status: AgentStatus): Promise<void> {
  const path = statusPath(stateDir);
  await writeFile(`${path}.new`, JSON.stringify(status), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** The status a worker last wrote, or null where none did. */
export async function readStatus(stateDir: string): Promise<AgentStatus | null> {
  try {
    const parsed = agentStatusSchema.safeParse(
      JSON.parse(await readFile(statusPath(stateDir), "utf8")),
    );
    return parsed.success ? parsed.data : null;
  } catch {
    // No file, or one of another version: nothing is known.
    return null;
  }
}

export async function removeStatus(stateDir: string): Promise<void> {
  await rm(statusPath(stateDir), { force: true });
}

function statusPath(stateDir: string): string {
  return join(stateDir, "status.json");
}
