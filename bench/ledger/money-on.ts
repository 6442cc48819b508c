import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleEdge } from "../../dev/bundle-edge.ts";
import { edgeEntry } from "../../dev/edge.ts";
import type { Network } from "../../dev/network.ts";
import { Operator } from "../../dev/operator.ts";
import type { Figure } from "../figure.ts";
import { type Load, LoadClient } from "../load/load.ts";
import { newNetwork } from "../new-network.ts";
import { type Compared, ratioOf, repliesPerS } from "../relay/compare.ts";
import { shortReply } from "../relay/throughput.ts";

const clients = 32;
const rounds = 5;
const roundMs = 2_000;
const model = "bench";

/**
 * Replies a second with money and without, each client with an account of its own: the same edge,
 * in one of which accounts agree to everything and write nothing.
 */
export async function measureMoney(
  folder: string,
  progress: (line: string) => void,
): Promise<readonly Figure[]> {
  const own = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  const insteadOf = new Map([
    [own("../../edge/objects.ts"), own("../workerd/objects-without-money.ts")],
  ]);
  await using on = await start(join(folder, "on"), null);
  await using off = await start(join(folder, "off"), await bundleEdge(edgeEntry, insteadOf));
  const sides = { edge: await loadOf(on), other: await loadOf(off) };
  await using client = new LoadClient();
  progress(`${clients} accounts: ${rounds} rounds of ${roundMs / 1000} s with money and without …`);
  const results: Compared = { edge: [], other: [] };
  for (let round = -1; round < rounds; round++) {
    for (const side of ["other", "edge"] as const) {
      const result = await client.run(sides[side]);
      const { failures, failure } = result;
      if (failures > 0) throw new Error(`${side}: ${failures} requests failed: ${failure}`);
      // The first round is the runtime's, to compile what it meets.
      if (round >= 0) results[side].push(result);
    }
  }
  const perS = { unit: "1/s", better: "higher", target: null } as const;
  return [
    { figure: "ledger.replies_per_s_money_off", value: repliesPerS(results.other), ...perS },
    { figure: "ledger.replies_per_s_money_on", value: repliesPerS(results.edge), ...perS },
    {
      figure: "ledger.request_ratio_money_on",
      value: ratioOf(results),
      unit: "",
      better: "higher",
      target: 0.8,
    },
  ];
}

function start(folder: string, script: string | null): Promise<Network> {
  return newNetwork(folder, {
    workers: 1,
    model: `synthetic:${model}`,
    workerFlags: ["--slots", String(clients)],
    ...(script === null ? {} : { script }),
  });
}

async function loadOf(network: Network): Promise<Load> {
  const operator = new Operator(network.url, network.adminKey);
  const headersByClient: { authorization: string }[] = [];
  for (let at = 0; at < clients; at++) {
    const { apiKey } = await operator.createConsumer(`bench ${at}`);
    headersByClient.push({ authorization: `Bearer ${apiKey}` });
  }
  return {
    url: `${network.url}/v1/chat/completions`,
    headers: { "content-type": "application/json" },
    headersByClient,
    body: JSON.stringify({
      model,
      stream: true,
      messages: [{ role: "user", content: `[synthetic ${shortReply}]` }],
    }),
    concurrency: clients,
    durationMs: roundMs,
  };
}
