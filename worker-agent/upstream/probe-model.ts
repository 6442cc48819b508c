import { audioAbility, audioFormats } from "../../shared/openai/audio-format.ts";
import type { Ability } from "../../shared/openai/demands.ts";
import { imageAbility, imageFormats } from "../../shared/openai/image-request.ts";
import { ProbeSubject } from "./probe-subject.ts";
import * as probe from "./probes.ts";
import type { TranscriptionFormat } from "./transcription.ts";
import type { UpstreamEngine } from "./upstream-engine.ts";

/** What a model was seen to do. */
export interface Probed {
  readonly abilities: readonly Ability[];
  readonly transcriptionFormat: TranscriptionFormat;
  /** Whether nothing failed: else the model may do more than this. */
  readonly isCertain: boolean;
}

type Found = Omit<Probed, "isCertain">;
type SubjectIn = (format: TranscriptionFormat) => ProbeSubject;

/** A server that serves others as well is not to be filled by questions about itself. */
const atOnce = 2;

/**
 * Asks a model for each ability. `engineWith` is an engine of it that takes everything, by the
 * format that it asks transcriptions in.
 */
export async function probeModel(
  name: string,
  engineWith: (format: TranscriptionFormat) => UpstreamEngine,
  signal: AbortSignal,
): Promise<Probed> {
  const subjects: ProbeSubject[] = [];
  const found = await probeAll((format) => {
    const subject = new ProbeSubject(name, engineWith(format), signal);
    subjects.push(subject);
    return subject;
  });
  return { ...found, isCertain: !subjects.some(({ hasFailed }) => hasFailed) };
}

async function probeAll(subjectIn: SubjectIn): Promise<Found> {
  const subject = subjectIn("verbose_json");
  const abilities = new Set<Ability>();
  // First and alone: it may load the model, which takes as long as it takes.
  if (await probe.canChat(subject)) {
    abilities.add("chat");
    if (await probe.canComplete(subject)) abilities.add("completions");
    await askAll(subject, probe.chatProbes, abilities);
  } else if (await probe.canComplete(subject)) {
    abilities.add("completions");
  }
  const needsBoth = abilities.has("logprobs") && abilities.has("completions");
  if (needsBoth && !(await probe.completesWithLogprobs(subject))) abilities.delete("logprobs");
  if (!abilities.has("chat")) await askAll(subject, probe.otherProbes, abilities);
  if (abilities.has("embeddings") && (await probe.shortens(subject))) {
    abilities.add("embedding_dimensions");
  }
  if (abilities.size > 0) return { abilities: [...abilities], transcriptionFormat: "json" };
  return probeMedia(subjectIn);
}

/** Sound or images: only a model that does nothing else is asked, because it costs seconds. */
async function probeMedia(subjectIn: SubjectIn): Promise<Found> {
  for (const transcriptionFormat of ["verbose_json", "json"] as const) {
    const subject = subjectIn(transcriptionFormat);
    if (!(await probe.transcribes(subject))) continue;
    // What reads a compressed file has a decoder for those that OpenAI's endpoint takes.
    const formats = (await probe.hearsMp3(subject)) ? audioFormats : (["wav"] as const);
    const abilities: Ability[] = ["transcription", ...formats.map(audioAbility)];
    if (await probe.timesWords(subject)) abilities.push("word_timestamps");
    return { abilities, transcriptionFormat };
  }
  const subject = subjectIn("json");
  const abilities: Ability[] = (await probe.draws(subject)) ? ["images"] : [];
  for (const format of abilities.length === 0 ? [] : imageFormats) {
    if (await probe.drawsAs(subject, format)) abilities.push(imageAbility(format));
  }
  return { abilities, transcriptionFormat: "json" };
}

async function askAll(
  subject: ProbeSubject,
  probes: readonly (readonly [Ability, probe.Probe])[],
  abilities: Set<Ability>,
): Promise<void> {
  const waiting = [...probes];
  const ask = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [ability, isProved] = next;
      if (await isProved(subject)) abilities.add(ability);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, ask));
}
