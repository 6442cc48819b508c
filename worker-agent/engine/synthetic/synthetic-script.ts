import { z } from "zod";

/**
 * What a test asks of the synthetic engine in the last user message; see `synthetic.ts` for the
 * language.
 */
const scriptSchema = z.strictObject({
  tokens: z.coerce.number().int().min(0).max(1_000_000).optional(),
  rate: z.coerce.number().min(0).max(1_000_000).optional(),
  delay: z.coerce.number().min(0).max(600_000).optional(),
  burst: z.coerce.number().int().min(1).max(1_000_000).optional(),
  fail: z
    .enum(["context_length_exceeded", "invalid_request", "out_of_memory", "engine_failed"])
    .optional(),
  after: z.coerce.number().int().min(0).optional(),
  hang: z.literal("").optional(),
  text: z.string().optional(),
  tool: z.string().min(1).max(128).optional(),
  args: z.string().optional(),
});

export type SyntheticScript = z.infer<typeof scriptSchema>;

const opening = "[synthetic";

/** The script inside `prompt`; an empty one where there is none or it is not wholly understood. */
export function readScript(prompt: string): SyntheticScript {
  const start = prompt.indexOf(opening);
  if (start < 0) return {};
  const fields: Record<string, string> = {};
  const item = /\s+([a-z]+)(?:=(?:"([^"]*)"|'([^']*)'|([^\s\]"']*)))?/y;
  item.lastIndex = start + opening.length;
  let end = item.lastIndex;
  for (let match = item.exec(prompt); match !== null; match = item.exec(prompt)) {
    const [, key = "", inDouble, inSingle, bare] = match;
    fields[key] = inDouble ?? inSingle ?? bare ?? "";
    end = item.lastIndex;
  }
  if (!/^\s*\]/.test(prompt.slice(end, end + 64))) return {};
  const parsed = scriptSchema.safeParse(fields);
  return parsed.success ? parsed.data : {};
}
