import { z } from "zod";
import { classificationRequestSchema } from "../../../shared/openai/classification-request.ts";
import { embeddingRequestSchema } from "../../../shared/openai/embedding-request.ts";
import { imageRequestSchema } from "../../../shared/openai/image-request.ts";
import { rerankRequestSchema } from "../../../shared/openai/rerank-request.ts";
import { transcriptionRequestSchema } from "../../../shared/openai/transcription-request.ts";
import type { RouteDescription } from "../../openapi/description.ts";
import {
  classificationAnswerSchema,
  embeddingAnswerSchema,
  imageAnswerSchema,
  rerankAnswerSchema,
  transcriptionAnswerSchema,
} from "../../openapi/result-answers.ts";
import { inferenceAnswerHeaders, inferenceErrors, inferenceHeaders } from "./describe-inference.ts";

const common = {
  method: "post",
  access: "inference",
  headers: inferenceHeaders,
  answerHeaders: inferenceAnswerHeaders,
  errors: inferenceErrors,
} as const;

const { audio: _audio, file_name: _name, ...formFields } = transcriptionRequestSchema.shape;

/** The form of a transcription as clients send it. */
const transcriptionFormSchema = z
  .looseObject({
    file: z.string().meta({ format: "binary", description: "The recording" }),
    ...formFields,
  })
  .meta({ id: "TranscriptionRequest" });

/** The routes of `inference.ts` that answer one document, as the document tells of them. */
export const resultDescriptions: readonly RouteDescription[] = [
  {
    ...common,
    name: "createEmbeddings",
    path: "/v1/embeddings",
    summary: "Turn texts into vectors",
    body: embeddingRequestSchema.meta({
      id: "EmbeddingRequest",
      examples: [{ model: "all-minilm-l6-v2", input: ["a fox", "a dog"] }],
    }),
    answer: embeddingAnswerSchema,
  },
  {
    ...common,
    name: "createRerank",
    path: "/v1/rerank",
    summary: "Order documents by how well they answer a query",
    body: rerankRequestSchema.meta({
      id: "RerankRequest",
      examples: [
        { model: "bge-reranker-base", query: "What is red?", documents: ["Foxes", "Grass"] },
      ],
    }),
    answer: rerankAnswerSchema,
  },
  {
    ...common,
    name: "createClassification",
    path: "/v1/classify",
    summary: "Label texts",
    body: classificationRequestSchema.meta({
      id: "ClassificationRequest",
      examples: [{ model: "distilbert-sst-2", input: "What a day!" }],
    }),
    answer: classificationAnswerSchema,
  },
  {
    ...common,
    name: "createTranscription",
    path: "/v1/audio/transcriptions",
    summary: "Write down speech",
    about:
      "A form, as OpenAI's clients send it, of at most 4 MiB in all. The answer comes as one " +
      "document, never as a stream. Which files a model reads, its `audio:…` abilities tell.",
    body: transcriptionFormSchema,
    bodyForm: "multipart",
    answer: transcriptionAnswerSchema,
    textAnswers: ["text/plain", "text/vtt"],
  },
  {
    ...common,
    name: "createImage",
    path: "/v1/images/generations",
    summary: "Make pictures",
    about:
      "Pictures come in the answer itself, as base64. Each side is a multiple of 64 pixels. What " +
      "`output_format` a model makes, its `image:…` abilities tell.",
    body: imageRequestSchema.meta({
      id: "ImageRequest",
      examples: [{ model: "stable-diffusion", prompt: "a fox in the snow", size: "512x512" }],
    }),
    answer: imageAnswerSchema,
  },
];
