import { DurableObject } from "cloudflare:workers";
import { isRegion, type Region } from "../../shared/regions.ts";
import { assert } from "../../shared/assert.ts";
import type { Env } from "../env.ts";
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
import { packDigests } from "./packed-view.ts";

/** Hundreds of front Workers ask every second, and get the same answer for a quarter of it. */
const packedMs = 250;

/** The hubs of one region. Holds nothing that the hubs do not say again within seconds. */
export class Directory extends DurableObject<Env> {
  readonly #state: DirectoryState;
  #packed = { text: "", atMs: 0 };

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const region = ctx.id.name;
    assert(isRegion(region), "a directory is named for its region");
    this.#state = createDirectoryState(region satisfies Region, Date.now());
  }

  /** A hub tells its digest, and is told whether to send its workers elsewhere. */
  publish(digest: HubDigest): Advice {
    return putDigest(this.#state, digest, Date.now());
  }

  /** The digests as `unpackDigests` reads them: packed once for all who ask within a moment. */
  view(): string {
    const nowMs = Date.now();
    if (nowMs - this.#packed.atMs >= packedMs) {
      const text = packDigests(liveDigests(this.#state, nowMs));
      this.#packed = { text, atMs: nowMs };
    }
    return this.#packed.text;
  }

  digests(): HubDigest[] {
    return liveDigests(this.#state, Date.now());
  }

  /** Promises a worker that dials in a seat, and says where. */
  placeWorker(dial: Dial): string {
    return placeWorker(this.#state, dial, Date.now());
  }
}
