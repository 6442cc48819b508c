import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { TranscriptionRequest } from "../../shared/openai/transcription-request.ts";
import type { ResultAnswer } from "../engine/engine.ts";
import { failedError } from "./errors.ts";

/** How a server can be asked to answer: not each of them tells times. */
export type TranscriptionFormat = "verbose_json" | "json";

/** The form of `POST /v1/audio/transcriptions` (RFC 7578). */
export function transcriptionForm(
  request: TranscriptionRequest,
  model: string,
  format: TranscriptionFormat,
): { readonly contentType: string; readonly content: Buffer } {
  const boundary = `octo-${randomBytes(16).toString("hex")}`;
  const fields: [string, string][] = [
    ["model", model],
    ["response_format", format],
  ];
  for (const name of ["language", "prompt", "temperature"] as const) {
    const value = request[name];
    if (value !== null && value !== undefined) fields.push([name, String(value)]);
  }
  for (const granularity of request.timestamp_granularities ?? []) {
    fields.push(["timestamp_granularities[]", granularity]);
  }
  // The consumer's name of the file would be a way into the form's headers; its ending is enough.
  const ending = /\.([A-Za-z0-9]{1,5})$/.exec(request.file_name)?.[1] ?? "wav";
  const head = fields.map(
    ([name, value]) =>
      `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const file =
    `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="audio.${ending}"\r\n` +
    "content-type: application/octet-stream\r\n\r\n";
  const content = Buffer.concat([
    Buffer.from(head.join("") + file),
    Buffer.from(request.audio, "base64"),
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
  return { contentType: `multipart/form-data; boundary=${boundary}`, content };
}

/**
 * Servers do not count tokens of speech. Whisper and its kin turn a second into fifty frames, each
 * a position of the encoder; and a word has at least one token.
 */
const tokensPerSecond = 50;

const time = z.union([z.number().min(0), z.string().transform(Number)]).pipe(z.number().min(0));

/** OpenAI's `verbose_json`; servers that know only `json` give the text alone. */
const answerSchema = z.object({
  text: z.string(),
  language: z.string().max(64).nullish(),
  duration: time.nullish(),
  segments: z.array(z.object({ start: time, end: time, text: z.string() })).nullish(),
  words: z.array(z.object({ start: time, end: time, word: z.string() })).nullish(),
});

/** Reads a server's transcription. Throws EngineError. */
export function readTranscription(value: unknown): ResultAnswer {
  const parsed = answerSchema.safeParse(value);
  if (!parsed.success) {
    throw failedError("the model's server gave what is no transcription", parsed.error);
  }
  const { text, language, duration, segments, words } = parsed.data;
  const result = {
    text,
    language: isoCode(language ?? null),
    duration_s: duration ?? segments?.at(-1)?.end ?? 0,
    segments: segments ?? null,
    words: words ?? null,
  };
  const prompt = Math.ceil(result.duration_s * tokensPerSecond);
  const completion = text.split(/\s+/).filter((word) => word !== "").length;
  return { result, usage: { prompt, completion, cached: 0 } };
}

/** Whisper's servers say `english` where OpenAI says `en`. */
function isoCode(language: string | null): string | null {
  if (language === null) return null;
  if (/^[a-z]{2,3}$/.test(language)) return language;
  const names = new Intl.DisplayNames(["en"], { type: "language" });
  const codes =
    "ar cs da de el en es fi fr he hi hu id it ja ko nl no pl pt ro ru sv th tr uk vi zh";
  const found = codes.split(" ").find((code) => names.of(code)?.toLowerCase() === language);
  return found ?? null;
}
