import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { replaceFile } from "../state/replace-file.ts";
import type { JsonValue } from "../../shared/crypto/jcs.ts";
import { canonicalJson } from "../../shared/crypto/jcs.ts";
import { audioAbility, audioFormats } from "../../shared/openai/audio-format.ts";
import type { Ability } from "../../shared/openai/abilities.ts";
import { abilities as allAbilities } from "../../shared/openai/abilities.ts";
import { imageAbility, imageFormats } from "../../shared/openai/image-request.ts";
import type { Probed } from "./probe-model.ts";

/** Probes that ask otherwise find otherwise: a change of theirs counts this up. */
const probesVersion = 3;

const known = new Set<string>([
  ...allAbilities,
  ...audioFormats.map(audioAbility),
  ...imageFormats.map(imageAbility),
]);
const cachedSchema = z.object({
  abilities: z.array(z.string().refine((text): text is Ability => known.has(text))).min(1),
  transcriptionFormat: z.enum(["verbose_json", "json"]),
});

/**
 * What was found of a model before, else what `probe` finds now. `subject` is everything that makes
 * it this model on this server in this version.
 */
export async function cachedProbe(
  folder: string,
  subject: JsonValue,
  probe: () => Promise<Probed>,
): Promise<Probed> {
  const key = canonicalJson({ probes: probesVersion, subject });
  const path = join(folder, `${createHash("sha256").update(key).digest("hex")}.json`);
  const found = await read(path);
  if (found !== null) return found;
  const probed = await probe();
  // A server that was busy or gone for a moment, even with all of it, is asked again.
  if (!probed.isCertain || probed.abilities.length === 0) return probed;
  const { abilities, transcriptionFormat } = probed;
  await mkdir(folder, { recursive: true });
  await replaceFile(path, JSON.stringify({ abilities, transcriptionFormat }));
  return probed;
}

async function read(path: string): Promise<Probed | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    // Not probed yet, or the cache cannot be read: probing again is always right.
    return null;
  }
  try {
    const parsed = cachedSchema.safeParse(JSON.parse(text));
    return parsed.success ? { ...parsed.data, isCertain: true } : null;
  } catch {
    // A file that was cut by a crash.
    return null;
  }
}
