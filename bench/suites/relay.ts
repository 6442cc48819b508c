import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startNetwork } from "../../dev/network.ts";
import { State } from "../../dev/state.ts";
import { type BareProxy, startBareProxy } from "../bare-proxy.ts";
import { type Figure, median, quantile } from "../figure.ts";
import { type Load, LoadClient, type LoadResult } from "../load.ts";

/** Rounds alternate between the two, so that a slow minute of the machine hits both. */
const rounds = 7;
const roundMs = 2_000;
const warmUpMs = 2_000;
const tokens = 32;

type Side = "edge" | "bare";

/**
 * What relaying costs: replies a second and first-token latency of 32-token replies from an engine
 * that answers at once, through our edge with everything on (authentication, hold, routing, relay,
 * settlement, receipts), beside bare workerd passing on the same bytes.
 */
export async function relay(progress: (line: string) => void): Promise<readonly Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), "octo-bench-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  progress("starting the network with a synthetic worker …");
  const state = new State(folder);
  await state.open(false);
  const network = stack.use(
    await startNetwork({
      state,
      port: 0,
      workers: 1,
      model: "synthetic:bench",
      workerFlags: ["--slots", "64"],
    }),
  );
  const body = JSON.stringify({
    model: "bench",
    stream: true,
    max_tokens: tokens,
    messages: [{ role: "user", content: `[synthetic tokens=${tokens} rate=0]` }],
  });
  const headers = {
    authorization: `Bearer ${network.consumer.apiKey}`,
    "content-type": "application/json",
  };
  const url = `${network.url}/v1/chat/completions`;
  const pieces = await recordPieces(url, headers, body);
  progress(`one reply is ${pieces.join("").length} bytes in ${pieces.length} pieces`);
  const bare: BareProxy = stack.use(await startBareProxy(pieces));
  const client = stack.use(new LoadClient());
  const loads: Record<Side, Omit<Load, "concurrency" | "durationMs">> = {
    edge: { url, headers, body },
    bare: { url: bare.url, headers, body },
  };
  const figures: Figure[] = [];
  for (const concurrency of [1, 32]) {
    progress(`${concurrency} clients: ${rounds} rounds of ${roundMs / 1000} s on each side …`);
    const results = await compare(client, loads, concurrency);
    figures.push(...figuresOf(results, concurrency));
  }
  return figures;
}

async function compare(
  client: LoadClient,
  loads: Record<Side, Omit<Load, "concurrency" | "durationMs">>,
  concurrency: number,
): Promise<Record<Side, LoadResult[]>> {
  const results: Record<Side, LoadResult[]> = { edge: [], bare: [] };
  const sides: readonly Side[] = ["bare", "edge"];
  for (const side of sides) await client.run({ ...loads[side], concurrency, durationMs: warmUpMs });
  for (let round = 0; round < rounds; round++) {
    for (const side of sides) {
      const result = await client.run({ ...loads[side], concurrency, durationMs: roundMs });
      if (result.failures > 0) throw new Error(`${side}: ${result.failures} requests failed`);
      results[side].push(result);
    }
  }
  return results;
}

function figuresOf(results: Record<Side, LoadResult[]>, concurrency: number): Figure[] {
  const c = `c${concurrency}`;
  const rate = (result: LoadResult) => result.replies / result.seconds;
  // Pair by pair: neighbours in time met the same machine.
  const ratios = results.edge.map((edge, round) => {
    const bare = results.bare[round];
    return bare === undefined ? Number.NaN : rate(edge) / rate(bare);
  });
  const firstByte = (side: Side, q: number) =>
    median(results[side].map((result) => quantile(result.firstByteMs, q)));
  const added = (q: number) => firstByte("edge", q) - firstByte("bare", q);
  const at1 = concurrency === 1;
  const repliesPerS = (side: Side) =>
    ({ value: median(results[side].map(rate)), unit: "1/s", better: "higher" }) as const;
  const ms = (value: number) => ({ value, unit: "ms", better: "lower" }) as const;
  const none = { target: null };
  return [
    { figure: `relay.bare_replies_per_s.${c}`, ...repliesPerS("bare"), ...none },
    { figure: `relay.edge_replies_per_s.${c}`, ...repliesPerS("edge"), ...none },
    {
      figure: `relay.ratio.${c}`,
      value: median(ratios),
      unit: "",
      better: "higher",
      target: at1 ? null : 0.5,
    },
    { figure: `relay.bare_ttft_p50_ms.${c}`, ...ms(firstByte("bare", 0.5)), ...none },
    { figure: `relay.edge_ttft_p50_ms.${c}`, ...ms(firstByte("edge", 0.5)), ...none },
    { figure: `relay.ttft_added_p50_ms.${c}`, ...ms(added(0.5)), target: at1 ? 2.5 : null },
    { figure: `relay.ttft_added_p99_ms.${c}`, ...ms(added(0.99)), ...none },
  ];
}

/** One reply of our edge, in the pieces in which it arrives. */
async function recordPieces(
  url: string,
  headers: Record<string, string>,
  body: string,
): Promise<string[]> {
  const response = await fetch(url, { method: "POST", headers, body });
  if (!response.ok || response.body === null) {
    throw new Error(`the edge answered ${response.status}: ${await response.text()}`);
  }
  const pieces: string[] = [];
  const decoder = new TextDecoder();
  for await (const chunk of response.body) pieces.push(decoder.decode(chunk, { stream: true }));
  return pieces;
}
