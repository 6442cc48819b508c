import { serialize } from "node:v8";
import {
  createDirectoryState,
  placeWorker,
  putDigest,
} from "../../edge/directory/directory-state.ts";
import type { HubDigest } from "../../edge/directory/digest.ts";
import { packDigests, unpackDigests } from "../../edge/directory/packed-view.ts";
import { chooseWorker } from "../../edge/hub/routing/choose-worker.ts";
import type { HubState } from "../../edge/hub/hub-state.ts";
import { chooseHub, type HubQuery } from "../../edge/inference/placing/choose-hub.ts";
import type { Ability } from "../../shared/openai/demands.ts";
import { defaultRouting } from "../../shared/openai/routing.ts";
import { atMost, explaining, type Figure, median, quantile } from "../figure.ts";
import { digestOfHub, fullHub, scaleHubs, scaleListing, scaleTask } from "./network.ts";

const choices = 1_000;
const roundsOfChoices = 20;
/** The runtime compiles what is called often: the first choices are not what a network pays. */
const warmUps = 3_000;

/** A generator of the same numbers in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What choosing costs in a network of 100,000 workers, and what a front Worker holds of it. */
export function measureChoosing(progress: (line: string) => void): readonly Figure[] {
  const random = seeded(7);
  progress(`making ${scaleHubs} hubs …`);
  const digests: HubDigest[] = [];
  let hub: HubState | null = null;
  for (let shard = 0; shard < scaleHubs; shard++) {
    hub = fullHub(shard, random);
    digests.push(digestOfHub(hub));
  }
  if (hub === null) throw new Error("there are no hubs");
  const sessions = hub.sessions;
  // As front Workers hold them: what they unpack is laid out otherwise than what a hub has made.
  const packed = packDigests(digests);
  const view = unpackDigests(packed);
  progress(`choosing among ${digests.length} digests and ${sessions.size} sessions …`);
  const models = Array.from({ length: 20 }, (_, number) => scaleListing(number).model);
  const queries = models.map((model) => queryFor(model));
  const hubUs = timed((number) => {
    const query = queries[number % queries.length];
    if (query !== undefined) chooseHub(query, view, random);
  });
  const firstUs = firstChoices(packed, queries, random);
  const tasks = models.map((model) => scaleTask(model));
  const nobodyTried = new Set<string>();
  const workerUs = timed((number) => {
    const task = tasks[number % tasks.length];
    if (task !== undefined) chooseWorker(task, sessions.values(), nobodyTried, random);
  });
  const directory = createDirectoryState("weur", 0);
  for (const digest of digests) putDigest(directory, digest, digest.atMs);
  const nowMs = Date.now();
  const placeUs = timed(() => {
    placeWorker(directory, { lastHubId: null, fullHubIds: [] }, nowMs);
  });
  const [digest] = digests;
  const digestBytes = serialize(digest).length;
  const modelsInAll = digests.reduce((sum, { models: of }) => sum + of.length, 0);
  const packMs = runs(() => packDigests(digests));
  const unpackMs = runs(() => unpackDigests(packed));
  const modelBytes = digestBytes / (digest?.models.length ?? 1);
  return [
    atMost(100, "scale.choose_hub_p99_us", hubUs, "µs"),
    atMost(30, "scale.choose_worker_p99_us", workerUs, "µs"),
    explaining("scale.choose_hub_first_us", median(firstUs), "µs"),
    explaining("scale.place_worker_p99_us", placeUs, "µs"),
    explaining("scale.digest_bytes", digestBytes, "B"),
    explaining("scale.digest_bytes_per_model", modelBytes, "B"),
    explaining("scale.view_bytes", packed.length, "B"),
    explaining("scale.view_bytes_per_model", packed.length / modelsInAll, "B"),
    explaining("scale.view_pack_ms", median(packMs), "ms"),
    explaining("scale.view_unpack_ms", median(unpackMs), "ms"),
    explaining("scale.attachment_bytes", serialize(attachment).length, "B"),
  ];
}

function queryFor(model: string): HubQuery {
  const abilities: Ability[] = ["chat", "tools"];
  return {
    kind: "chat",
    model,
    demands: {
      fieldByAbility: new Map(abilities.map((ability) => [ability, ability])),
      refused: null,
    },
    class: "public",
    weights: { bitsMin: null, byContent: false },
    routing: defaultRouting,
    priceMax: { inputMicrosPerMillion: null, outputMicrosPerMillion: null },
    region: "weur",
    hubIds: null,
  };
}

/** Microseconds of the first choice of each model in views that have just come. */
function firstChoices(
  packed: string,
  queries: readonly HubQuery[],
  random: () => number,
): readonly number[] {
  return Array.from({ length: 20 }, () => unpackDigests(packed)).flatMap((view) =>
    queries.map((query) => 1_000 * msOf(() => chooseHub(query, view, random))),
  );
}

/** Milliseconds of each of some runs. */
function runs(run: () => void): number[] {
  return Array.from({ length: 20 }, () => msOf(run));
}

function msOf(run: () => void): number {
  const startMs = performance.now();
  run();
  return performance.now() - startMs;
}

/**
 * The longest time of 99 in 100 runs, in microseconds: of the quietest round, as other processes
 * can only make it longer.
 */
function timed(run: (number: number) => void): number {
  for (let number = 0; number < warmUps; number++) run(number);
  const rounds = Array.from({ length: roundsOfChoices }, () => {
    const us: number[] = [];
    for (let number = 0; number < choices; number++) {
      const startMs = performance.now();
      run(number);
      us.push(1_000 * (performance.now() - startMs));
    }
    return quantile(us, 0.99);
  });
  return Math.min(...rounds);
}

/**
 * As edge/hub/sessions/worker-sockets.ts keeps it with each socket, with values of their real
 * lengths.
 */
const attachment = {
  v: 1,
  sessionId: "s".repeat(22),
  nonce: "n".repeat(43),
  origin: "https://edge.example.workers.dev",
  region: "weur",
  openedMs: 1_800_000_000_000,
  phase: "proven",
};
