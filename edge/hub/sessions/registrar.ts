import { describeError } from "../../../shared/log.ts";
import type { Region } from "../../../shared/regions.ts";
import { databaseOf } from "../../database.ts";
import { markWorkersOffline, recordWorkers } from "../../db/network/workers.ts";
import { ensureProviderAccounts } from "../../db/people/accounts.ts";
import type { HubDigest } from "../../directory/digest.ts";
import type { Env } from "../../env.ts";
import { edgeLog } from "../../log.ts";
import { directoryObject } from "../../objects.ts";
import { Later } from "../../later.ts";
import type { SessionStore, StoredSession } from "./session-store.ts";
import { type MeasuredSpeed, speedOf } from "./worker-memory.ts";

/** A worker as the registry is told of it. */
export type ReportedSession = StoredSession & { readonly speeds: MeasuredSpeed[] };

/** A hub, as those who are told of it know it. */
export interface ToldHub {
  readonly id: string;
  readonly region: Region;
  readonly digest: () => HubDigest;
  /** Its directory wants its workers to go elsewhere. */
  readonly move: () => void;
}

/** Publishing gathers changes for a second: a digest a second is what front Workers cache for. */
const digestEveryMs = 1_000;
/** The registry is for searching, not for routing: it may lag a moment behind. */
const registryDelayMs = 200;
/**
 * Between two writes: in a storm a hub has somebody coming or leaving all the time, and a write a
 * second costs a fifth of five.
 */
const registryEveryMs = 1_000;
const registryRetryMs = 5_000;

/**
 * Tells the outside what this hub has: its digest to the directory, its workers and listings to
 * libSQL.
 */
export class Registrar {
  readonly #env: Env;
  readonly #hub: ToldHub;
  readonly #store: SessionStore;
  readonly #changed = new Map<string, ReportedSession>();
  readonly #digestLater = new Later(() => this.#publishDigest());
  readonly #registryLater = new Later(() => this.#writeRegistry());
  #digestedMs = 0;
  #writtenMs = 0;

  constructor(env: Env, hub: ToldHub, store: SessionStore) {
    this.#env = env;
    this.#hub = hub;
    this.#store = store;
  }

  /** Something a front Worker routes by has changed. */
  digestChanged(nowMs: number): void {
    this.#digestLater.arm(Math.max(0, this.#digestedMs + digestEveryMs - nowMs));
  }

  /** A worker came, changed its listings, or was measured anew. */
  workerChanged(session: ReportedSession): void {
    this.#changed.set(session.workerId, session);
    this.#writeSoon();
  }

  /** A worker left; the departure is in storage until the registry has it. */
  workerLeft(left: { readonly workerId: string; readonly epoch: number }): void {
    if (this.#changed.get(left.workerId)?.epoch === left.epoch) this.#changed.delete(left.workerId);
    this.#writeSoon();
  }

  #writeSoon(): void {
    const waitMs = this.#writtenMs + registryEveryMs - Date.now();
    this.#registryLater.arm(Math.max(registryDelayMs, waitMs));
  }

  async #publishDigest(): Promise<void> {
    const digest = this.#hub.digest();
    this.#digestedMs = digest.atMs;
    try {
      const advice = await directoryObject(this.#env, this.#hub.region).publish(digest);
      if (advice === "move" && digest.isMoving !== true) this.#hub.move();
    } catch (error) {
      // The next change, or the next alarm, says it again.
      edgeLog("warn", "digest not published", { error: describeError(error) });
    }
  }

  async #writeRegistry(): Promise<void> {
    this.#writtenMs = Date.now();
    const sessions = [...this.#changed.values()];
    const departures = this.#store.departures();
    this.#changed.clear();
    try {
      await using db = databaseOf(this.#env);
      const atMs = Date.now();
      await ensureProviderAccounts(
        db,
        sessions.map((session) => session.accountId),
        atMs,
      );
      await recordWorkers(
        db,
        sessions.map((session) => ({
          id: session.workerId,
          accountId: session.accountId,
          region: session.region,
          agentVersion: session.agent,
          hub: this.#hub.id,
          sessionEpoch: session.epoch,
          atMs,
          hardware: session.hardware,
          listings: session.draining
            ? []
            : session.listings.map((listing) => ({
                ...listing,
                measured: speedOf(session, listing),
              })),
        })),
      );
      await markWorkersOffline(
        db,
        departures.map(({ workerId, epoch, atMs: leftMs }) => ({
          id: workerId,
          sessionEpoch: epoch,
          atMs: leftMs,
        })),
      );
      for (const departure of departures) this.#store.removeDeparture(departure);
    } catch (error) {
      edgeLog("warn", "registry not written", { error: describeError(error) });
      for (const session of sessions) {
        if (!this.#changed.has(session.workerId)) this.#changed.set(session.workerId, session);
      }
      this.#registryLater.arm(registryRetryMs);
    }
  }
}
