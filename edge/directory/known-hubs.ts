import { z } from "zod";
import { describeError } from "../../shared/log.ts";
import { edgeLog } from "../log.ts";
import { within } from "../within.ts";
import type { HubDigest } from "./digest.ts";
import { type DirectoryState, putDigest } from "./directory-state.ts";

/** A hub answers in milliseconds; whoever waits for a view has a consumer waiting. */
const recallMs = 1_000;

/** Asks a hub for what it would tell its directory. */
export type AskHub = (hubId: string) => Promise<HubDigest>;

/**
 * The names of a directory's hubs, which outlive its memory. Hubs repeat their digests every 15 s,
 * and until then a directory that was evicted would say that there are no models; so the first who
 * wants to know has it ask the hubs. A row is written where a hub comes or goes, never for a
 * digest.
 */
export class KnownHubs {
  readonly #sql: SqlStorage;
  readonly #state: DirectoryState;
  readonly #ask: AskHub;
  readonly #stored = new Set<string>();
  #recalled: Promise<void> | null = null;

  constructor(sql: SqlStorage, state: DirectoryState, ask: AskHub) {
    this.#sql = sql;
    this.#state = state;
    this.#ask = ask;
    sql.exec("CREATE TABLE IF NOT EXISTS hubs (hub_id TEXT PRIMARY KEY) WITHOUT ROWID");
    for (const row of sql.exec("SELECT hub_id FROM hubs")) {
      this.#stored.add(z.object({ hub_id: z.string() }).parse(row).hub_id);
    }
  }

  /** Stores whether a hub is there, where that has changed. */
  keep(hubId: string): void {
    const isThere = this.#state.digests.has(hubId);
    if (isThere === this.#stored.has(hubId)) return;
    if (isThere) {
      this.#sql.exec("INSERT INTO hubs VALUES (?)", hubId);
      this.#stored.add(hubId);
    } else {
      this.#sql.exec("DELETE FROM hubs WHERE hub_id = ?", hubId);
      this.#stored.delete(hubId);
    }
  }

  /** Resolves once every stored hub has been heard of, or could not be; asks each once. */
  async recall(): Promise<void> {
    this.#recalled ??= this.#recallAll();
    await this.#recalled;
  }

  async #recallAll(): Promise<void> {
    const unheard = [...this.#stored].filter((hubId) => !this.#state.digests.has(hubId));
    await Promise.all(unheard.map((hubId) => this.#recallOne(hubId)));
  }

  /** A hub that cannot be reached is not forgotten: it will speak for itself, or be asked again. */
  async #recallOne(hubId: string): Promise<void> {
    try {
      const digest = await within(recallMs, this.#ask(hubId));
      putDigest(this.#state, digest, Date.now());
      this.keep(hubId);
    } catch (error) {
      edgeLog("warn", "a hub does not answer its directory", {
        hubId,
        error: describeError(error),
      });
    }
  }
}
