import { defaultHubConfig } from "../../edge/hub/hub-config.ts";
import { paceMsFor } from "../../edge/hub/attempts/offer-task.ts";
import { type BareProxy, startBareProxy } from "./bare-proxy.ts";
import { type Figure, median, quantile } from "../figure.ts";
import { cpuUsOf } from "../process-cpu.ts";
import { recordPieces, type StreamRequest } from "../load/reply.ts";
import { StreamClient } from "../load/stream-load.ts";
import type { RelayScene } from "./scene.ts";

/** Rounds alternate between the sides, so that a slow minute of the machine hits both. */
const gapRounds = 5;
const cpuRounds = 3;
/** What a person reads comfortably, and a good machine makes. */
const tokensPerS = 50;
/** Five seconds a stream. */
const tokens = 250;
/** 1,000 tokens a second in all. */
const gapStreams = 20;
const cpuStreams = 64;
const { paceMs } = defaultHubConfig;
/** The window at the end of the ramp. */
const windowMs = paceMsFor(gapStreams, paceMs);

/**
 * What a relay costs streams that flow at an engine's pace.
 *
 * `relay.gap_added_p99_ms`: tokens are gathered for as long as the hub says with so many streams
 * (the coalescing window), so a relay that added nothing would show gaps of the window between
 * chunks, or less for those that began while it was shorter. The bare upstream sends its chunks one
 * a window, through bare workerd. The figure is the 99th percentile of the gaps between chunks at
 * the client on our side, less the same of the bare side, round by round, and of these the median:
 * the window is in both and falls out, and so does the lateness of timers and of the machine.
 *
 * `relay.cpu_us_per_token`: processor time of the edge's whole workerd (the front Worker, hub,
 * account and directory) from before the first stream's request to after the last one's end, over
 * the tokens of all streams.
 */
export async function measurePaced(
  scene: RelayScene,
  progress: (line: string) => void,
): Promise<Figure[]> {
  await using stack = new AsyncDisposableStack();
  const edge = scene.ask(`tokens=${tokens} rate=${tokensPerS}`);
  progress(`recording one stream of ${tokensPerS} tokens a second …`);
  const pieces = await recordPieces(edge);
  const bare = stack.use(await startBareProxy({ pieces, everyMs: windowMs }));
  const client = stack.use(new StreamClient());
  const sides = { edge, bare: { ...edge, url: bare.url } };
  return [
    ...(await measureGaps(client, sides, progress)),
    ...(await measureCpu(client, { ...sides, edgePid: scene.edgePid, proxy: bare }, progress)),
  ];
}

interface Sides {
  readonly edge: StreamRequest;
  readonly bare: StreamRequest;
}

async function measureGaps(
  client: StreamClient,
  { edge, bare }: Sides,
  progress: (line: string) => void,
): Promise<Figure[]> {
  progress(`${gapStreams} streams at the same pace: ${gapRounds} rounds on each side …`);
  const gaps = { edge: [] as (readonly number[])[], bare: [] as (readonly number[])[] };
  for (let round = 0; round < gapRounds; round++) {
    gaps.bare.push((await runStreams(client, bare, gapStreams)).gapsMs);
    gaps.edge.push((await runStreams(client, edge, gapStreams)).gapsMs);
  }
  const at = (side: readonly (readonly number[])[], q: number) =>
    median(side.map((gapsMs) => quantile(gapsMs, q)));
  // Round by round: neighbours in time met the same machine.
  const added = gaps.edge.map(
    (gapsMs, round) => quantile(gapsMs, 0.99) - quantile(gaps.bare[round] ?? [], 0.99),
  );
  const ms = { unit: "ms", better: "lower" } as const;
  const none = { ...ms, target: null };
  return [
    { figure: "relay.bare_gap_p50_ms", value: at(gaps.bare, 0.5), ...none },
    { figure: "relay.edge_gap_p50_ms", value: at(gaps.edge, 0.5), ...none },
    { figure: "relay.bare_gap_p99_ms", value: at(gaps.bare, 0.99), ...none },
    { figure: "relay.edge_gap_p99_ms", value: at(gaps.edge, 0.99), ...none },
    {
      figure: "relay.gap_added_p99_ms",
      value: median(added),
      ...ms,
      target: 2,
    },
  ];
}

async function measureCpu(
  client: StreamClient,
  { edge, bare, edgePid, proxy }: Sides & { edgePid: number | null; proxy: BareProxy },
  progress: (line: string) => void,
): Promise<Figure[]> {
  if (edgePid === null || proxy.pid === null) {
    progress("processor time is read from /proc, which this system does not have: left out");
    return [];
  }
  progress(`${cpuStreams} streams at the same pace: ${cpuRounds} rounds on each side …`);
  const perToken = { edge: [] as number[], bare: [] as number[] };
  for (let round = 0; round < cpuRounds; round++) {
    perToken.bare.push(await cpuUsPerToken(client, bare, proxy.pid));
    perToken.edge.push(await cpuUsPerToken(client, edge, edgePid));
  }
  const us = { unit: "µs", better: "lower" } as const;
  return [
    { figure: "relay.bare_cpu_us_per_token", value: median(perToken.bare), ...us, target: null },
    { figure: "relay.cpu_us_per_token", value: median(perToken.edge), ...us, target: 25 },
  ];
}

async function cpuUsPerToken(
  client: StreamClient,
  side: StreamRequest,
  pid: number,
): Promise<number> {
  const before = await cpuUsOf(pid);
  await runStreams(client, side, cpuStreams);
  return ((await cpuUsOf(pid)) - before) / (cpuStreams * tokens);
}

/** Streams start evenly over one window: in step, they would be in each other's way. */
async function runStreams(client: StreamClient, side: StreamRequest, streams: number) {
  const result = await client.run({ ...side, streams, spreadMs: paceMs });
  if (result.failures > 0) throw new Error(`${result.failures} of ${streams} streams failed`);
  return result;
}
