import type { SQL } from "drizzle-orm";
import { and, eq, getTableColumns, gte, inArray, lte, sql } from "drizzle-orm";
import { z } from "zod";
import { newId } from "../../../shared/ids.ts";
import type { Class, Listing as PublishedListing } from "../../../shared/protocol/listing.ts";
import { classes } from "../../../shared/protocol/listing.ts";
import type { Region } from "../../../shared/regions.ts";
import type { Database, Orm, Statement } from "../database.ts";
import { insertModels } from "./models.ts";
import type { Page, PageRequest } from "../page.ts";
import { cursorTextField, decodeCursor, toPage } from "../page.ts";
import { selectRows } from "../rows.ts";
import { listings, workers } from "../schema/registry.ts";

export type Listing = typeof listings.$inferSelect;
/** A listing as its worker publishes it, and what its hub has measured of it. */
export type NewListing = PublishedListing & { readonly measured?: Measured | null };

export interface Measured {
  readonly firstTokenMs: number | null;
  readonly decodeTokensPerS: number | null;
  readonly successShare: number;
  readonly samples: number;
}

/** The listings of one worker, under the report that brought them. */
export interface Publication {
  readonly worker: {
    readonly id: string;
    readonly accountId: string;
    readonly region: Region;
    readonly sessionEpoch: number;
    readonly atMs: number;
  };
  readonly listings: readonly NewListing[];
}

export interface ListingSearch extends PageRequest {
  readonly model?: string | undefined;
  readonly digest?: string | undefined;
  readonly region?: Region | undefined;
  /** Listings that may serve a task of this class. */
  readonly class?: Class | undefined;
  readonly ability?: string | undefined;
  /** Micros for a million tokens, at most. */
  readonly inputMax?: number | undefined;
  readonly outputMax?: number | undefined;
  readonly quantization?: string | undefined;
  /** Bits a weight, at least; where they are unknown a listing has none. */
  readonly bitsMin?: number | undefined;
  readonly onlineOnly: boolean;
}

/** The cheapest first: output, then input price, then id. */
const priceCursorSchema = z.tuple([z.int().min(0), z.int().min(0), cursorTextField]);

/**
 * The statements that make each worker's listings exactly those published, in the batch that stored
 * the workers' reports. A publication whose report was not taken changes nothing.
 */
export function publishListings(orm: Orm, published: readonly Publication[]): Statement[] {
  const rows = published.flatMap(({ worker, listings }) =>
    listings.map((listing) => toRow(worker, listing)),
  );
  const reports = JSON.stringify(published.map(({ worker }) => worker));
  const taken = sql`(select w.id from json_each(${reports}) as r join ${workers} as w
    on w.id = r.value ->> 'id' and w.session_epoch = r.value ->> 'sessionEpoch'
    and w.last_seen_at = r.value ->> 'atMs')`;
  return [
    insertModels(orm, published),
    orm
      .update(listings)
      .set({ online: false })
      .where(
        and(
          sql`${listings.workerId} in ${taken}`,
          sql`(${listings.workerId}, ${listings.model}) not in (
            select o.value ->> 0, o.value ->> 1 from json_each(${offered(rows)}) as o)`,
        ),
      ),
    orm
      .insert(listings)
      .select(sql`select * from (${selectRows(listings, rows)}) where worker_id in ${taken}`)
      .onConflictDoUpdate({
        target: [listings.workerId, listings.model],
        set: publishedColumns,
      }),
  ];
}

/**
 * Takes the listings of workers that are offline offline with them; `ends` is a JSON array of `{ id
 * }`.
 */
export function silenceListings(orm: Orm, ends: string): Statement {
  return orm
    .update(listings)
    .set({ online: false })
    .where(
      sql`${listings.workerId} in (select w.id from json_each(${ends}) as e
        join ${workers} as w on w.id = e.value ->> 'id' where w.online = 0)`,
    );
}

/** The listings that answer a search, the cheapest first. */
export async function searchListings(db: Database, search: ListingSearch): Promise<Page<Listing>> {
  const conditions = [...searchConditions(search), afterPrice(search.cursor)];
  const rows = await db.read("search the listings", (orm) =>
    orm
      .select()
      .from(listings)
      .where(and(...conditions))
      .orderBy(listings.outputMicrosPerMillion, listings.inputMicrosPerMillion, listings.id)
      .limit(search.limit + 1),
  );
  return toPage(rows, search.limit, (row) => [
    row.outputMicrosPerMillion,
    row.inputMicrosPerMillion,
    row.id,
  ]);
}

function searchConditions(search: ListingSearch): (SQL | undefined)[] {
  const { model, digest, region, ability, inputMax, outputMax, quantization, bitsMin } = search;
  const is = <T>(value: T | undefined, condition: (value: T) => SQL): SQL | undefined =>
    value === undefined ? undefined : condition(value);
  return [
    is(model, (value) => eq(listings.model, value)),
    is(digest, (value) => eq(listings.digest, value)),
    is(region, (value) => eq(listings.region, value)),
    // The ceiling is the most secret class a listing may serve; `classes` goes from open to secret.
    is(search.class, (value) =>
      inArray(listings.classCeiling, classes.slice(classes.indexOf(value))),
    ),
    is(
      ability,
      (value) =>
        sql`exists (select 1 from json_each(${listings.abilities}) as a where a.value = ${value})`,
    ),
    is(inputMax, (value) => lte(listings.inputMicrosPerMillion, value)),
    is(outputMax, (value) => lte(listings.outputMicrosPerMillion, value)),
    is(quantization, (value) => eq(listings.quantization, value)),
    is(bitsMin, (value) => gte(listings.bitsPerWeight, value)),
    search.onlineOnly ? eq(listings.online, true) : undefined,
  ];
}

function afterPrice(cursor: string | null | undefined): SQL | undefined {
  const after = decodeCursor(priceCursorSchema, cursor);
  if (after === null) return undefined;
  const { outputMicrosPerMillion, inputMicrosPerMillion, id } = listings;
  const [output, input, lastId] = after;
  return sql`(${outputMicrosPerMillion}, ${inputMicrosPerMillion}, ${id}) >
    (${sql.param(output, outputMicrosPerMillion)}, ${sql.param(input, inputMicrosPerMillion)},
    ${lastId})`;
}

/** On a listing that is known already, everything but its id is what was last published. */
const publishedColumns = Object.fromEntries(
  Object.entries(getTableColumns(listings))
    .filter(([key]) => key !== "id")
    .map(([key, column]) => [key, sql`excluded.${sql.identifier(column.name)}`]),
);

function offered(rows: readonly Listing[]): string {
  return JSON.stringify(rows.map((row) => [row.workerId, row.model]));
}

function toRow(worker: Publication["worker"], listing: NewListing): Listing {
  return {
    id: newId("lst"),
    workerId: worker.id,
    accountId: worker.accountId,
    model: listing.model,
    digest: listing.digest,
    inputMicrosPerMillion: listing.input_micros_per_million,
    outputMicrosPerMillion: listing.output_micros_per_million,
    classCeiling: listing.class_ceiling,
    region: worker.region,
    abilities: listing.abilities,
    contextTokens: listing.context_tokens,
    quantization: listing.quantization,
    slots: listing.slots,
    engine: listing.engine,
    online: true,
    updatedAt: worker.atMs,
    identity: listing.identity,
    bitsPerWeight: listing.bits_per_weight,
    declaredFirstTokenMs: listing.speed?.first_token_ms ?? null,
    declaredPromptTokensPerS: listing.speed?.prompt_tokens_per_s ?? null,
    declaredDecodeTokensPerS: listing.speed?.decode_tokens_per_s ?? null,
    measuredFirstTokenMs: listing.measured?.firstTokenMs ?? null,
    measuredDecodeTokensPerS: listing.measured?.decodeTokensPerS ?? null,
    measuredSuccessShare: listing.measured?.successShare ?? null,
    measuredSamples: listing.measured?.samples ?? null,
  };
}
