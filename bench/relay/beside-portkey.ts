import { describeError } from "../../shared/log.ts";
import type { Figure } from "../figure.ts";
import { LoadClient } from "../load/load.ts";
import { type Portkey, startPortkey } from "./portkey.ts";
import { cpuUsOf } from "../process-cpu.ts";
import { recordPieces, type StreamRequest } from "../load/reply.ts";
import { startUpstream } from "./upstream.ts";
import { compare, firstByteMs, ratioOf, repliesPerS } from "./compare.ts";
import type { RelayScene } from "./scene.ts";
import { shortReply } from "./throughput.ts";

const rounds = 5;
const roundMs = 2_000;
const concurrency = 32;

/**
 * `relay.vs_portkey`: replies a second through our edge over those through Portkey's gateway, for
 * streamed replies of 32 tokens to 32 clients. Each has a mock engine that answers at once with the
 * same bytes: ours behind a worker's socket, Portkey's behind HTTP as a provider of the kind
 * `openai`, for that is how it reaches one. Left out where the gateway cannot be had.
 */
export async function measureBesidePortkey(
  scene: RelayScene,
  progress: (line: string) => void,
): Promise<Figure[]> {
  progress("starting Portkey's gateway, installed first where it is not there yet …");
  await using stack = new AsyncDisposableStack();
  let portkey: Portkey;
  try {
    portkey = stack.use(await startPortkey());
  } catch (error) {
    const reason = describeError(error).split("\n")[0];
    progress(`Portkey's gateway cannot be had (${reason}): relay.vs_portkey is left out`);
    return [];
  }
  const edge = scene.ask(shortReply);
  const pieces = await recordPieces(edge);
  const upstream = stack.use(await startUpstream({ pieces, everyMs: 0 }));
  const other = {
    url: `${portkey.url}/v1/chat/completions`,
    headers: portkey.headersFor(upstream.url),
    body: edge.body,
  };
  const client = stack.use(new LoadClient());
  const told = `${concurrency} clients: ${rounds} rounds of ${roundMs / 1000} s on each side …`;
  progress(`beside Portkey, ${told}`);
  const sides = { edge, other };
  const loaded = await compare(client, { sides, concurrency, rounds, roundMs });
  const alone = await compare(client, { sides, concurrency: 1, rounds: 3, roundMs });
  const spent = [
    ...(await cpuFigures(client, { ...edge, name: "edge", pid: scene.edgePid })),
    ...(await cpuFigures(client, { ...edge, name: "worker", pid: workerPid(scene) })),
    ...(await cpuFigures(client, { ...other, name: "portkey", pid: portkey.pid })),
  ];
  const perS = { unit: "1/s", better: "higher", target: null } as const;
  const ms = { unit: "ms", better: "lower", target: null } as const;
  return [
    { figure: "relay.portkey_replies_per_s.c32", value: repliesPerS(loaded.other), ...perS },
    { figure: "relay.portkey_ttft_p50_ms.c32", value: firstByteMs(loaded.other, 0.5), ...ms },
    { figure: "relay.portkey_ttft_p50_ms.c1", value: firstByteMs(alone.other, 0.5), ...ms },
    { figure: "relay.beside_portkey_ttft_p50_ms.c32", value: firstByteMs(loaded.edge, 0.5), ...ms },
    { figure: "relay.beside_portkey_ttft_p50_ms.c1", value: firstByteMs(alone.edge, 0.5), ...ms },
    {
      figure: "relay.vs_portkey",
      value: ratioOf(loaded),
      unit: "",
      better: "higher",
      target: 1,
    },
    ...spent,
  ];
}

function workerPid({ network }: RelayScene): number | null {
  return network.workers[0]?.pid ?? null;
}

interface Spender extends StreamRequest {
  readonly name: string;
  readonly pid: number | null;
}

/** Where the time goes: what one process spends on a reply. Nothing where it cannot be read. */
async function cpuFigures(client: LoadClient, { name, pid, ...side }: Spender): Promise<Figure[]> {
  const before = await cpuUsOrNull(pid);
  const { replies } = await client.run({ ...side, concurrency, durationMs: roundMs });
  const after = await cpuUsOrNull(pid);
  if (before === null || after === null) return [];
  return [
    {
      figure: `relay.${name}_cpu_us_per_reply`,
      value: (after - before) / replies,
      unit: "µs",
      better: "lower",
      target: null,
    },
  ];
}

/** Only Linux has /proc. */
async function cpuUsOrNull(pid: number | null): Promise<number | null> {
  return pid === null ? null : cpuUsOf(pid).catch(() => null);
}
