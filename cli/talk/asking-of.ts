import { strategies } from "../../shared/openai/strategies.ts";
import type { Call } from "../words/parse-command-line.ts";
import { choiceOf, decimalOf, wholeOf } from "../words/values.ts";
import type { Asking, Message } from "./messages.ts";

/** More than any model writes. */
const tokensMax = 10_000_000;

/** What the options of a command say; the model may still have to be found. */
export function askingOf({ options }: Call): Omit<Asking, "model"> & { model: string | null } {
  const { "max-tokens": tokens, temperature, strategy } = options;
  return {
    model: options["model"] ?? null,
    maxTokens: tokens === undefined ? null : wholeOf(tokens, "--max-tokens", 1, tokensMax),
    temperature: temperature === undefined ? null : decimalOf(temperature, "--temperature", 0, 2),
    strategy: strategy === undefined ? null : choiceOf(strategy, "--strategy", strategies),
    resume: options["resume"] !== undefined,
  };
}

/** What comes before everything that is said. */
export function openingOf({ options }: Call): Message[] {
  const system = options["system"];
  return system === undefined ? [] : [{ role: "system", content: system }];
}
