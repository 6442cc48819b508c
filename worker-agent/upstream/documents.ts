import { z } from "zod";
import type { ClassificationRequest } from "../../shared/openai/classification-request.ts";
import type { EmbeddingRequest } from "../../shared/openai/embedding-request.ts";
import type { ImageRequest } from "../../shared/openai/image-request.ts";
import { imageSizeDefault, imageTokens } from "../../shared/openai/image-request.ts";
import type { RerankRequest } from "../../shared/openai/rerank-request.ts";
import type { TaskResult } from "../../shared/openai/results.ts";
import { resultSchemas } from "../../shared/openai/results.ts";
import type { ResultAnswer, ResultTask } from "../engine/engine.ts";
import { failedError } from "./errors.ts";

/** A task whose answer is a document, as a server is asked for it. */
export interface DocumentRequest {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

type JsonTask = Exclude<ResultTask, { kind: "transcription" }>;

export function documentRequest(task: JsonTask, model: string): DocumentRequest {
  const fields = sentFields(task, model);
  switch (task.kind) {
    case "embedding":
      // Four bytes a number instead of some twenty; servers that do not know it send numbers.
      return { path: "/v1/embeddings", body: { ...fields, encoding_format: "base64" } };
    case "rerank":
      // Every document's score is wanted; the edge leaves out what the consumer does not.
      return { path: "/v1/rerank", body: fields };
    case "classification":
      return { path: "/classify", body: fields };
    case "image": {
      const size = task.request.size ?? imageSizeDefault;
      const prompt = task.request.prompt.replaceAll(extraArguments, "");
      const shape = { size, n: task.request.n ?? 1, response_format: "b64_json" };
      const body = { ...fields, prompt, ...shape };
      return { path: "/v1/images/generations", body };
    }
  }
}

/** stable-diffusion.cpp takes settings out of the prompt, its steps and its files among them. */
const extraArguments = /<sd_cpp_extra_args>[\s\S]*?(?:<\/sd_cpp_extra_args>|$)/g;

/** What the kind's schema names; what else a request holds is nothing for somebody's server. */
const fieldsByKind = {
  embedding: ["input", "dimensions"],
  rerank: ["query", "documents"],
  classification: ["input"],
  image: ["output_format"],
} as const;

function sentFields({ kind, request }: JsonTask, model: string): Record<string, unknown> {
  const fields: readonly string[] = fieldsByKind[kind];
  const given = Object.entries(request).filter(([name, value]) => {
    return fields.includes(name) && value !== null && value !== undefined;
  });
  return { ...Object.fromEntries(given), model };
}

const usageSchema = z
  .object({ prompt_tokens: z.int().min(0).nullish(), total_tokens: z.int().min(0).nullish() })
  .nullish();

/**
 * Reads the document of a server's answer, whose scores of documents may be logits. Throws
 * EngineError where it is not one.
 */
export function readDocument(task: JsonTask, value: unknown, areLogits: boolean): ResultAnswer {
  const read = readers[task.kind];
  const { result, prompt, completion } = read(value, task.request as never, areLogits);
  const checked = resultSchemas[task.kind].safeParse(result);
  if (!checked.success) throw wrong(task.kind, checked.error);
  return { result: checked.data, usage: { prompt, completion, cached: 0 } };
}

interface Read {
  readonly result: TaskResult;
  readonly prompt: number;
  readonly completion: number;
}

const readers = {
  embedding: readEmbeddings,
  rerank: readRerank,
  classification: readClassification,
  image: readImages,
} as const;

const embeddingsSchema = z.object({
  data: z.array(z.object({ index: z.int().min(0), embedding: z.unknown() })),
  usage: usageSchema,
});

function readEmbeddings(value: unknown, request: EmbeddingRequest): Read {
  const { data, usage } = parse("embedding", embeddingsSchema, value);
  const inputs = typeof request.input === "string" ? 1 : request.input.length;
  const vectors = inOrder("embedding", data, inputs).map(({ embedding }) => vectorOf(embedding));
  if (vectors.some((vector) => vector.length !== vectors[0]?.length)) {
    throw failedError("the model's server gave vectors of different lengths");
  }
  const result = { vectors: vectors.map((vector) => vector.toString("base64")) };
  return { result, prompt: promptTokens(usage), completion: 0 };
}

/** Little-endian 32-bit floats, from the base64 of them or from numbers. */
function vectorOf(embedding: unknown): Buffer {
  if (typeof embedding === "string") {
    const bytes = Buffer.from(embedding, "base64");
    if (bytes.length > 0 && bytes.length % 4 === 0 && isFinite32(bytes)) return bytes;
    throw failedError("the model's server gave a vector that is no list of floats");
  }
  const numbers = Array.isArray(embedding) ? (embedding as unknown[]) : [];
  const bytes = Buffer.alloc(numbers.length * 4);
  for (const [at, number] of numbers.entries()) {
    if (typeof number !== "number" || !Number.isFinite(number)) {
      throw failedError("the model's server gave a vector that holds no numbers");
    }
    bytes.writeFloatLE(number, at * 4);
  }
  if (bytes.length === 0) throw failedError("the model's server gave an empty vector");
  return bytes;
}

function isFinite32(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += 4) {
    if (!Number.isFinite(bytes.readFloatLE(at))) return false;
  }
  return true;
}

const rerankSchema = z.object({
  results: z.array(z.object({ index: z.int().min(0), relevance_score: z.number() })),
  usage: usageSchema,
});

function readRerank(value: unknown, request: RerankRequest, areLogits: boolean): Read {
  const { results, usage } = parse("rerank", rerankSchema, value);
  const ordered = inOrder("rerank", results, request.documents.length);
  const raw = ordered.map(({ relevance_score: score }) => score);
  // Never by the values: a document's score is the same whatever others it is ranked with.
  const scores = areLogits ? raw.map((score) => 1 / (1 + Math.exp(-score))) : raw;
  if (scores.some((score) => score < 0 || score > 1)) {
    throw failedError("the model's server gave scores that are not from 0 to 1");
  }
  return { result: { scores }, prompt: promptTokens(usage), completion: 0 };
}

const classificationSchema = z.object({
  data: z.array(
    z.object({
      index: z.int().min(0),
      label: z.string().nullish(),
      probs: z.array(z.number().min(0).max(1)).min(1),
    }),
  ),
  usage: usageSchema,
});

/** vLLM's `/classify`: the likeliest label's name, and the probability of each by its number. */
function readClassification(value: unknown, request: ClassificationRequest): Read {
  const { data, usage } = parse("classification", classificationSchema, value);
  const inputs = typeof request.input === "string" ? 1 : request.input.length;
  const labels = inOrder("classification", data, inputs).map(({ label, probs }) => {
    const ranked = probs
      .map((score, at) => ({ label: `LABEL_${at}`, score }))
      .toSorted((a, b) => b.score - a.score);
    const [first] = ranked;
    if (first !== undefined && typeof label === "string" && label !== "") first.label = label;
    return ranked;
  });
  return { result: { labels }, prompt: promptTokens(usage), completion: 0 };
}

const imagesSchema = z.object({ data: z.array(z.object({ b64_json: z.string().min(1) })).min(1) });

function readImages(value: unknown, request: ImageRequest): Read {
  const { data } = parse("image", imagesSchema, value);
  const wanted = request.n ?? 1;
  if (data.length !== wanted) {
    throw failedError(`the model's server gave ${data.length} images, not ${wanted}`);
  }
  const images = data.map(({ b64_json: image }) => image);
  const formats = new Set(images.map(imageFormat));
  const [format] = formats;
  if (format === undefined || format === null || formats.size > 1) {
    throw failedError("the model's server gave what is no image");
  }
  const completion = wanted * imageTokens(request.size ?? imageSizeDefault);
  return { result: { images, format }, prompt: 0, completion };
}

/** By the first bytes of the file. */
function imageFormat(base64: string): "png" | "jpeg" | "webp" | null {
  const head = Buffer.from(base64.slice(0, 16), "base64");
  if (head.subarray(0, 4).equals(Buffer.from([0x89, 0x50, 0x4e, 0x47]))) return "png";
  if (head.subarray(0, 3).equals(Buffer.from([0xff, 0xd8, 0xff]))) return "jpeg";
  const isRiff = head.toString("latin1", 0, 4) === "RIFF";
  return isRiff && head.toString("latin1", 8, 12) === "WEBP" ? "webp" : null;
}

/** One item for each of `count` inputs, in their order. */
function inOrder<Item extends { readonly index: number }>(
  kind: string,
  items: readonly Item[],
  count: number,
): Item[] {
  const ordered = items.toSorted((a, b) => a.index - b.index);
  if (ordered.length === count && ordered.every(({ index }, at) => index === at)) return ordered;
  throw failedError(`the model's server answered ${items.length} of ${count} ${kind} inputs`);
}

function promptTokens(usage: z.infer<typeof usageSchema>): number {
  return usage?.prompt_tokens ?? usage?.total_tokens ?? 0;
}

function parse<Value>(kind: string, schema: z.ZodType<Value>, value: unknown): Value {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw wrong(kind, parsed.error);
  return parsed.data;
}

function wrong(kind: string, cause: unknown) {
  return failedError(`the model's server gave what is no ${kind} result`, cause);
}
