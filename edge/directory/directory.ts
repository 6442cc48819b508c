import { DurableObject } from "cloudflare:workers";
import { isRegion, type Region } from "../../shared/regions.ts";
import { assert } from "../../shared/assert.ts";
import type { Env } from "../env.ts";
import { hubObject } from "../objects.ts";
import type { HubDigest } from "./digest.ts";
import {
  type Advice,
  createDirectoryState,
  type Dial,
  type DirectoryState,
  liveDigests,
  placeWorker,
  putDigest,
} from "./directory-state.ts";
import { KnownHubs } from "./known-hubs.ts";
import { packDigests } from "./packed-view.ts";

/** Hundreds of front Workers ask every second, and get the same answer for a quarter of it. */
const packedMs = 250;

/** The hubs of one region. Holds nothing that the hubs do not say again when asked. */
export class Directory extends DurableObject<Env> {
  readonly #state: DirectoryState;
  readonly #hubs: KnownHubs;
  #packed = { text: "", atMs: 0 };

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const region = ctx.id.name;
    assert(isRegion(region), "a directory is named for its region");
    this.#state = createDirectoryState(region satisfies Region, Date.now());
    const ask = (hubId: string) => hubObject(env, hubId).digest();
    this.#hubs = new KnownHubs(ctx.storage.sql, this.#state, ask);
  }

  /** A hub tells its digest, and is told whether to send its workers elsewhere. */
  publish(digest: HubDigest): Advice {
    const advice = putDigest(this.#state, digest, Date.now());
    this.#hubs.keep(digest.hubId);
    return advice;
  }

  /** The digests as `unpackDigests` reads them: packed once for all who ask within a moment. */
  async view(): Promise<string> {
    await this.#hubs.recall();
    const nowMs = Date.now();
    if (nowMs - this.#packed.atMs >= packedMs) {
      const text = packDigests(liveDigests(this.#state, nowMs));
      this.#packed = { text, atMs: nowMs };
    }
    return this.#packed.text;
  }

  async digests(): Promise<HubDigest[]> {
    await this.#hubs.recall();
    return liveDigests(this.#state, Date.now());
  }

  /** Promises a worker that dials in a seat, and says where. */
  placeWorker(dial: Dial): string {
    return placeWorker(this.#state, dial, Date.now());
  }
}
