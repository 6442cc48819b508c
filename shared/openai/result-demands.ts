import { audioAbility, audioFormatOf } from "./audio-format.ts";
import {
  type ClassificationRequest,
  classificationRequestSchema,
} from "./classification-request.ts";
import { type Ability, type Demands, otherFields } from "./demands.ts";
import { type EmbeddingRequest, embeddingRequestSchema } from "./embedding-request.ts";
import {
  imageAbility,
  type ImageFormat,
  type ImageRequest,
  imageRequestSchema,
  imageSizeDefault,
} from "./image-request.ts";
import { answerBytesMax } from "../protocol/limits.ts";
import { type RerankRequest, rerankRequestSchema } from "./rerank-request.ts";
import { type TranscriptionRequest, transcriptionRequestSchema } from "./transcription-request.ts";

/** What a request for embeddings demands. */
export function embeddingDemands(request: EmbeddingRequest): Demands {
  const fieldByAbility = new Map<Ability, string>([["embeddings", "input"]]);
  if (typeof request.dimensions === "number") {
    fieldByAbility.set("embedding_dimensions", "dimensions");
  }
  return (
    tooManyVectors(request, fieldByAbility) ??
    documentDemands(request, embeddingRequestSchema, fieldByAbility)
  );
}

/** Vectors travel as base64 of four bytes a number. */
const charsPerDimension = (4 * 4) / 3;

/** More than one answer holds is refused before anybody works on it. */
function tooManyVectors(
  { input, dimensions }: EmbeddingRequest,
  fieldByAbility: Map<Ability, string>,
): Demands | null {
  const most = Math.floor(answerBytesMax / (charsPerDimension * (dimensions ?? 1) + textChars));
  if (typeof input === "string" || input.length <= most) return null;
  const held = `${most} vectors of ${dimensions} dimensions`;
  const reason = `one answer holds ${held}; send fewer at a time`;
  return { fieldByAbility, refused: { param: "input", reason } };
}

/** Quotes, a comma and padding around each piece of base64. */
const textChars = 8;

/** What a request to rank documents demands. */
export function rerankDemands(request: RerankRequest): Demands {
  return documentDemands(request, rerankRequestSchema, new Map([["rerank", "documents"]]));
}

/** What a request to classify texts demands. */
export function classificationDemands(request: ClassificationRequest): Demands {
  const fieldByAbility = new Map<Ability, string>([["classification", "input"]]);
  return documentDemands(request, classificationRequestSchema, fieldByAbility);
}

/** What a request to transcribe speech demands. */
export function transcriptionDemands(request: TranscriptionRequest): Demands {
  const fieldByAbility = new Map<Ability, string>([["transcription", "file"]]);
  const format = audioFormatOf(request.audio);
  // A file of another sort is for its worker to judge.
  if (format !== null) fieldByAbility.set(audioAbility(format), "file");
  const granularities = request.timestamp_granularities ?? [];
  if (granularities.includes("word")) {
    fieldByAbility.set("word_timestamps", "timestamp_granularities");
  }
  if (granularities.length > 0 && request.response_format !== "verbose_json") {
    const reason = "it needs response_format: verbose_json";
    return { fieldByAbility, refused: { param: "timestamp_granularities", reason } };
  }
  return documentDemands(request, transcriptionRequestSchema, fieldByAbility);
}

/**
 * What a pixel is reckoned at: a PNG of nothing but noise takes three bytes, and what shows
 * something takes less; the others are made to be small.
 */
const bytesPerPixel: Readonly<Record<ImageFormat, number>> = { png: 2, jpeg: 1, webp: 1 };

/** What a request for images demands. */
export function imageDemands(request: ImageRequest): Demands {
  const fieldByAbility = new Map<Ability, string>([["images", "prompt"]]);
  const { n, size, output_format: format } = request;
  // Whoever names none takes what comes.
  if (typeof format === "string") fieldByAbility.set(imageAbility(format), "output_format");
  const [width = 0, height = 0] = (size ?? imageSizeDefault).split("x").map(Number);
  const chars = (width * height * bytesPerPixel[format ?? "png"] * 4) / 3;
  // One alone is asked for all the same: most of any size are smaller.
  const most = Math.max(1, Math.floor(answerBytesMax / (chars + textChars)));
  if ((n ?? 1) > most) {
    const reason = `one answer holds ${most} of ${size ?? imageSizeDefault}; send fewer at a time`;
    return { fieldByAbility, refused: { param: "n", reason } };
  }
  return documentDemands(request, imageRequestSchema, fieldByAbility);
}

/** Values of fields that OpenAI's clients know which ask for nothing; any other is a demand. */
const neutralValues = new Map<string, readonly unknown[]>([
  ["stream", [false]],
  ["chunking_strategy", ["auto"]],
  ["include", [[]]],
  ["partial_images", [0]],
  ["quality", ["auto"]],
  ["background", ["auto"]],
  ["moderation", ["auto"]],
]);

function documentDemands(
  request: Readonly<Record<string, unknown>>,
  schema: { readonly shape: object },
  fieldByAbility: Map<Ability, string>,
): Demands {
  if (request["stream"] === true) {
    const reason = "the answer comes as one document; leave it out or send false";
    return { fieldByAbility, refused: { param: "stream", reason } };
  }
  return otherFields(request, new Set(Object.keys(schema.shape)), fieldByAbility, neutralValues);
}
