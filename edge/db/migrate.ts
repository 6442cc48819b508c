import { sha256Hex } from "../../shared/crypto/bytes.ts";
import { OctoError } from "../../shared/errors.ts";
import { sql } from "drizzle-orm";
import type { Database } from "./database.ts";

/** A file of `migrations/`: its name without `.sql`, which orders it, and its text. */
export interface Migration {
  readonly name: string;
  readonly sql: string;
}

interface Applied {
  readonly name: string;
  readonly checksum: string;
}

const recordTable = `create table if not exists applied_migrations (
  name text primary key not null, checksum text not null, applied_at integer not null)`;
const insertRecord = `insert into applied_migrations (name, checksum, applied_at) values (?, ?, ?)`;

/**
 * Applies the migrations a database does not have yet, in order of name; gives the names of those
 * it applied. Each is one transaction that begins with its own record, so of two runners at once
 * one applies it and the other finds it applied. Throws `conflict` where an applied migration has
 * another text by now: they are append-only.
 */
export async function applyMigrations(
  db: Database,
  migrations: readonly Migration[],
  nowMs: number,
): Promise<readonly string[]> {
  await db.migrate("prepare for migrations", [recordTable]);
  const names: string[] = [];
  for (const migration of migrations.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (await applyOne(db, migration, nowMs)) names.push(migration.name);
  }
  return names;
}

async function applyOne(db: Database, migration: Migration, nowMs: number): Promise<boolean> {
  const checksum = await sha256Hex(migration.sql);
  if (await isApplied(db, migration.name, checksum)) return false;
  const statements = migration.sql
    .split("--> statement-breakpoint")
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "");
  const record = { sql: insertRecord, args: [migration.name, checksum, BigInt(nowMs)] };
  try {
    await db.migrate(`apply migration ${migration.name}`, [record, ...statements]);
    return true;
  } catch (error) {
    // Another runner recorded it first; any other failure is told as it is.
    if (await isApplied(db, migration.name, checksum)) return false;
    throw error;
  }
}

async function isApplied(db: Database, name: string, checksum: string): Promise<boolean> {
  const [applied] = await db.read("read the applied migrations", (orm) =>
    orm.all<Applied>(sql`select name, checksum from applied_migrations where name = ${name}`),
  );
  if (applied !== undefined && applied.checksum !== checksum) {
    throw new OctoError(
      "conflict",
      `Cannot apply migration ${name}: it was applied with another text ` +
        `(sha-256 ${applied.checksum.slice(0, 12)}, now ${checksum.slice(0, 12)})`,
    );
  }
  return applied !== undefined;
}
