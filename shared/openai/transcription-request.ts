import { z } from "zod";
import { octoOptionsInForm } from "./octo-options.ts";

const transcriptionFormats = ["json", "text", "srt", "verbose_json", "vtt"] as const;

/**
 * `POST /v1/audio/transcriptions` once its form is read: the file as base64, everything else as
 * the form's fields. `response_format` shapes the answer at the edge; engines always give text and
 * times.
 */
export const transcriptionRequestSchema = z.looseObject({
  model: z.string().min(1).max(200),
  /** The audio file's bytes, base64. */
  audio: z.base64().min(1),
  /** `audio` and an ending that tells the container's format: nobody needs the caller's name. */
  file_name: z.string().min(1).max(255),
  /** ISO 639-1. */
  language: z
    .string()
    .regex(/^[a-z]{2,3}$/, "an ISO 639-1 code, say `en`")
    .nullish(),
  prompt: z.string().max(4096).nullish(),
  temperature: z.number().min(0).max(1).nullish(),
  response_format: z.enum(transcriptionFormats).nullish(),
  octo: octoOptionsInForm.nullish(),
  timestamp_granularities: z
    .array(z.enum(["segment", "word"]))
    .max(2)
    .nullish(),
});

export type TranscriptionRequest = z.infer<typeof transcriptionRequestSchema>;
