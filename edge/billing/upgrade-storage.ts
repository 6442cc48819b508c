import { ResolvedTasks } from "./resolved-tasks.ts";

/** Brings what an earlier version has stored to the tables of this one, which are there already. */
export function upgradeStorage(sql: SqlStorage, nowMs: number): void {
  addJournal(sql);
  addStanding(sql);
  // Leases are memory.
  sql.exec("DROP TABLE IF EXISTS leases");
  splitResolutions(sql, nowMs);
}

/** Accounts of before there were journals begin one. */
function addJournal(sql: SqlStorage): void {
  const columns = sql.exec("SELECT name FROM pragma_table_info('account')").toArray();
  if (columns.some(({ name }) => name === "journal_seq")) return;
  sql.exec(`
    ALTER TABLE account ADD COLUMN journal_seq INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE account ADD COLUMN journal_hash TEXT NOT NULL DEFAULT '';
  `);
}

/** Accounts of before one could be lost are open. */
function addStanding(sql: SqlStorage): void {
  const columns = sql.exec("SELECT name FROM pragma_table_info('account')").toArray();
  if (columns.some(({ name }) => name === "standing")) return;
  sql.exec("ALTER TABLE account ADD COLUMN standing TEXT NOT NULL DEFAULT 'open'");
}

/** Mints and closed tasks were in one table, which did not say when the tasks were made. */
function splitResolutions(sql: SqlStorage, nowMs: number): void {
  const tables = sql.exec("SELECT 1 FROM sqlite_schema WHERE name = 'resolutions'").toArray();
  if (tables.length === 0) return;
  sql.exec("INSERT INTO mints SELECT task_id, micros FROM resolutions WHERE kind = 'mint'");
  const rows = sql.exec<{ task: string }>(
    "SELECT task_id AS task FROM resolutions WHERE kind <> 'mint'",
  );
  const tasks = rows.toArray();
  const resolved = new ResolvedTasks(sql);
  // What may still be closed was made today or the day before.
  for (const ms of [nowMs, nowMs - 24 * 3_600_000]) {
    resolved.add(tasks.map(({ task }) => ({ task, created_ms: ms })));
  }
  sql.exec("DROP TABLE resolutions");
}
