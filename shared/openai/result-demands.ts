import { audioAbility, audioFormatOf } from "./audio-format.ts";
import {
  type ClassificationRequest,
  classificationRequestSchema,
} from "./classification-request.ts";
import { type Ability, type Demands, otherFields } from "./demands.ts";
import { type EmbeddingRequest, embeddingRequestSchema } from "./embedding-request.ts";
import { type ImageRequest, imageRequestSchema } from "./image-request.ts";
import { type RerankRequest, rerankRequestSchema } from "./rerank-request.ts";
import { type TranscriptionRequest, transcriptionRequestSchema } from "./transcription-request.ts";

/** What a request for embeddings demands. */
export function embeddingDemands(request: EmbeddingRequest): Demands {
  const fieldByAbility = new Map<Ability, string>([["embeddings", "input"]]);
  if (typeof request.dimensions === "number") {
    fieldByAbility.set("embedding_dimensions", "dimensions");
  }
  return documentDemands(request, embeddingRequestSchema, fieldByAbility);
}

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

/** What a request for images demands. */
export function imageDemands(request: ImageRequest): Demands {
  return documentDemands(request, imageRequestSchema, new Map([["images", "prompt"]]));
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
