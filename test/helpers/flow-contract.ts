import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect } from "vitest";

/** OpenAI's published schemas, where the machine has them. */
export const contractPath = fileURLToPath(
  new URL("../../../shared/data/openai-contract.json", import.meta.url),
);
const contract = existsSync(contractPath) ? readFileSync(contractPath, "utf8") : null;
export const hasContract = contract !== null;

const ajv = new Ajv2020({ strict: false, validateFormats: false });
if (contract !== null) ajv.addSchema(JSON.parse(contract, withNull) as object, "openai");

/** OpenAI's document still says `nullable`, which the JSON Schema it claims to be has no more. */
function withNull(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("nullable" in value)) return value;
  const { nullable, ...schema } = value;
  return nullable === true ? { anyOf: [schema, { type: "null" }] } : schema;
}

/** One request and what came back, as it went over the wire. */
export interface Exchange {
  readonly path: string;
  readonly response: Response;
  /** The whole body, or what there was of it where the client left. */
  readonly text: Promise<string>;
}

/** A `fetch` for clients under test, that remembers every answer and holds it against OpenAI's. */
export class ContractWatch {
  readonly exchanges: Exchange[] = [];

  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const response = await fetch(input, init);
    const path = new URL(input instanceof Request ? input.url : input).pathname;
    this.exchanges.push({ path, response, text: readAll(response.clone()) });
    return response;
  };

  /** The last answer of all. */
  get last(): Exchange {
    const exchange = this.exchanges.at(-1);
    if (exchange === undefined) throw new Error("nothing was asked yet");
    return exchange;
  }

  /** What is wrong with the answers so far, each with its place; it forgets them. */
  async complaints(): Promise<unknown[]> {
    const found = await Promise.all(this.exchanges.splice(0).map(complaintsAbout));
    return found.flat();
  }
}

async function readAll(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true });
  } catch {
    // The client under test left in the middle of the answer.
  }
  return text;
}

async function complaintsAbout({ path, response, text }: Exchange): Promise<unknown[]> {
  if (!hasContract) return [];
  const body = await text;
  if (!response.ok) return judge("ErrorResponse", JSON.parse(body), path);
  if (path === "/v1/models") return judge("ListModelsResponse", JSON.parse(body), path);
  if (path.startsWith("/v1/models/")) return judge("Model", JSON.parse(body), path);
  if (path === "/v1/embeddings") return judgeEmbeddings(JSON.parse(body));
  // OpenAI's schemas for the rest are not among ours, or OpenAI has no such route.
  if (!path.endsWith("/completions")) return [];
  const isChat = path === "/v1/chat/completions";
  if (response.headers.get("content-type")?.startsWith("text/event-stream") !== true) {
    const name = isChat ? "CreateChatCompletionResponse" : "CreateCompletionResponse";
    return judge(name, JSON.parse(body), path);
  }
  return eventsOf(body).flatMap((event) => {
    if (event.error !== undefined) return judge("ErrorResponse", { error: event.error }, path);
    return isChat
      ? judge("CreateChatCompletionStreamResponse", event, path)
      : judge("CreateCompletionResponse", withFinish(event), path);
  });
}

/** OpenAI's schema knows vectors as lists alone; its clients ask for base64 and unpack it. */
function judgeEmbeddings(answer: { readonly data: readonly { readonly embedding: unknown }[] }) {
  const data = answer.data.map((one) => ({
    ...one,
    embedding: typeof one.embedding === "string" ? [] : one.embedding,
  }));
  return judge("CreateEmbeddingResponse", { ...answer, data }, "/v1/embeddings");
}

function judge(name: string, value: unknown, path: string): unknown[] {
  const validate = ajv.getSchema(`openai#/components/schemas/${name}`);
  expect(validate, `OpenAI has a schema ${name}`).toBeDefined();
  return validate?.(value) === true ? [] : [{ path, name, value, errors: validate?.errors }];
}

/** An event of a stream, as far as tests look into it. */
export interface StreamEvent {
  readonly id: string;
  readonly choices: readonly {
    readonly index: number;
    readonly delta?: { readonly role?: string; readonly content?: string | null };
    readonly text?: string;
    readonly finish_reason: string | null;
  }[];
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly error?: { readonly code: string; readonly message: string };
}

/** The events of a stream's text; one that the client left in its middle is left out. */
export function eventsOf(text: string): StreamEvent[] {
  return text
    .split("\n\n")
    .slice(0, -1)
    .map((event) => event.replace(/^id: .*\n/, ""))
    .filter((event) => event.startsWith("data: {"))
    .map((event) => JSON.parse(event.slice("data: ".length)) as StreamEvent);
}

export const done = "data: [DONE]\n\n";

/**
 * OpenAI has no schema for a plain completion's chunks, whose choices have no reason to have ended
 * and whose usage is still to come: those two are filled in, the rest is held against the whole
 * answer's.
 */
function withFinish({ usage, choices, ...rest }: StreamEvent): unknown {
  return {
    ...rest,
    ...(usage === null || usage === undefined ? {} : { usage }),
    choices: choices.map((choice) => ({
      ...choice,
      finish_reason: choice.finish_reason ?? "stop",
    })),
  };
}
