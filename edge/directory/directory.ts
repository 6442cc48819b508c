import { DurableObject } from "cloudflare:workers";
import { isRegion, type Region } from "../../shared/regions.ts";
import { assert } from "../../shared/assert.ts";
import type { Env } from "../env.ts";
import type { HubDigest } from "./digest.ts";
import {
  createDirectoryState,
  type DirectoryState,
  hubForWorker,
  liveDigests,
  putDigest,
} from "./directory-state.ts";

/** The hubs of one region. Holds nothing that the hubs do not say again within seconds. */
export class Directory extends DurableObject<Env> {
  readonly #state: DirectoryState;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const region = ctx.id.name;
    assert(isRegion(region), "a directory is named for its region");
    this.#state = createDirectoryState(region satisfies Region);
  }

  publish(digest: HubDigest): void {
    putDigest(this.#state, digest);
  }

  digests(): HubDigest[] {
    return liveDigests(this.#state, Date.now());
  }

  hubForWorker(): string {
    return hubForWorker(this.#state, Date.now());
  }
}
