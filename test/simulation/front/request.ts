import type { InferenceRequest } from "../../../edge/inference/engine-request.ts";
import { chatRequestSchema } from "../../../shared/openai/chat-request.ts";
import { chatDemands } from "../../../shared/openai/demands.ts";
import { type TaskMode, taskModes } from "../../../shared/openai/octo-options.ts";
import type { Options } from "../options.ts";
import type { Random } from "../random.ts";
import { stubId } from "../stubs.ts";

/** One request of a consumer, and how patient it is. */
export interface Request {
  readonly id: string;
  readonly accountId: string;
  readonly model: string;
  readonly wanted: InferenceRequest;
  readonly streamed: boolean;
  readonly usageChunk: boolean;
  readonly choices: number;
  readonly mode: TaskMode;
  readonly hedge: boolean;
  readonly hangUpAfterMs: number | null;
  /** How long it takes over each piece of a stream; null reads nothing and leaves some day. */
  readonly readMs: number | null;
}

export const models = ["m0", "m1"] as const;

/** More than one frame of a body, now and then. */
const longBodyChars = 150_000;

export function requestOf(
  options: Options,
  random: Random,
  number: number,
  accountIds: readonly string[],
): Request {
  const { consumer } = options;
  const model = random.pick(models);
  const streamed = random.chance(0.7);
  const choices = random.chance(0.15) ? 2 : 1;
  const content = random.chance(0.05) ? '🦑é"\\'.repeat(longBodyChars / 5) : "hello 🦑";
  const request = chatRequestSchema.parse({
    model,
    messages: [{ role: "user", content }],
    stream: streamed,
    // Without a limit only the model's context is one.
    max_completion_tokens: random.chance(0.8) ? random.int(1, 60) : null,
    ...(choices > 1 ? { n: choices } : {}),
  });
  const hangsUp = random.chance(consumer.hangsUp);
  const neverReads = random.chance(consumer.neverReads);
  return {
    id: `tsk_${stubId(`${options.seed} ${number}`)}`,
    accountId: random.pick(accountIds),
    model,
    wanted: { kind: "chat", request, demands: chatDemands(request) },
    streamed,
    usageChunk: random.chance(0.3),
    choices,
    mode: random.pick(taskModes),
    hedge: random.chance(0.3),
    hangUpAfterMs: hangsUp ? random.delayMs(3_000) : neverReads ? random.int(1_000, 90_000) : null,
    readMs: neverReads ? null : random.chance(consumer.slow) ? random.int(100, 2_000) : 0,
  };
}
