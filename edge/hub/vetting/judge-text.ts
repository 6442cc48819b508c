import { isRecord } from "../../../shared/is-record.ts";
import type { Probe } from "./preflight.ts";
import type { ProbeAnswer } from "./probe-answer.ts";

type Answer = Extract<ProbeAnswer, { kind: "answered" }>;

/** What is wrong with an answer that is a text, as a sentence, or null. */
export function textFault(probe: Probe, answer: Answer): string | null {
  return shapeFault(probe, answer) ?? aimFault(probe, answer);
}

/** Servers count a token that only ended the answer, or do not. */
const countSlack = 1;

/** What every answer must have, whatever it was asked for. */
function shapeFault(probe: Probe, answer: Answer): string | null {
  const { choices } = probe;
  if (answer.finishes.length !== choices) {
    return `it ended ${answer.finishes.length} of ${choices} choices`;
  }
  const { promptTokens, completionTokens } = answer.counts;
  if (promptTokens < 1) return "it counts no prompt tokens";
  const made = Math.max(completionTokens, answer.tokens);
  const asked = probe.tokensMax ?? Number.POSITIVE_INFINITY;
  if (made > asked + choices * countSlack)
    return `it made ${made} tokens where ${asked} were asked`;
  return (isCut(answer) ? isBlank(answer) : made < 1) ? "it answers nothing" : null;
}

/** It reached its limit with nothing to show for it. One that ended by itself may have no words. */
function isBlank({ texts, reasoning, calls }: Answer): boolean {
  return texts.join("") + reasoning === "" && calls.length === 0;
}

/** The limit of tokens ended it, so that nobody can tell what would have come. */
function isCut(answer: Answer): boolean {
  return answer.finishes.includes("length") || answer.finishes.includes("content_filter");
}

function aimFault(probe: Probe, answer: Answer): string | null {
  const text = answer.texts[0] ?? "";
  switch (probe.aim) {
    case "json_object":
      return isJson(text, isCut(answer), isRecord)
        ? null
        : "its JSON mode does not give a JSON object";
    case "json_schema":
      return isJson(text, isCut(answer), isColour)
        ? null
        : "its JSON does not fit the schema asked for";
    case "tools":
      return callFault(answer);
    case "logprobs":
      return logprobFault(answer);
    case "context":
      return answer.counts.promptTokens * 2 < probe.words
        ? `it read ${answer.counts.promptTokens} tokens of a prompt of ${probe.words} words`
        : null;
    default:
      return null;
  }
}

/** Whether a text is the JSON it must be. One that was cut must at least begin like it. */
function isJson(text: string, isCutOff: boolean, fits: (value: unknown) => boolean): boolean {
  if (isCutOff) return text.trim() === "" || text.trimStart().startsWith("{");
  return fits(parsed(text));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The only failure of JSON.parse on a string: it is not JSON, which is what is asked.
    return undefined;
  }
}

/** Whether a value fits the schema of preflight.ts. */
function isColour(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { colour, ...others } = value;
  return ["red", "green", "blue"].includes(String(colour)) && Object.keys(others).length === 0;
}

function callFault(answer: Answer): string | null {
  const [call] = answer.calls;
  const isCutOff = isCut(answer);
  if (call === undefined) {
    // A model that thinks first may be cut before its call; one that talks was not made to call.
    const isThinking = answer.reasoning !== "" && answer.texts.join("").trim() === "";
    return isCutOff && isThinking ? null : "it does not call a function that it must call";
  }
  const isPaint = call.name === "paint" || (isCutOff && "paint".startsWith(call.name));
  if (!isPaint) return "it calls a function that was not offered";
  if (isCutOff) return null;
  return isColour(parsed(call.arguments))
    ? null
    : "the arguments of its calls do not fit the function's schema";
}

function logprobFault(answer: Answer): string | null {
  const { logprobs, tokens } = answer;
  if (tokens > 0 && logprobs.length === 0) return "it gives no log probabilities";
  if (Math.abs(logprobs.length - tokens) > countSlack) {
    return `it gives ${logprobs.length} log probabilities for ${tokens} tokens`;
  }
  const isWrong = logprobs.some(({ logprob }) => !Number.isFinite(logprob) || logprob > 0);
  return isWrong ? "it gives log probabilities above 0" : null;
}
