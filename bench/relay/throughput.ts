import { startBareProxy } from "./bare-proxy.ts";
import type { Figure } from "../figure.ts";
import { LoadClient } from "../load/load.ts";
import { recordPieces } from "../load/reply.ts";
import { type Compared, compare, firstByteMs, ratioOf, repliesPerS } from "./compare.ts";
import type { RelayScene } from "./scene.ts";

const rounds = 7;
const roundMs = 2_000;
const tokens = 32;

/** From an engine that answers at once: all that takes time is what is around it. */
export const shortReply = `tokens=${tokens} rate=0`;

/** Replies a second and the first byte's time, beside bare workerd with the same bytes. */
export async function measureThroughput(
  scene: RelayScene,
  progress: (line: string) => void,
): Promise<Figure[]> {
  await using stack = new AsyncDisposableStack();
  const edge = scene.ask(shortReply);
  const pieces = await recordPieces(edge);
  progress(`one reply is ${pieces.join("").length} bytes in ${pieces.length} pieces`);
  const bare = stack.use(await startBareProxy({ pieces, everyMs: 0 }));
  const client = stack.use(new LoadClient());
  const sides = { edge, other: { ...edge, url: bare.url } };
  const figures: Figure[] = [];
  for (const concurrency of [1, 32]) {
    progress(`${concurrency} clients: ${rounds} rounds of ${roundMs / 1000} s on each side …`);
    const results = await compare(client, { sides, concurrency, rounds, roundMs });
    figures.push(...figuresOf(results, concurrency));
  }
  return figures;
}

function figuresOf(results: Compared, concurrency: number): Figure[] {
  const c = `c${concurrency}`;
  const { edge, other: bare } = results;
  const added = (q: number) => firstByteMs(edge, q) - firstByteMs(bare, q);
  const at1 = concurrency === 1;
  const perS = { unit: "1/s", better: "higher", target: null } as const;
  const ms = { unit: "ms", better: "lower" } as const;
  const none = { ...ms, target: null };
  return [
    { figure: `relay.bare_replies_per_s.${c}`, value: repliesPerS(bare), ...perS },
    { figure: `relay.edge_replies_per_s.${c}`, value: repliesPerS(edge), ...perS },
    {
      figure: `relay.ratio.${c}`,
      value: ratioOf(results),
      unit: "",
      better: "higher",
      target: at1 ? null : 0.8,
    },
    { figure: `relay.bare_ttft_p50_ms.${c}`, value: firstByteMs(bare, 0.5), ...none },
    { figure: `relay.edge_ttft_p50_ms.${c}`, value: firstByteMs(edge, 0.5), ...none },
    {
      figure: `relay.ttft_added_p50_ms.${c}`,
      value: added(0.5),
      ...ms,
      target: at1 ? 1.5 : null,
    },
    { figure: `relay.ttft_added_p99_ms.${c}`, value: added(0.99), ...ms, target: at1 ? 8 : null },
  ];
}
