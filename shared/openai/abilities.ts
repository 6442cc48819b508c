import type { AudioAbility } from "./audio-format.ts";
import type { ImageAbility } from "./image-request.ts";

/**
 * What an engine can do beyond plain sampling. A listing states its abilities and a request demands
 * some. `param:NAME` is an engine's own request field (say `param:top_k`), `audio:FORMAT` a sort of
 * file it hears (say `audio:mp3`), `image:FORMAT` one it makes.
 */
export const abilities = [
  "chat",
  "completions",
  "embeddings",
  "embedding_dimensions",
  "rerank",
  "classification",
  "transcription",
  "word_timestamps",
  "images",
  "seed",
  "penalties",
  "logit_bias",
  "logprobs",
  "choices",
  "json_object",
  "json_schema",
  "tools",
  "vision",
  "audio_input",
  "audio_output",
  // Goes on from the beginning of an answer that another worker gave.
  "forced_prefix",
  "reasoning_effort",
  "verbosity",
  "web_search",
] as const;

export type Ability = (typeof abilities)[number] | AudioAbility | ImageAbility | `param:${string}`;

const known: ReadonlySet<string> = new Set(abilities);

/** Whether there may be such an ability: one of the list, a file format or an engine's field. */
export function isAbility(name: string): name is Ability {
  return known.has(name) || /^(audio|image|param):[A-Za-z0-9_.-]+$/.test(name);
}
