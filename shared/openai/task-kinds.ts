import type { Ability } from "./demands.ts";

/** What can be asked of a worker. The first two grow token by token, the others come as one. */
export const taskKinds = [
  "chat",
  "completion",
  "embedding",
  "rerank",
  "classification",
  "transcription",
  "image",
] as const;

export type TaskKind = (typeof taskKinds)[number];

/** The kinds whose answer grows token by token. */
export type GeneratedKind = "chat" | "completion";

/** Whether the answer is a text that grows and can be streamed. */
export function isGenerated(kind: TaskKind): kind is GeneratedKind {
  return kind === "chat" || kind === "completion";
}

/**
 * The abilities that are a sort of task each, and open its endpoint: a listing without one of them
 * serves nothing, and a request demands exactly one.
 */
export const kindByAbility: ReadonlyMap<Ability, TaskKind> = new Map<Ability, TaskKind>([
  ["chat", "chat"],
  ["completions", "completion"],
  ["embeddings", "embedding"],
  ["rerank", "rerank"],
  ["classification", "classification"],
  ["transcription", "transcription"],
  ["images", "image"],
]);
