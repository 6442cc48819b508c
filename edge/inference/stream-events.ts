import type { Finish, OutputPart, TokenLogprob } from "../../shared/openai/output.ts";
import { errorRules, type ErrorCode } from "../../shared/errors.ts";
import {
  answerId,
  answerUsage,
  createdSeconds,
  fingerprint,
  type AnswerHead,
} from "./answer-head.ts";
import type { TokenCounts } from "../../shared/money.ts";
import { type EventId, formatEventId } from "./event-id.ts";
import { completionLogprobs } from "./whole-answer.ts";

/**
 * A comment that keeps idle connections open; clients skip it (HTML standard, server-sent events,
 * section 9.2.6).
 */
export const keepAliveEvent = ": keep-alive\n\n";
export const doneEvent = "data: [DONE]\n\n";

/**
 * Writes one streamed answer as server-sent events. Everything that does not change is serialised
 * once; JSON escapes line feeds, so no text of a worker can begin an event of its own.
 */
export class StreamEvents {
  readonly #head: AnswerHead;
  readonly #hubId: string;
  #place = 0;
  readonly #opening: string;
  readonly #closing: string;
  readonly #begun = new Set<number>();

  constructor(head: AnswerHead, usageChunk: boolean, hubId: string) {
    this.#head = head;
    this.#hubId = hubId;
    const object = head.kind === "chat" ? "chat.completion.chunk" : "text_completion";
    const fields = JSON.stringify({
      id: answerId(head),
      object,
      created: createdSeconds(head),
      model: head.model,
      system_fingerprint: fingerprint(head),
    });
    this.#opening = `data: ${fields.slice(0, -1)},"choices":[`;
    // With include_usage every chunk but the last says that its usage is still to come.
    this.#closing = usageChunk ? `],"usage":null}\n\n` : `]}\n\n`;
  }

  /** Every event has an id, so that whoever lost the connection can ask for those behind it. */
  #id(): string {
    this.#place += 1;
    return `id: ${formatEventId({ hubId: this.#hubId, place: this.#place })}\n`;
  }

  /** One event a part: clients read only the first choice of a chunk. */
  parts(parts: readonly OutputPart[]): string {
    let events = "";
    for (const part of parts) {
      events += this.#id() + this.#opening + this.#choice(part) + this.#closing;
    }
    return events;
  }

  finishes(finishes: readonly Finish[]): string {
    let events = "";
    for (const finish of finishes) {
      const reason = JSON.stringify(finish.reason);
      const empty =
        this.#head.kind === "chat" ? `"delta":${this.#role(finish.index)}` : `"text":""`;
      const choice = `{"index":${finish.index},${empty},"logprobs":null,"finish_reason":${reason}}`;
      events += this.#id() + this.#opening + choice + this.#closing;
    }
    return events;
  }

  usage(counts: TokenCounts): string {
    const usage = JSON.stringify(answerUsage(counts));
    return `${this.#id()}${this.#opening}],"usage":${usage}}\n\n`;
  }

  done(): string {
    return this.#id() + doneEvent;
  }

  /** An error that only this connection is told of: it is no event of the answer. */
  notice(error: { readonly code: ErrorCode; readonly message: string }): string {
    return errorEvent(error, errorAnswer(this.#head));
  }

  /** The last event of an answer that broke. */
  error(error: { readonly code: ErrorCode; readonly message: string }): string {
    return this.#id() + errorEvent(error, errorAnswer(this.#head));
  }

  /** The choice's first delta carries the role, even where it carries nothing else. */
  #role(index: number): string {
    if (this.#begun.has(index)) return "{}";
    this.#begun.add(index);
    return `{"role":"assistant","content":""}`;
  }

  #choice(part: OutputPart): string {
    if (this.#head.kind === "completion") {
      const text = `"text":${JSON.stringify(part.text ?? "")}`;
      const logprobs = JSON.stringify(completionLogprobs(part.logprobs));
      return `{"index":${part.index},${text},"logprobs":${logprobs},"finish_reason":null}`;
    }
    const first = !this.#begun.has(part.index);
    this.#begun.add(part.index);
    let delta = first ? `"role":"assistant",` : "";
    if (part.reasoning !== undefined) {
      delta += `"reasoning_content":${JSON.stringify(part.reasoning)},`;
    }
    if (part.text !== undefined) delta += `"content":${JSON.stringify(part.text)},`;
    else if (first) delta += `"content":null,`;
    if (part.tool_calls !== undefined) delta += `"tool_calls":${toolCalls(part)},`;
    const ending = `"logprobs":${chatLogprobs(part.logprobs)},"finish_reason":null}`;
    return `{"index":${part.index},"delta":{${delta.slice(0, -1)}},${ending}`;
  }
}

function toolCalls(part: OutputPart): string {
  const calls = (part.tool_calls ?? []).map((call) => ({
    index: call.index,
    ...(call.id === undefined ? {} : { id: call.id, type: "function" }),
    function: {
      ...(call.name === undefined ? {} : { name: call.name }),
      ...(call.arguments === undefined ? {} : { arguments: call.arguments }),
    },
  }));
  return JSON.stringify(calls);
}

function chatLogprobs(logprobs: readonly TokenLogprob[] | undefined): string {
  return logprobs === undefined ? "null" : JSON.stringify({ content: logprobs, refusal: null });
}

/**
 * The last event of a stream that broke: OpenAI's clients throw on `error`, and a client that reads
 * only chunks sees `finish_reason: "error"`. No `[DONE]` follows, so that nobody takes the answer
 * for whole.
 */
export function errorEvent(
  error: { readonly code: ErrorCode; readonly message: string },
  answer: {
    readonly id: string;
    readonly object: string;
    readonly model: string;
    readonly created: number;
  },
): string {
  const { code, message } = error;
  const choice =
    answer.object === "text_completion"
      ? { index: 0, text: "", logprobs: null, finish_reason: "error" }
      : { index: 0, delta: {}, logprobs: null, finish_reason: "error" };
  const body = {
    ...answer,
    choices: [choice],
    error: { message, type: errorRules[code].type, param: null, code },
  };
  return `data: ${JSON.stringify(body)}\n\n`;
}

/** The events of a stream's text behind the one at `place`; null where it does not reach so far. */
export function eventsBehind(text: string, after: EventId): string | null {
  if (after.place === 0) return text;
  // No text of a worker can hold this: JSON escapes its line feeds.
  const at = `\n${text}`.indexOf(`\nid: ${formatEventId(after)}\n`);
  if (at === -1) return null;
  const end = text.indexOf("\n\n", at);
  return end === -1 ? null : text.slice(end + 2);
}

/** The `answer` argument of `errorEvent` for a task. */
export function errorAnswer(head: Omit<AnswerHead, "digest">): Parameters<typeof errorEvent>[1] {
  const full = { ...head, digest: "" };
  return {
    id: answerId(full),
    object: head.kind === "chat" ? "chat.completion.chunk" : "text_completion",
    model: head.model,
    created: createdSeconds(full),
  };
}
