import { getLlama, LlamaLogLevel } from "node-llama-cpp";
import type { Token } from "node-llama-cpp";
import { expect, test } from "vitest";
import { bundledModelPath } from "../../../worker-agent/models/model-source.ts";
import { collect, completion } from "./collect.ts";
import { openTinyEngine } from "./tiny-engine.ts";

/** The logits after each token from `start` on, by llama.cpp alone, without any sampler of ours. */
async function logitsOf(tokens: readonly Token[], start: number): Promise<Map<Token, number>[]> {
  const llama = await getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    logLevel: LlamaLogLevel.error,
  });
  try {
    const model = await llama.loadModel({ modelPath: bundledModelPath() });
    const context = await model.createContext({ contextSize: 512, threads: 1 });
    const generateNext = { logits: true } as const;
    const input = tokens.map((token, at) =>
      at < start ? token : ([token, { generateNext }] as const),
    );
    const output = await context.getSequence().controlledEvaluate(input as never);
    return output.slice(start).map((one) => one?.next.logits ?? new Map());
  } finally {
    await llama.dispose();
  }
}

test("log probabilities are the softmax of the model's own logits, at any temperature", async () => {
  await using tiny = await openTinyEngine();
  const prompt = "Once there was a fox who";
  for (const temperature of [0, 0.7, 1.8]) {
    const fields = { temperature, seed: 3, max_tokens: 12, logprobs: 5 };
    const { logprobs, events } = await collect(tiny.engine, completion(prompt, fields));
    const made = events.flatMap((event) => (event.kind === "part" ? (event.tokenIds ?? []) : []));
    expect(logprobs).toHaveLength(made.length);
    const before = await tiny.engine.tokenize(prompt, new AbortController().signal);
    const tokens = [...before, ...made.slice(0, -1)] as Token[];
    const logits = await logitsOf(tokens, before.length - 1);
    for (const [at, entry] of logprobs.entries()) {
      const own = logits[at] ?? new Map<Token, number>();
      expect(own.size).toBe(1024);
      const most = Math.max(...own.values());
      const sum = [...own.values()].reduce((all, logit) => all + Math.exp(logit - most), 0);
      const logprob = (token: number) =>
        (own.get(token as Token) ?? Number.NaN) - most - Math.log(sum);
      // Evaluated in another batch, so that the last digits differ.
      expect(entry.logprob).toBeCloseTo(logprob(made[at] ?? -1), 1);
      const best = [...own.keys()].map((token) => logprob(token)).toSorted((a, b) => b - a);
      for (const [rank, top] of entry.top_logprobs.entries()) {
        expect(top.logprob).toBeCloseTo(best[rank] ?? Number.NaN, 1);
      }
    }
  }
});
