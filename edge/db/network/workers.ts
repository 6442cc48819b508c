import { and, eq, sql } from "drizzle-orm";
import type { Hardware } from "../../../shared/protocol/listing.ts";
import type { Region } from "../../../shared/regions.ts";
import type { Database } from "../database.ts";
import type { NewListing } from "./listings.ts";
import { publishListings, silenceListings } from "./listings.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { selectRows } from "../rows.ts";
import { workers } from "../schema/registry.ts";

/*
 * W1. A worker's sessions are numbered (`sessionEpoch`); a report of an older session changes
 *     nothing, and of one session the report with the latest time stands, so hubs may report late,
 *     twice and out of order.
 * W2. A report's listings replace the worker's: what it no longer offers goes offline, and is kept
 *     for its history.
 */

export type Worker = typeof workers.$inferSelect;

/** What a hub knows of a worker that is online. */
export interface WorkerReport {
  readonly id: string;
  readonly accountId: string;
  readonly region: Region;
  readonly agentVersion: string;
  readonly hub: string;
  readonly sessionEpoch: number;
  readonly atMs: number;
  /** Its machine, by its own word. */
  readonly hardware?: Hardware | null;
  /** Its whole set of listings; undefined leaves them as they are. */
  readonly listings?: readonly NewListing[] | undefined;
}

export interface WorkerEnd {
  readonly id: string;
  readonly sessionEpoch: number;
  readonly atMs: number;
}

/** Whether a report is at least as new as what is stored (W1). */
const isCurrent = sql`(excluded.session_epoch, excluded.last_seen_at) >=
  (${workers.sessionEpoch}, ${workers.lastSeenAt})`;

/**
 * Stores what hubs report of workers online, with their models and listings. A worker is named once
 * a batch.
 */
export async function recordWorkers(db: Database, reports: readonly WorkerReport[]): Promise<void> {
  if (reports.length === 0) return;
  const rows: Worker[] = reports.map((report) => ({
    id: report.id,
    accountId: report.accountId,
    region: report.region,
    agentVersion: report.agentVersion,
    hub: report.hub,
    online: true,
    sessionEpoch: report.sessionEpoch,
    firstSeenAt: report.atMs,
    lastSeenAt: report.atMs,
    hardware: report.hardware ?? null,
    tier: report.hardware?.tier ?? null,
  }));
  const published = reports.flatMap(({ listings, ...worker }) =>
    listings === undefined ? [] : [{ worker, listings }],
  );
  await db.write("record workers", (orm) => [
    orm
      .insert(workers)
      .select(selectRows(workers, rows))
      .onConflictDoUpdate({
        target: workers.id,
        set: {
          accountId: sql`excluded.account_id`,
          region: sql`excluded.region`,
          agentVersion: sql`excluded.agent_version`,
          hub: sql`excluded.hub`,
          online: sql`excluded.online`,
          sessionEpoch: sql`excluded.session_epoch`,
          lastSeenAt: sql`excluded.last_seen_at`,
          hardware: sql`excluded.hardware`,
          tier: sql`excluded.tier`,
        },
        setWhere: isCurrent,
      }),
    ...(published.length === 0 ? [] : publishListings(orm, published)),
  ]);
}

/**
 * Takes workers whose session ended offline, with their listings; the end of an older session
 * changes nothing.
 */
export async function markWorkersOffline(db: Database, ends: readonly WorkerEnd[]): Promise<void> {
  if (ends.length === 0) return;
  const json = JSON.stringify(ends);
  await db.write("mark workers offline", (orm) => [
    orm
      .update(workers)
      .set({ online: false, lastSeenAt: sql`e.value ->> 'atMs'` })
      .from(sql`json_each(${json}) as e`)
      .where(
        and(
          sql`${workers.id} = e.value ->> 'id'`,
          sql`(e.value ->> 'sessionEpoch', e.value ->> 'atMs') >=
            (${workers.sessionEpoch}, ${workers.lastSeenAt})`,
        ),
      ),
    silenceListings(orm, json),
  ]);
}

export async function findWorker(db: Database, id: string): Promise<Worker | null> {
  const rows = await db.read("find the worker", (orm) =>
    orm.select().from(workers).where(eq(workers.id, id)),
  );
  return rows[0] ?? null;
}

/** The workers of an account, or of all, the newest first. */
export async function listWorkers(
  db: Database,
  query: PageRequest & { readonly accountId?: string | undefined },
): Promise<Page<Worker>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: workers.firstSeenAt, id: workers.id };
  const rows = await db.read("list the workers", (orm) =>
    orm
      .select()
      .from(workers)
      .where(
        and(
          query.accountId === undefined ? undefined : eq(workers.accountId, query.accountId),
          beforeInTime(order, after),
        ),
      )
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.firstSeenAt, row.id]);
}

/** The hubs that should have workers online, as far as the registry knows. */
export async function listOnlineHubs(db: Database): Promise<readonly string[]> {
  const rows = await db.read("list the hubs with workers", (orm) =>
    orm.selectDistinct({ hub: workers.hub }).from(workers).where(eq(workers.online, true)),
  );
  return rows.map((row) => row.hub);
}
