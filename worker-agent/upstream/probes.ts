import type { Ability } from "../../shared/openai/demands.ts";
import type { EmbeddingResult, RerankResult } from "../../shared/openai/results.ts";
import type { ImageFormat } from "../../shared/openai/image-request.ts";
import type { ProbedAnswer, ProbeSubject } from "./probe-subject.ts";
import { redSquare, silence, silentMp3 } from "./probe-samples.ts";

/*
 * One small request for each ability. What its answer does not prove is not listed, whatever the
 * server claims: a field that is taken and ignored is no ability.
 */

/** Whether the ability is proved. */
export type Probe = (subject: ProbeSubject) => Promise<boolean>;

const greedy = { temperature: 0, max_tokens: 24 };

export const canChat: Probe = async (subject) => {
  const answer = await subject.chat("Say hello.", { temperature: 0, max_tokens: 8 });
  return answer !== null && isWhole(answer);
};

export const canComplete: Probe = async (subject) => {
  const answer = await subject.complete("Once upon a time", { temperature: 0, max_tokens: 4 });
  return answer !== null && isWhole(answer);
};

function isWhole({ tokens, ended }: ProbedAnswer): boolean {
  return tokens > 0 && ended === 1;
}

/** Two answers by high temperature are the same only by their seed. */
async function repeatsBySeed(subject: ProbeSubject): Promise<boolean> {
  const wild = { temperature: 2, max_tokens: 16, seed: 1234 };
  const words = "Write random words.";
  const [one, other] = [await subject.chat(words, wild), await subject.chat(words, wild)];
  return one !== null && other !== null && one.tokens > 0 && one.texts[0] === other.texts[0];
}

async function givesLogprobs(subject: ProbeSubject): Promise<boolean> {
  const fields = { ...greedy, max_tokens: 4, logprobs: true, top_logprobs: 2 };
  const answer = await subject.chat("Say hello.", fields);
  return answer !== null && haveTops(answer);
}

export const completesWithLogprobs: Probe = async (subject) => {
  const answer = await subject.complete("Once upon a time", { max_tokens: 4, logprobs: 2 });
  return answer !== null && haveTops(answer);
};

/** One entry a token, each with what else could have come. */
function haveTops({ logprobs, tokens }: ProbedAnswer): boolean {
  const isNegative = logprobs.every(({ logprob }) => logprob <= 0);
  const haveOthers = logprobs.every(({ top_logprobs: tops }) => tops.length > 0);
  return logprobs.length > 0 && logprobs.length <= tokens && isNegative && haveOthers;
}

async function givesChoices(subject: ProbeSubject): Promise<boolean> {
  const answer = await subject.chat("Say hello.", { max_tokens: 2, n: 2 });
  return answer?.ended === 2;
}

/** Repetition that is punished as far as it goes gives another text than none. */
async function punishes(subject: ProbeSubject): Promise<boolean> {
  // No text of this length is without a word twice.
  const long = { ...greedy, max_tokens: 64 };
  const words = "Tell me a long story about an octopus";
  const plain = await subject.chat(words, long);
  const punished = await subject.chat(words, {
    ...long,
    frequency_penalty: 2,
    presence_penalty: 2,
  });
  return plain !== null && punished !== null && plain.texts[0] !== punished.texts[0];
}

/** The answer's first tokens, forbidden, do not come again. */
async function biases(subject: ProbeSubject): Promise<boolean> {
  const words = "Say hello.";
  const plain = await subject.chat(words, { ...greedy, max_tokens: 4 });
  const text = plain?.texts[0] ?? "";
  const tokens = text === "" ? null : await subject.tokenize(text);
  if (tokens === null || tokens.length === 0) return false;
  const logit_bias = Object.fromEntries(tokens.map((token) => [String(token), -100]));
  const biased = await subject.chat(words, { ...greedy, max_tokens: 4, logit_bias });
  return biased !== null && (biased.texts[0] ?? "") !== text;
}

async function keepsToJson(subject: ProbeSubject): Promise<boolean> {
  const fields = { temperature: 0, max_tokens: 128, response_format: { type: "json_object" } };
  const answer = await subject.chat('Answer as a JSON object with the key "name".', fields);
  return isObject(answer?.texts[0] ?? "");
}

/** The prompt asks for a sentence, so only the schema can make this of it. */
async function keepsToSchema(subject: ProbeSubject): Promise<boolean> {
  const schema = {
    type: "object",
    properties: { code: { type: "string", enum: ["zebra-71", "zebra-72"] } },
    required: ["code"],
    additionalProperties: false,
  };
  const json_schema = { name: "answer", strict: true, schema };
  const response_format = { type: "json_schema", json_schema };
  const answer = await subject.chat("What is the capital of France?", {
    temperature: 0,
    max_tokens: 64,
    response_format,
  });
  return /^\s*\{\s*"code"\s*:\s*"zebra-7[12]"\s*\}\s*$/.test(answer?.texts[0] ?? "");
}

async function callsTools(subject: ProbeSubject): Promise<boolean> {
  const parameters = {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
  };
  const description = "The weather in a city, now";
  const tool = { type: "function", function: { name: "get_weather", description, parameters } };
  const answer = await subject.chat("What is the weather in Rome? Call get_weather.", {
    temperature: 0,
    max_tokens: 512,
    tools: [tool],
  });
  return answer?.toolNames[0] === "get_weather" && isObject(answer.toolArguments[0] ?? "");
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    // Text that is not JSON proves nothing.
    return false;
  }
}

async function sees(subject: ProbeSubject): Promise<boolean> {
  const words = "Which colour has this square? Answer with one word.";
  const answer = await subject.look(words, redSquare, { temperature: 0, max_tokens: 256 });
  return /^\W*red\b/i.test(answer?.texts[0] ?? "");
}

/** An answer that is cut in two goes on as it did. */
async function continues(subject: ProbeSubject): Promise<boolean> {
  const words = "Count from one to twenty in words.";
  const whole = (await subject.chat(words, greedy))?.texts[0] ?? "";
  const cutAt = whole.indexOf(" ", Math.floor(whole.length / 3));
  const rest = cutAt < 1 ? "" : whole.slice(cutAt);
  if (rest.trim() === "") return false;
  const answer = await subject.chat(words, greedy, whole.slice(0, cutAt));
  const continued = answer?.texts[0] ?? "";
  // A template may trim the space where it was cut; beyond that the text is the same.
  const [a, b] = [continued.trimStart(), rest.trimStart()];
  const shared = Math.min(a.length, b.length);
  return shared > 0 && a.slice(0, shared) === b.slice(0, shared);
}

/** A server that refuses what is no effort reads the field. */
async function readsEffort(subject: ProbeSubject): Promise<boolean> {
  const words = "Say hello.";
  const small = { max_tokens: 32 };
  const low = await subject.chat(words, { ...small, reasoning_effort: "low" });
  if (low === null || low.reasoning === "") return false;
  return (await subject.chat(words, { ...small, reasoning_effort: "not-an-effort" })) === null;
}

/** What a chat model is asked, in the order of what matters most. */
export const chatProbes: readonly (readonly [Ability, Probe])[] = [
  ["seed", repeatsBySeed],
  ["logprobs", givesLogprobs],
  ["json_object", keepsToJson],
  ["json_schema", keepsToSchema],
  ["tools", callsTools],
  ["vision", sees],
  ["choices", givesChoices],
  ["penalties", punishes],
  ["logit_bias", biases],
  ["forced_prefix", continues],
  ["reasoning_effort", readsEffort],
];

async function embeds(subject: ProbeSubject): Promise<boolean> {
  const request = { model: subject.name, input: ["a red apple", "the theory of numbers"] };
  const answer = await subject.perform({ kind: "embedding", request });
  const [one, other] = (answer?.result as EmbeddingResult | undefined)?.vectors ?? [];
  return one !== undefined && other !== undefined && one !== other;
}

/** Shorter than any embedding model's own vectors. */
const shorterDimensions = 32;

export const shortens: Probe = async (subject) => {
  const request = { model: subject.name, input: "a red apple", dimensions: shorterDimensions };
  const answer = await subject.perform({ kind: "embedding", request });
  const [vector = ""] = (answer?.result as EmbeddingResult | undefined)?.vectors ?? [];
  return Buffer.from(vector, "base64").length === shorterDimensions * 4;
};

async function ranks(subject: ProbeSubject): Promise<boolean> {
  const documents = ["The stock market fell.", "A panda is a bear that eats bamboo."];
  const request = { model: subject.name, query: "What does a panda eat?", documents };
  const answer = await subject.perform({ kind: "rerank", request });
  const [wrong = 0, right = 0] = (answer?.result as RerankResult | undefined)?.scores ?? [];
  return right > wrong;
}

async function classifies(subject: ProbeSubject): Promise<boolean> {
  const request = { model: subject.name, input: "I like it." };
  return (await subject.perform({ kind: "classification", request })) !== null;
}

/** What a model that does not chat is asked. */
export const otherProbes: readonly (readonly [Ability, Probe])[] = [
  ["embeddings", embeds],
  ["rerank", ranks],
  ["classification", classifies],
];

export const transcribes: Probe = async (subject) => {
  const request = { model: subject.name, audio: silence(), file_name: "silence.wav" };
  return (await subject.perform({ kind: "transcription", request })) !== null;
};

export const hearsMp3: Probe = async (subject) => {
  const request = { model: subject.name, audio: silentMp3(), file_name: "silence.mp3" };
  return (await subject.perform({ kind: "transcription", request })) !== null;
};

export const timesWords: Probe = async (subject) => {
  const timestamp_granularities: "word"[] = ["word"];
  const file = { audio: silence(), file_name: "silence.wav" };
  const request = { model: subject.name, ...file, timestamp_granularities };
  const answer = await subject.perform({ kind: "transcription", request });
  return answer !== null && "words" in answer.result && answer.result.words !== null;
};

/** The same as a file of this format: many servers make one format, whatever is asked for. */
export async function drawsAs(subject: ProbeSubject, format: ImageFormat): Promise<boolean> {
  const request = { ...smallImage(subject), output_format: format };
  const answer = await subject.perform({ kind: "image", request });
  return answer !== null && "format" in answer.result && answer.result.format === format;
}

/** The smallest image that diffusion models make: one takes seconds of a card. */
export const draws: Probe = async (subject) => {
  return (await subject.perform({ kind: "image", request: smallImage(subject) })) !== null;
};

function smallImage({ name }: ProbeSubject) {
  return { model: name, prompt: "a red circle", size: "256x256", n: 1 };
}
