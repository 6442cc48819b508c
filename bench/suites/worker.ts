import { join } from "node:path";
import { openEngine, openEngineDefaults } from "../../worker-agent/engine/open-engine.ts";
import { defaultThreads } from "../../worker-agent/hardware/hardware.ts";
import { bundledModelPath, parseModelSource } from "../../worker-agent/models/model-source.ts";
import { type Figure, median } from "../figure.ts";
import { newFolder, newNetwork } from "../new-network.ts";
import { type Decoding, RawLlama } from "../worker/raw-llama.ts";
import { streamTokens } from "../worker/stream-tokens.ts";
import { TaskPath } from "../worker/task-path.ts";

/** Rounds alternate between the sides, so that a slow minute of the machine hits all of them. */
const rounds = 11;
const slots = 4;

/** Long enough that starting weighs little, short enough that rounds lie close together. */
const decoding: Decoding = {
  prompt: "Once there was a fox who lived in a house by the sea.",
  tokens: 200,
  endTokens: [1021, 1022, 1023],
};

/** Makes so many streams' tokens at once; gives how many. */
type Side = (streams: number) => Promise<number>;

/**
 * What a worker adds to a model: tokens a second of bare node-llama-cpp, of the same model through
 * the engine and the worker's tasks, and through the whole network, in one run with the same
 * threads, context, batch, seeds and sampling on every side.
 */
export async function worker(progress: (line: string) => void): Promise<readonly Figure[]> {
  await using stack = new AsyncDisposableStack();
  const folder = await newFolder(stack);
  const threads = defaultThreads();
  progress(`opening the bundled model on ${threads} thread(s), ${slots} slots …`);
  const shape = { slots, contextTokens: 512, batchTokens: 512, threads };
  const raw = stack.use(await RawLlama.open({ ...shape, path: bundledModelPath() }));
  const engine = stack.use(
    await openEngine(
      parseModelSource("octo-tiny"),
      {
        ...openEngineDefaults,
        modelsFolder: folder,
        slots,
        threads,
        gpu: "none",
        log: () => {},
      },
      new AbortController().signal,
    ),
  );
  const tasks = stack.use(await TaskPath.open(engine));
  const ratios: Record<number, Figure[]> = {};
  const bare: Side = (streams) => raw.run(decoding, streams);
  for (const streams of [1, slots]) {
    progress(`${streams} stream(s): ${rounds} rounds on each side …`);
    const ours: Side = (count) => tasks.run(bodies(count));
    ratios[streams] = figuresOf("worker", await compare(bare, ours, streams), {
      streams,
      target: 0.95,
    });
  }
  progress("starting the network with a worker of the bundled model …");
  const network = await throughNetwork(join(folder, "network"), threads, stack);
  progress(`${slots} streams through the network: ${rounds} rounds on each side …`);
  const results = await compare(bare, network, slots);
  const whole = figuresOf("worker.network", results, { streams: slots, target: 0.9 });
  return [...(ratios[1] ?? []), ...(ratios[slots] ?? []), ...whole];
}

async function throughNetwork(
  folder: string,
  threads: number,
  stack: AsyncDisposableStack,
): Promise<Side> {
  const flags = ["--slots", String(slots), "--threads", String(threads), "--gpu", "none"];
  const network = stack.use(
    await newNetwork(folder, {
      workers: 1,
      model: "octo-tiny",
      workerFlags: [...flags, "--benchmark", "never"],
    }),
  );
  const { url, consumer } = network;
  return async (streams) => {
    const made = bodies(streams).map((body) => streamTokens(url, consumer.apiKey, body));
    return (await Promise.all(made)).reduce((sum, tokens) => sum + tokens, 0);
  };
}

/** The requests of so many streams, each with a seed of its own. */
function bodies(streams: number): string[] {
  const { prompt, tokens, endTokens } = decoding;
  const logit_bias = Object.fromEntries(endTokens.map((token) => [String(token), -100]));
  const fields = { model: "octo-tiny", prompt, max_tokens: tokens, temperature: 1, logit_bias };
  const stream = { stream: true, stream_options: { include_usage: true } };
  return Array.from({ length: streams }, (_, seed) =>
    JSON.stringify({ ...fields, ...stream, seed }),
  );
}

interface Rates {
  readonly raw: number[];
  readonly ours: number[];
}

async function compare(raw: Side, ours: Side, streams: number): Promise<Rates> {
  const rates: Rates = { raw: [], ours: [] };
  await raw(streams);
  await ours(streams);
  for (let round = 0; round < rounds; round++) {
    // Whoever is second may find a warmer machine: they take turns.
    const isRawFirst = round % 2 === 0;
    if (isRawFirst) rates.raw.push(await rateOf(raw, streams));
    rates.ours.push(await rateOf(ours, streams));
    if (!isRawFirst) rates.raw.push(await rateOf(raw, streams));
  }
  return rates;
}

async function rateOf(side: Side, streams: number): Promise<number> {
  const startedMs = performance.now();
  const tokens = await side(streams);
  const wanted = streams * decoding.tokens;
  if (tokens !== wanted) throw new Error(`made ${tokens} tokens instead of ${wanted}`);
  return tokens / ((performance.now() - startedMs) / 1000);
}

function figuresOf(
  name: string,
  { raw, ours }: Rates,
  { streams, target }: { readonly streams: number; readonly target: number },
): Figure[] {
  // Pair by pair: neighbours in time met the same machine.
  const ratios = ours.map((rate, round) => rate / (raw[round] ?? Number.NaN));
  const rate = { unit: "tokens/s", better: "higher", target: null } as const;
  const ratioName =
    name === "worker" ? `worker.ratio.${streams}` : `worker.network_ratio.${streams}`;
  return [
    { figure: `${name}.raw_tokens_per_s.${streams}`, value: median(raw), ...rate },
    { figure: `${name}.tokens_per_s.${streams}`, value: median(ours), ...rate },
    { figure: ratioName, value: median(ratios), unit: "", better: "higher", target },
  ];
}
