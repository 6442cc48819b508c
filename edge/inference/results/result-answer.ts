import { assert } from "../../../shared/assert.ts";
import { utf8 } from "../../../shared/crypto/bytes.ts";
import type { TokenCounts } from "../../../shared/money.ts";
import { imageSizeDefault } from "../../../shared/openai/image-request.ts";
import type { ResultKind } from "../../../shared/openai/results.ts";
import { answerUsage } from "../answer-head.ts";
import type { ResultRequest } from "../engine-request.ts";
import { type ResultOf, readResult, vectorOf } from "./result-fault.ts";
import { transcriptionAnswer } from "./transcription-answer.ts";

/** What is known of an answer beside its document. */
export interface ResultHead {
  readonly taskId: string;
  readonly createdMs: number;
  readonly model: string;
  readonly counts: TokenCounts;
}

/** The body of an answer and what it is; a stream where it would be too long for one text. */
export interface ResultBody {
  readonly body: string | ReadableStream<Uint8Array>;
  readonly contentType: string;
}

/** A checked document in the shape in which its API answers. */
export function resultAnswer(wanted: ResultRequest, head: ResultHead, text: string): ResultBody {
  switch (wanted.kind) {
    case "embedding":
      return embeddingAnswer(wanted.request, head, documentOf("embedding", text));
    case "rerank":
      return json(rerankAnswer(wanted.request, head, documentOf("rerank", text)));
    case "classification":
      return json(classificationAnswer(head, documentOf("classification", text)));
    case "transcription":
      return transcriptionAnswer(wanted.request, head, documentOf("transcription", text));
    case "image":
      return json(imageAnswer(wanted.request, head, documentOf("image", text)));
  }
}

function documentOf<Kind extends ResultKind>(kind: Kind, text: string): ResultOf<Kind> {
  const read = readResult(kind, text);
  assert(read.kind === "result", "a hub lets no document through that is not one of its kind");
  return read.result;
}

function json(body: Record<string, unknown>): ResultBody {
  return { body: JSON.stringify(body), contentType: "application/json" };
}

type RequestOf<Kind extends ResultRequest["kind"]> = Extract<
  ResultRequest,
  { kind: Kind }
>["request"];

function embeddingAnswer(
  request: RequestOf<"embedding">,
  head: ResultHead,
  { vectors }: ResultOf<"embedding">,
): ResultBody {
  const asBase64 = request.encoding_format === "base64";
  const item = (vector: string, index: number) => ({
    object: "embedding",
    index,
    embedding: asBase64 ? vector : [...(vectorOf(vector) ?? [])],
  });
  const around = { model: head.model, usage: promptUsage(head) };
  if (asBase64) return json({ object: "list", data: vectors.map(item), ...around });
  const pieces = vectorPieces(vectors, item, around);
  return { body: streamOf(pieces), contentType: "application/json" };
}

/** Numbers as text take several times their bytes, so only one vector of them stands at a time. */
function* vectorPieces(
  vectors: readonly string[],
  item: (vector: string, index: number) => Record<string, unknown>,
  around: Readonly<Record<string, unknown>>,
): Generator<string, void, void> {
  yield '{"object":"list","data":[';
  for (const [index, vector] of vectors.entries()) {
    yield `${index === 0 ? "" : ","}${JSON.stringify(item(vector, index))}`;
  }
  yield `],${JSON.stringify(around).slice(1)}`;
}

/** Makes each piece when it is read. */
function streamOf(pieces: Iterator<string, void, void>): ReadableStream<Uint8Array> {
  return new ReadableStream(
    {
      pull(controller) {
        const next = pieces.next();
        if (next.done === true) controller.close();
        else controller.enqueue(utf8(next.value));
      },
    },
    { highWaterMark: 0 },
  );
}

function rerankAnswer(
  request: RequestOf<"rerank">,
  head: ResultHead,
  { scores }: ResultOf<"rerank">,
): Record<string, unknown> {
  const withDocuments = request.return_documents === true;
  const results = scores
    .map((score, index) => ({
      index,
      relevance_score: score,
      ...(withDocuments ? { document: { text: request.documents[index] } } : {}),
    }))
    .toSorted((a, b) => b.relevance_score - a.relevance_score)
    .slice(0, request.top_n ?? scores.length);
  const id = `rerank-${idSuffix(head)}`;
  return { id, object: "list", model: head.model, results, usage: promptUsage(head) };
}

function classificationAnswer(
  head: ResultHead,
  { labels }: ResultOf<"classification">,
): Record<string, unknown> {
  const data = labels.map((candidates, index) => ({
    index,
    label: candidates[0]?.label ?? "",
    probs: candidates.map(({ score }) => score),
    labels: candidates.map(({ label }) => label),
    num_classes: candidates.length,
  }));
  const created = createdSeconds(head);
  const { model } = head;
  const id = `classify-${idSuffix(head)}`;
  return { id, object: "list", created, model, data, usage: promptUsage(head) };
}

function imageAnswer(
  request: RequestOf<"image">,
  head: ResultHead,
  { images, format }: ResultOf<"image">,
): Record<string, unknown> {
  const { promptTokens, completionTokens } = head.counts;
  return {
    created: createdSeconds(head),
    data: images.map((image) => ({ b64_json: image })),
    output_format: format,
    size: request.size ?? imageSizeDefault,
    usage: {
      input_tokens: promptTokens,
      input_tokens_details: { text_tokens: promptTokens, image_tokens: 0 },
      output_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
    },
  };
}

/** Usage of what has no completion. */
function promptUsage({ counts }: ResultHead): Record<string, unknown> {
  const { prompt_tokens, total_tokens } = answerUsage(counts);
  return { prompt_tokens, total_tokens };
}

function createdSeconds(head: ResultHead): number {
  return Math.floor(head.createdMs / 1000);
}

function idSuffix({ taskId }: ResultHead): string {
  return taskId.slice("tsk_".length);
}
