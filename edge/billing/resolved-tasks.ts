import { z } from "zod";
import type { Terms } from "./ticket.ts";

/** What a closing says of its task: sealed in its ticket, so every closing of it says the same. */
type ResolvableTask = Pick<Terms, "task" | "created_ms">;

const dayMs = 24 * 3_600_000;

/**
 * Which tasks an account has closed, remembered while one may be closed again. It is the one row
 * that each task costs, so tasks that were made in one day have a table to themselves: a day is
 * forgotten as a whole, and dropping a table counts no rows (workerd, 2026-11).
 */
export class ResolvedTasks {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Those of the tasks that are resolved already; one statement a day that they were made in. */
  among(tasks: readonly ResolvableTask[]): Set<string> {
    const resolved = new Set<string>();
    for (const [day, ids] of idsByDay(tasks)) {
      const rows = this.#sql.exec<{ task_id: string }>(
        `SELECT task_id FROM ${this.#tableOf(day)}
           WHERE task_id IN (SELECT value FROM json_each(?))`,
        JSON.stringify(ids),
      );
      for (const row of rows) resolved.add(row.task_id);
    }
    return resolved;
  }

  /** Tasks that were not resolved before. */
  add(tasks: readonly ResolvableTask[]): void {
    for (const [day, ids] of idsByDay(tasks)) {
      const rows = `INSERT INTO ${this.#tableOf(day)} SELECT value FROM json_each(?)`;
      this.#sql.exec(rows, JSON.stringify(ids));
    }
  }

  /** Forgets the days before the one that `ms` is in. */
  forgetBefore(ms: number): void {
    const names = this.#sql.exec(
      "SELECT name FROM sqlite_schema WHERE name GLOB 'resolved_[0-9]*'",
    );
    for (const { name } of names.toArray()) {
      const table = z.string().parse(name);
      if (Number(table.slice("resolved_".length)) < dayOf(ms))
        this.#sql.exec(`DROP TABLE ${table}`);
    }
  }

  /** The day's table, which is there from then on. */
  #tableOf(day: number): string {
    const table = `resolved_${day}`;
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS ${table} (task_id TEXT PRIMARY KEY) WITHOUT ROWID`);
    return table;
  }
}

function idsByDay(tasks: readonly ResolvableTask[]): Map<number, string[]> {
  const ids = new Map<number, string[]>();
  for (const { task, created_ms: createdMs } of tasks) {
    const day = dayOf(createdMs);
    const list = ids.get(day);
    if (list === undefined) ids.set(day, [task]);
    else list.push(task);
  }
  return ids;
}

function dayOf(ms: number): number {
  return Math.floor(ms / dayMs);
}
