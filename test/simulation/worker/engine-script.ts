import type { OutputPart, Usage } from "../../../shared/openai/output.ts";
import type { EngineErrorCode } from "../../../worker-agent/engine/engine.ts";
import type { GenerateTask } from "../../../worker-agent/engine/engine.ts";
import type { Options } from "../options.ts";
import type { Random } from "../random.ts";

/** What an engine does next, after a while. */
export type EngineStep =
  | { readonly kind: "part"; readonly afterMs: number; readonly part: OutputPart }
  | { readonly kind: "end"; readonly afterMs: number }
  | { readonly kind: "fail"; readonly afterMs: number; readonly code: EngineErrorCode }
  /** Nothing, until it is told to stop; a deaf one does not even hear that. */
  | { readonly kind: "hang"; readonly isDeaf: boolean };

/** Texts that try to break out of an event, a line or a character. */
const spices = [
  "\n\ndata: [DONE]\n\n",
  "\r\n: no\n",
  "🦑é",
  '"}],"error":1',
  "\u2028",
  " ",
  "\\",
  "",
];

const calmEngine = { tokenMs: 1, firstTokenMs: 5, fails: 0, hangs: 0, tooLong: 0, deaf: 0 };

/**
 * One generation, planned when it begins. Every token names its attempt and place, so that no two
 * answers look alike.
 */
export function* engineSteps(
  options: Options,
  random: Random,
  from: { readonly attempt: string; readonly task: GenerateTask; readonly isCalm: boolean },
): Generator<EngineStep, never> {
  const engine = from.isCalm ? calmEngine : options.engine;
  const { request } = from.task;
  const given = from.task.prefix?.tokenIds?.length ?? 0;
  const most = Math.max(1, tokensAsked(from.task) - given);
  const choices = request.n ?? 1;
  const tokens = random.chance(0.05) ? 0 : random.int(1, most);
  const isHanging = random.chance(engine.hangs);
  const isFailing = random.chance(engine.fails);
  const breaksAt = random.chance(0.3) ? 0 : random.int(0, tokens * choices);
  const isDeaf = random.chance(engine.deaf);
  if (random.chance(engine.tooLong)) {
    const code = random.pick(["context_length_exceeded", "invalid_request"] as const);
    for (;;) yield { kind: "fail", afterMs: random.int(0, 20), code };
  }
  let made = 0;
  for (let token = 0; token < tokens; token++) {
    for (let index = 0; index < choices; index++) {
      if (made === breaksAt && isHanging) for (;;) yield { kind: "hang", isDeaf };
      if (made === breaksAt && isFailing) {
        const code = random.pick(["engine_failed", "out_of_memory"] as const);
        for (;;) yield { kind: "fail", afterMs: random.delayMs(engine.tokenMs), code };
      }
      const afterMs = random.delayMs(made === 0 ? engine.firstTokenMs : engine.tokenMs);
      const text = `<${from.attempt.slice(-6)}:${index}:${token}>${random.pick(spices)}`;
      yield { kind: "part", afterMs, part: { index, tokens: 1, text } };
      made += 1;
    }
  }
  for (;;) yield { kind: "end", afterMs: random.delayMs(engine.tokenMs) };
}

function tokensAsked(task: GenerateTask): number {
  const completionTokens = task.kind === "chat" ? task.request.max_completion_tokens : null;
  return completionTokens ?? task.request.max_tokens ?? 20;
}

/** What the engine counted when it ended or was stopped. */
export function usageOf(task: GenerateTask | null, tokens: number): Usage {
  const messages = task?.kind === "chat" ? task.request.messages : [];
  const words = messages.map(({ content }) => String(content).split(" ").length);
  const prompt = words.reduce((sum, count) => sum + count, 5);
  return { prompt, completion: tokens, cached: 0 };
}
