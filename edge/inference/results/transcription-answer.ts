import type { TranscriptionRequest } from "../../../shared/openai/transcription-request.ts";
import type { TranscriptionResult } from "../../../shared/openai/results.ts";
import type { ResultBody, ResultHead } from "./result-answer.ts";

/** A transcript in the form the request names; `json` unless it names one. */
export function transcriptionAnswer(
  request: TranscriptionRequest,
  head: ResultHead,
  result: TranscriptionResult,
): ResultBody {
  switch (request.response_format ?? "json") {
    case "json":
      return json({ text: result.text, usage: tokenUsage(head) });
    case "verbose_json":
      return json(verbose(request, result));
    case "text":
      return plain(`${result.text}\n`);
    case "srt":
      return plain(srt(result));
    case "vtt":
      return { body: vtt(result), contentType: "text/vtt; charset=utf-8" };
  }
}

function json(body: Record<string, unknown>): ResultBody {
  return { body: JSON.stringify(body), contentType: "application/json" };
}

function plain(body: string): ResultBody {
  return { body, contentType: "text/plain; charset=utf-8" };
}

function tokenUsage({ counts }: ResultHead): Record<string, unknown> {
  const { promptTokens, completionTokens } = counts;
  return {
    type: "tokens",
    input_tokens: promptTokens,
    output_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

/** Segments are what one gets who asks for no granularity, as at OpenAI. */
function verbose(
  request: TranscriptionRequest,
  result: TranscriptionResult,
): Record<string, unknown> {
  const granularities = request.timestamp_granularities ?? ["segment"];
  return {
    task: "transcribe",
    language: result.language ?? request.language ?? "",
    duration: result.duration_s,
    text: result.text,
    ...(granularities.includes("segment")
      ? { segments: segmentsOf(result).map((segment, id) => ({ id, ...segment })) }
      : {}),
    ...(granularities.includes("word") ? { words: result.words ?? [] } : {}),
    usage: { type: "duration", seconds: Math.ceil(result.duration_s) },
  };
}

type Segment = NonNullable<TranscriptionResult["segments"]>[number];

/** The segments, or the whole as one where the engine knows no times. */
function segmentsOf(result: TranscriptionResult): readonly Segment[] {
  if (result.segments !== null) return result.segments;
  return result.text === "" ? [] : [{ start: 0, end: result.duration_s, text: result.text }];
}

/** SubRip: a number, a line of times, the text, an empty line. */
function srt(result: TranscriptionResult): string {
  return segmentsOf(result)
    .map((segment, index) => `${index + 1}\n${cue(segment, ",", (text) => text)}`)
    .join("");
}

/** WebVTT (W3C): as SubRip, with a head, full stops, and text that is no markup. */
function vtt(result: TranscriptionResult): string {
  const cues = segmentsOf(result).map((segment) => cue(segment, ".", withoutMarkup));
  return `WEBVTT\n\n${cues.join("")}`;
}

function cue({ start, end, text }: Segment, point: string, escape: (text: string) => string) {
  // An empty line would end the cue, and an arrow would look like another's times.
  const line = text
    .trim()
    .replaceAll(/\s*[\r\n]\s*/g, " ")
    .replaceAll(/-{2,}>/g, "->");
  return `${clock(start, point)} --> ${clock(end, point)}\n${escape(line)}\n\n`;
}

function withoutMarkup(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** `01:02:03.456` */
function clock(seconds: number, point: string): string {
  const ms = Math.round(seconds * 1000);
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  const [hours, minutes, rest] = [ms / 3_600_000, (ms / 60_000) % 60, (ms / 1000) % 60];
  const thousandths = String(ms % 1000).padStart(3, "0");
  return `${two(hours)}:${two(minutes)}:${two(rest)}${point}${thousandths}`;
}
