import { imageSizeDefault } from "../../../shared/openai/image-request.ts";
import { utf8Length } from "../../../shared/protocol/receipt.ts";
import type { InferenceRequest } from "../engine-request.ts";
import { textsOf } from "./result-bounds.ts";

/** What a document must be to answer its request. Plain data: it travels with the task. */
export type ResultShape =
  | { readonly kind: "embedding"; readonly vectors: number; readonly dimensions: number | null }
  | { readonly kind: "rerank"; readonly scores: number }
  | { readonly kind: "classification"; readonly inputs: number }
  | {
      readonly kind: "transcription";
      readonly words: boolean;
      /** Of the prompt that goes with the sound, if one does. */
      readonly promptBytes?: number;
    }
  | {
      readonly kind: "image";
      readonly images: number;
      /** `WIDTHxHEIGHT` */
      readonly size: string;
      readonly format: "png" | "jpeg" | "webp" | null;
    };

/** The shape of a request's answer; null where the answer is a text. */
export function resultShapeOf(wanted: InferenceRequest): ResultShape | null {
  switch (wanted.kind) {
    case "chat":
    case "completion":
      return null;
    case "embedding": {
      const { input, dimensions } = wanted.request;
      return {
        kind: "embedding",
        vectors: textsOf(input).length,
        dimensions: dimensions ?? null,
      };
    }
    case "rerank":
      return { kind: "rerank", scores: wanted.request.documents.length };
    case "classification":
      return { kind: "classification", inputs: textsOf(wanted.request.input).length };
    case "transcription": {
      const granularities = wanted.request.timestamp_granularities ?? [];
      const promptBytes = utf8Length(wanted.request.prompt ?? "");
      return { kind: "transcription", words: granularities.includes("word"), promptBytes };
    }
    case "image": {
      const { n, size, output_format: format } = wanted.request;
      return {
        kind: "image",
        images: n ?? 1,
        size: size ?? imageSizeDefault,
        format: format ?? null,
      };
    }
  }
}
