import { join } from "node:path";
import type { Network } from "../../dev/network.ts";
import { newFolder, newNetwork } from "../new-network.ts";
import { workerdPids } from "../process-cpu.ts";
import type { StreamRequest } from "../load/reply.ts";

export interface RelaySceneOptions {
  /** Worker processes with a synthetic engine. */
  readonly workers: number;
  /** Variables of the edge. */
  readonly vars?: Readonly<Record<string, string>>;
}

/** The network that is measured. */
export interface RelayScene extends AsyncDisposable {
  readonly network: Network;
  readonly folder: string;
  /** The edge's workerd, where the system lists processes in /proc. */
  readonly edgePid: number | null;
  /** A streamed chat that asks the engine what a script says; see its own file for the words. */
  ask(script: string, model?: string): StreamRequest;
}

/** As many streams as the measurement of the processor time has. */
const slots = 64;
const model = "bench";

export async function startRelayScene(options: RelaySceneOptions): Promise<RelayScene> {
  await using started = new AsyncDisposableStack();
  const folder = await newFolder(started);
  const before = await workerdPids();
  const network = started.use(
    await newNetwork(join(folder, "network"), {
      ...options,
      model: `synthetic:${model}`,
      workerFlags: ["--slots", String(slots)],
    }),
  );
  const edgePid = (await workerdPids()).find((pid) => !before.includes(pid)) ?? null;
  const headers = {
    authorization: `Bearer ${network.consumer.apiKey}`,
    "content-type": "application/json",
  };
  const running = started.move();
  return {
    network,
    folder,
    edgePid,
    ask: (script, asked = model) => ({
      url: `${network.url}/v1/chat/completions`,
      headers,
      body: JSON.stringify({
        model: asked,
        stream: true,
        messages: [{ role: "user", content: `[synthetic ${script}]` }],
      }),
    }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
