import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { generateSigningKey } from "../../shared/crypto/signing.ts";
import { Random } from "../../test/simulation/random.ts";
import type { Engine } from "../../worker-agent/engine/engine.ts";
import { promptOf } from "../../worker-agent/engine/synthetic/synthetic-answer.ts";
import { createSyntheticEngine } from "../../worker-agent/engine/synthetic/synthetic.ts";
import { atOnce } from "../load/at-once.ts";
import { type Figure, quantile } from "../figure.ts";
import { InProcessWorker } from "../in-process-worker.ts";
import type { StreamRequest } from "../load/reply.ts";
import { untilListed } from "../until-listed.ts";
import { type RelayScene, startRelayScene } from "./scene.ts";

/** Enough for a 99th percentile that is no single answer's. */
const leavers = 200;
const leaversAtOnce = 16;
const silentLeavers = 32;
/** An edge that noticed nothing for this long never will. */
const stopWithinMs = 30_000;
const seed = 1;

type Leaving = "fin" | "rst";

/**
 * What a client that leaves costs its worker.
 *
 * `relay.cancel_p99_ms`: from the moment the client closes its socket in the middle of a stream of
 * 20 tokens a second, by FIN for one half of them and by RST for the other, to the moment the
 * engine's AbortSignal fires. `relay.notice_silent_p99_s`: the same by FIN while no token flows.
 * Client, workers and engines run on this thread and share its clock.
 */
export async function measureCancel(progress: (line: string) => void): Promise<Figure[]> {
  progress("starting a network whose engines tell when they are stopped …");
  // Without probes a worker has no pace yet, and may be silent for the longest there is: what ends
  // an answer here is its client and nothing else.
  await using scene = await startRelayScene({ workers: 0, vars: { OCTO_PREFLIGHT: "off" } });
  const silent = await leaveInSilence(scene, progress);
  return figuresOf(await leaveInStream(scene, progress), silent);
}

async function leaveInStream(
  scene: RelayScene,
  progress: (line: string) => void,
): Promise<Record<Leaving, number[]>> {
  await using watched = await WatchedWorker.start(scene, "leaving");
  const random = new Random(seed);
  const stops: Record<Leaving, number[]> = { fin: [], rst: [] };
  progress(`${leavers} clients leave in mid-stream, ${leaversAtOnce} at a time …`);
  const departures = Array.from({ length: leavers }, (_, number): Departure => {
    return { how: number % 2 === 0 ? "fin" : "rst", afterMs: random.int(50, 500) };
  });
  await atOnce(departures, leaversAtOnce, async (departure, number) => {
    const stopMs = await watched.leave(number, "tokens=8000 rate=20", departure);
    stops[departure.how].push(stopMs);
  });
  return stops;
}

async function leaveInSilence(
  scene: RelayScene,
  progress: (line: string) => void,
): Promise<number[]> {
  await using watched = await WatchedWorker.start(scene, "silent");
  const random = new Random(seed);
  progress(`${silentLeavers} clients leave while no token flows …`);
  const departures = Array.from({ length: silentLeavers }, (): Departure => {
    return { how: "fin", afterMs: random.int(500, 12_000) };
  });
  // Awaited here: the worker leaves with this function.
  return await atOnce(departures, silentLeavers, (departure, number) =>
    watched.leave(number, "tokens=8000 hang after=1", departure),
  );
}

interface Departure {
  readonly how: Leaving;
  readonly afterMs: number;
}

function figuresOf(stops: Record<Leaving, readonly number[]>, silent: readonly number[]): Figure[] {
  const ms = { unit: "ms", better: "lower" } as const;
  const s = { unit: "s", better: "lower" } as const;
  const none = { target: null };
  const all = [...stops.fin, ...stops.rst];
  return [
    { figure: "relay.cancel_p50_ms", value: quantile(all, 0.5), ...ms, ...none },
    { figure: "relay.cancel_fin_p99_ms", value: quantile(stops.fin, 0.99), ...ms, ...none },
    { figure: "relay.cancel_rst_p99_ms", value: quantile(stops.rst, 0.99), ...ms, ...none },
    { figure: "relay.cancel_p99_ms", value: quantile(all, 0.99), ...ms, target: 250 },
    { figure: "relay.notice_silent_p50_s", value: quantile(silent, 0.5) / 1000, ...s, ...none },
    { figure: "relay.notice_silent_p99_s", value: quantile(silent, 0.99) / 1000, ...s, target: 10 },
  ];
}

/** Reads a stream for a while and hangs up; gives when. */
async function leaveStream(
  { url, headers, body }: StreamRequest,
  { how, afterMs }: Departure,
): Promise<number> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    // A connection of its own: to leave is to close it.
    const sent = request(url, { method: "POST", headers: { ...headers }, agent: false });
    sent.once("response", resolve);
    sent.once("error", reject);
    sent.end(body);
  });
  // Whoever resets a connection hears of it as an error.
  response.on("error", () => {});
  if (response.statusCode !== 200) {
    throw new Error(`the edge answered ${response.statusCode}: ${await text(response)}`);
  }
  response.resume();
  await sleep(afterMs);
  const leftMs = performance.now();
  if (how === "rst") response.socket.resetAndDestroy();
  else response.socket.destroy();
  return leftMs;
}

/** A worker whose synthetic engine remembers when it was told to stop which answer. */
class WatchedWorker implements AsyncDisposable {
  readonly #scene: RelayScene;
  readonly #model: string;
  readonly #stoppedMs = new Map<number, number>();
  readonly #waiting = new Map<number, (atMs: number) => void>();
  #worker: InProcessWorker | null = null;

  private constructor(scene: RelayScene, model: string) {
    this.#scene = scene;
    this.#model = model;
  }

  static async start(scene: RelayScene, model: string): Promise<WatchedWorker> {
    const watched = new WatchedWorker(scene, model);
    watched.#worker = await InProcessWorker.start({
      edgeUrl: scene.network.url,
      model,
      key: (await generateSigningKey()).key,
      engine: watched.#createEngine(),
      folder: scene.folder,
    });
    await untilListed(scene.network, model, 1);
    return watched;
  }

  #createEngine(): Engine {
    const inner = createSyntheticEngine({ name: this.#model });
    return {
      ...inner,
      generate: (task, signal) => {
        const number = Number(/\[answer (\d+)\]/.exec(promptOf(task))?.[1]);
        const stop = () => this.#stop(number, performance.now());
        signal.addEventListener("abort", stop, { once: true });
        return inner.generate(task, signal);
      },
    };
  }

  #stop(number: number, atMs: number): void {
    this.#stoppedMs.set(number, atMs);
    this.#waiting.get(number)?.(atMs);
  }

  /** Asks and leaves; gives the milliseconds from there to the engine's stop. */
  async leave(number: number, script: string, departure: Departure): Promise<number> {
    const asked = this.#scene.ask(`${script}] [answer ${number}`, this.#model);
    const leftMs = await leaveStream(asked, departure);
    const stopMs = (await this.#stopped(number)) - leftMs;
    if (stopMs < 0) throw new Error(`Answer ${number} was stopped before its client left`);
    return stopMs;
  }

  #stopped(number: number): Promise<number> {
    const known = this.#stoppedMs.get(number);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`The engine was not told to stop answer ${number} in ${stopWithinMs} ms`));
      }, stopWithinMs);
      this.#waiting.set(number, (atMs) => {
        clearTimeout(timer);
        resolve(atMs);
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.[Symbol.asyncDispose]();
  }
}
