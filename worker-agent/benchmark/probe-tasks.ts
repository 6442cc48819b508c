import { toBase64 } from "../../shared/crypto/bytes.ts";
import { chatRequestSchema } from "../../shared/openai/chat-request.ts";
import { classificationRequestSchema } from "../../shared/openai/classification-request.ts";
import { completionRequestSchema } from "../../shared/openai/completion-request.ts";
import type { Ability } from "../../shared/openai/demands.ts";
import { embeddingRequestSchema } from "../../shared/openai/embedding-request.ts";
import { imageRequestSchema } from "../../shared/openai/image-request.ts";
import { rerankRequestSchema } from "../../shared/openai/rerank-request.ts";
import { kindByAbility, type TaskKind } from "../../shared/openai/task-kinds.ts";
import { transcriptionRequestSchema } from "../../shared/openai/transcription-request.ts";
import { toneWav } from "../../shared/wav.ts";
import type { GenerateTask, ResultTask } from "../engine/engine.ts";

/*
 * The tasks a measurement runs: as consumers would send them, each with a beginning of its own, so
 * that no cache of an earlier one answers.
 */

const model = "benchmark";

/** The kind of task an engine is measured by: its first ability; null where it has none. */
export function kindToMeasure(abilities: readonly Ability[]): TaskKind | null {
  for (const [ability, kind] of kindByAbility) if (abilities.includes(ability)) return kind;
  return null;
}

const words =
  "the river runs past an old mill and under a stone bridge where two children count boats while " +
  "their mother reads a long letter from a friend who went to sea many years ago";
const wordList = words.split(" ");

/** Text of so many words; another salt is another text from its first word on. */
function textOf(count: number, salt: number): string {
  const text: string[] = [`${salt}.`];
  for (let at = 0; text.length < count; at++) {
    text.push(wordList[(at * (1 + (salt % 7)) + salt) % wordList.length] ?? "a");
  }
  return text.join(" ");
}

/** A text to answer: `promptWords` long, answered with at most so many tokens. */
export function generateTask(
  kind: "chat" | "completion",
  shape: { readonly promptWords: number; readonly answerTokens: number; readonly salt: number },
): GenerateTask {
  const text = textOf(shape.promptWords, shape.salt);
  // Warm sampling: the likeliest words of a small model often end its answer at once.
  const sampling = { model, max_tokens: shape.answerTokens, temperature: 0.8 };
  if (kind === "completion") {
    return { kind, request: completionRequestSchema.parse({ ...sampling, prompt: text }) };
  }
  const messages = [{ role: "user", content: `Tell a long story that goes on from: ${text}` }];
  return { kind, request: chatRequestSchema.parse({ ...sampling, messages }) };
}

/** A task whose answer is a document, and how much of it there is to do. */
export interface ResultProbe {
  readonly task: ResultTask;
  readonly items: number;
}

/** What results of each kind are counted by. */
export const unitByKind: Record<TaskKind, string> = {
  chat: "tokens",
  completion: "tokens",
  embedding: "inputs",
  rerank: "documents",
  classification: "inputs",
  transcription: "seconds of audio",
  image: "images",
};

const batchItems = 8;
const audioSeconds = 5;

/** A small task of a kind: eight texts, some seconds of a tone, one image. */
export function resultProbe(kind: ResultTask["kind"], salt: number): ResultProbe {
  const texts = Array.from({ length: batchItems }, (_, at) => textOf(24, salt * batchItems + at));
  switch (kind) {
    case "embedding": {
      const request = embeddingRequestSchema.parse({ model, input: texts });
      return { task: { kind, request }, items: batchItems };
    }
    case "rerank": {
      const query = textOf(6, salt);
      const request = rerankRequestSchema.parse({ model, query, documents: texts });
      return { task: { kind, request }, items: batchItems };
    }
    case "classification": {
      const request = classificationRequestSchema.parse({ model, input: texts });
      return { task: { kind, request }, items: batchItems };
    }
    case "transcription": {
      const audio = toBase64(toneWav(audioSeconds, 200 + (salt % 200)));
      const fields = { model, audio, file_name: "tone.wav" };
      return {
        task: { kind, request: transcriptionRequestSchema.parse(fields) },
        items: audioSeconds,
      };
    }
    case "image": {
      const fields = { model, prompt: textOf(8, salt), size: "256x256", n: 1 };
      return { task: { kind, request: imageRequestSchema.parse(fields) }, items: 1 };
    }
  }
}

/** One text of so many words, for the kinds that read a text of any length; else null. */
export function longProbe(kind: ResultTask["kind"], words: number, salt: number) {
  const input = textOf(words, salt);
  if (kind === "embedding") {
    return { kind, request: embeddingRequestSchema.parse({ model, input }) } as const;
  }
  if (kind === "classification") {
    return { kind, request: classificationRequestSchema.parse({ model, input }) } as const;
  }
  return null;
}
