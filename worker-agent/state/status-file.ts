import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { replaceFile } from "./replace-file.ts";
import { declaredSpeedSchema } from "../../shared/protocol/listing.ts";
import { tallySchema } from "./day-tally.ts";

/** Raised whenever a field changes its meaning or goes; new fields alone do not raise it. */
export const statusVersion = 2;

const count = z.int().min(0);
/** Milliseconds since 1970. */
const time = z.int();

const modelStatusSchema = z.object({
  name: z.string(),
  /** What runs it, as its listing says. */
  engine: z.string(),
  context_tokens: count,
  quantization: z.string(),
  /** Answers at once. */
  slots: count,
  running: count,
  /** Taken, and waiting for the model to be loaded or for a slot of its engine. */
  waiting: count,
  /** Whether consumers can ask for it. */
  listed: z.boolean(),
  /** Why it is not listed, in a sentence; null where it is. */
  not_listed: z.string().nullable(),
  /** What it claimed and the edge found not to work, which is left out of its listing. */
  struck: z.array(z.object({ ability: z.string(), reason: z.string() })),
  /** `failing`: tasks would fail now; `unloaded`: the next task loads it. */
  health: z.enum(["ready", "unloaded", "failing"]),
  /** Whether it takes memory now; another server's model counts as loaded. */
  loaded: z.boolean(),
  /** What it takes now; null where another process holds it. */
  memory_bytes: z.number().nullable(),
  /** Made just now, all its answers together. */
  tokens_per_s: z.number(),
  /** What was measured on this machine; null where nothing was. */
  declared_speed: declaredSpeedSchema.nullable(),
  tasks: z.object({ complete: count, cancelled: count, failed: count }),
});
export type ModelStatus = z.infer<typeof modelStatusSchema>;

const connectionEventSchema = z.object({
  at_ms: time,
  kind: z.enum(["connected", "disconnected"]),
  /** The hub, or why the connection ended. */
  detail: z.string(),
  /** The close code; null for a connection that was made. */
  code: z.int().nullable(),
});

export const agentStatusSchema = z.object({
  v: z.literal(statusVersion),
  version: z.string(),
  pid: z.int(),
  worker: z.string(),
  edge: z.string(),
  /** `serving`, `waiting` (to dial again) or a step in between. */
  connection: z.string(),
  region: z.string().nullable(),
  hub: z.string().nullable(),
  account: z.string().nullable(),
  /** Since when the present connection serves; null without one. */
  connected_ms: time.nullable(),
  /** The last comings and goings, newest last. */
  connections: z.array(connectionEventSchema),
  draining: z.boolean(),
  /** Whether the provider lets it work now. */
  availability: z.union([
    z.object({ kind: z.literal("open"), since_ms: time }),
    z.object({
      kind: z.literal("closed"),
      cause: z.enum(["paused", "hours", "gpu", "load"]),
      /** A sentence for the provider. */
      reason: z.string(),
      since_ms: time,
      /** When it opens by itself; null where that depends. */
      until_ms: time.nullable(),
    }),
  ]),
  /** Why no task can come now, in a sentence; null where one can. */
  no_work: z.string().nullable(),
  models: z.array(modelStatusSchema),
  /** Models that could not be loaded at the start. */
  unserved: z.array(z.object({ name: z.string(), reason: z.string() })),
  /** Since the start, as is the next line; `today` outlives a restart. */
  tasks: z.object({ complete: count, cancelled: count, failed: count }),
  prompt_tokens: count,
  completion_tokens: count,
  tokens_per_s: z.number(),
  today: tallySchema,
  pending_receipts: count,
  /** Memory of this process; models on a GPU are beside it. */
  rss_bytes: count,
  started_ms: time,
  updated_ms: time,
});
/** What a running worker says about itself: the one place that views and metrics read from. */
export type AgentStatus = z.infer<typeof agentStatusSchema>;

/** Replaces the status in `stateDir` as a whole: a reader never sees half of one. */
export async function writeStatus(stateDir: string, status: AgentStatus): Promise<void> {
  await replaceFile(statusPath(stateDir), JSON.stringify(status));
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
