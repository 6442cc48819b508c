import { imageTokens } from "../../../shared/openai/image-request.ts";
import type { TranscriptionRequest } from "../../../shared/openai/transcription-request.ts";
import { utf8Length } from "../../../shared/protocol/receipt.ts";
import { audioSeconds } from "./audio-length.ts";
import type { ResultRequest } from "../engine-request.ts";

/**
 * Tokens a model may put around one text, generously: marks of its beginning and end, a task's
 * prefix.
 */
const tokensPerText = 64;
/** Whisper and its kin turn a second of sound into fifty frames, each a position of the encoder. */
const tokensPerSecond = 50;
/**
 * Whisper writes at most 224 tokens for its window of 30 s, times included; twice that is beyond
 * any speaker.
 */
const spokenTokensPerSecond = 15;
/** Whatever the length, one window may be filled. */
const spokenTokensLeast = 448;

/**
 * The most tokens of a task whose answer is one document. Every input is read apart, so the context
 * bounds each of them and not their sum. Vectors, scores and labels are no tokens.
 */
export function resultBounds(
  wanted: ResultRequest,
  contextTokens: number,
): { readonly promptTokensMax: number; readonly completionTokensMax: number } {
  const ofText = (bytes: number) => Math.min(bytes + tokensPerText, contextTokens);
  switch (wanted.kind) {
    case "embedding":
    case "classification": {
      const bounds = textsOf(wanted.request.input).map((text) => ofText(utf8Length(text)));
      return { promptTokensMax: sum(bounds), completionTokensMax: 0 };
    }
    case "rerank": {
      const { query, documents } = wanted.request;
      const queryBytes = utf8Length(query);
      const bounds = documents.map((text) => ofText(queryBytes + utf8Length(text)));
      return { promptTokensMax: sum(bounds), completionTokensMax: 0 };
    }
    case "transcription":
      return spokenBounds(wanted.request);
    case "image": {
      const { prompt, size, n } = wanted.request;
      return {
        promptTokensMax: utf8Length(prompt) + tokensPerText,
        completionTokensMax: imageTokens(size ?? undefined) * (n ?? 1),
      };
    }
  }
}

/** The texts of an `input`: one, or a list. */
export function textsOf(input: string | readonly string[]): readonly string[] {
  return typeof input === "string" ? [input] : input;
}

function spokenBounds(request: TranscriptionRequest) {
  return spokenTokens(audioSeconds(request.audio), utf8Length(request.prompt ?? ""));
}

/** The most tokens of so many seconds of speech, and of the prompt that goes with it. */
export function spokenTokens(seconds: number, promptBytes: number) {
  return {
    promptTokensMax: Math.ceil(seconds * tokensPerSecond) + promptBytes + tokensPerText,
    completionTokensMax: spokenTokensLeast + Math.ceil(seconds * spokenTokensPerSecond),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
