import type { HubEffect } from "../../../edge/hub/hub-state.ts";
import type { OutputPart } from "../../../shared/openai/output.ts";
import type { DownFrame } from "../../../shared/protocol/frames.ts";
import type { TaskEnd, TaskOffer } from "../../../shared/protocol/task.ts";
import type { Listing } from "../../../shared/protocol/listing.ts";
import { endFrame, framesOf, HubScene, listing } from "./hub-scene.ts";

export interface ProbeRequest {
  readonly messages?: { readonly content: string }[];
  readonly prompt?: string;
  readonly tools?: unknown[];
  readonly response_format?: { readonly type: string };
  readonly logprobs?: boolean;
  readonly seed?: number;
  readonly n?: number;
}

export interface Answer {
  readonly parts: OutputPart[];
  readonly end?: Partial<TaskEnd>;
}

/** What a fake engine answers to a probe; null says nothing at all. */
export type FakeEngine = (request: ProbeRequest) => Answer | null;

/** Answers as an engine that can do all it says. */
export const ableEngine: FakeEngine = (request) => {
  const words = (request.messages?.[0]?.content ?? request.prompt ?? "").split(" ").length;
  const usage = { prompt: words + 4, completion: 2, cached: 0 };
  if (request.tools !== undefined) {
    const call = { index: 0, id: "c", name: "paint", arguments: '{"colour":"red"}' };
    return { parts: [{ index: 0, tokens: 2, tool_calls: [call] }], end: { usage } };
  }
  const isJson = (request.response_format?.type ?? "text") !== "text";
  const text = isJson ? '{"colour":"red"}' : `ok ${request.seed ?? ""}`;
  const logprob = { token: "o", logprob: -0.5, bytes: null, top_logprobs: [] };
  const choices = request.n ?? 1;
  const parts = Array.from({ length: choices }, (_, index) => ({
    index,
    tokens: 2,
    text,
    ...(request.logprobs === true ? { logprobs: [logprob, logprob] } : {}),
  }));
  const finishes = parts.map(({ index }) => ({ index, reason: "stop" as const }));
  return { parts, end: { usage: { ...usage, completion: 2 * choices }, finishes } };
};

/** The bodies of the probes that were asked, in order. */
export type Asked = ProbeRequest[];

/**
 * Lets a worker answer every probe among `effects`, and those that follow from its answers; gives
 * all that happened.
 */
export function answerProbes(
  scene: HubScene,
  name: string,
  effects: readonly HubEffect[],
  engine: FakeEngine = ableEngine,
  asked: Asked = [],
): HubEffect[] {
  const all = [...effects];
  for (let at = 0; at < all.length; at++) {
    const effect = all[at];
    if (effect?.kind !== "send" || effect.sessionId !== name) continue;
    if (effect.frame.type !== "task.offer") continue;
    all.push(...answer(scene, name, effect.frame, engine, asked));
  }
  return all;
}

function answer(
  scene: HubScene,
  name: string,
  offer: TaskOffer,
  engine: FakeEngine,
  asked: Asked,
): HubEffect[] {
  const request = JSON.parse(offer.body) as ProbeRequest;
  asked.push(request);
  const said = engine(request);
  if (said === null) return [];
  const { parts, end } = said;
  const frame = { ...endFrame(name, offer.attempt, 0, { ...end }), parts, ...end };
  return [...scene.send(name, frame), ...scene.send(name, { type: "credit.grant", slots: 1 })];
}

/** What the worker was last told of its listings. */
export function lastResult(
  effects: readonly HubEffect[],
): Extract<DownFrame, { type: "listing.result" }> | undefined {
  return framesOf(effects, "listing.result").at(-1);
}

/** A claim of most of what a text model can do. */
export const all = listing({
  abilities: ["chat", "seed", "logprobs", "choices", "tools", "json_object", "json_schema"],
  context_tokens: 4_096,
});

export function publish(scene: HubScene, listings: Listing[], revision = 1): HubEffect[] {
  return scene.send("v", { type: "listing.publish", revision, listings });
}

/** A worker whose claims are being probed, with `slots` to give. */
export function joined(listings: Listing[] = [all], slots = 1) {
  const scene = new HubScene({ preflight: true });
  scene.open("v");
  const published = publish(scene, listings);
  const effects = [...published, ...scene.send("v", { type: "credit.grant", slots })];
  return { scene, effects };
}

export function listedOf(scene: HubScene): readonly Listing[] {
  return scene.state.sessions.get("v")?.listings ?? [];
}

/** An engine that knows nothing of tools. */
export const deaf: FakeEngine = (request) =>
  ableEngine(request.tools === undefined ? request : { messages: request.messages ?? [] });
