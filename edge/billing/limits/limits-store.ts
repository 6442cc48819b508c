import { z } from "zod";
import { budgetPeriods, type Limits, limitsSchema } from "../../../shared/limits.ts";
import type { SpentRow } from "./budgets.ts";
import type { HolderScope, KeyGroups } from "./limit-chain.ts";
import type { StoredLimits } from "./limits-state.ts";

/** What an account's own SQLite knows of limits: the settings, and what budgets have spent (G5). */
export class LimitsStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS limits (
        scope TEXT NOT NULL, id TEXT NOT NULL, limits TEXT NOT NULL, PRIMARY KEY (scope, id));
      CREATE TABLE IF NOT EXISTS key_groups (
        key_id TEXT PRIMARY KEY, team_id TEXT, project_id TEXT);
      CREATE TABLE IF NOT EXISTS spent (
        scope TEXT NOT NULL, id TEXT NOT NULL, model TEXT NOT NULL, period TEXT NOT NULL,
        start_ms INTEGER NOT NULL, micros INTEGER NOT NULL, told_percent INTEGER NOT NULL,
        told_budget INTEGER NOT NULL, PRIMARY KEY (scope, id, model, period));
    `);
  }

  load(): StoredLimits {
    const all = (table: string) => this.#sql.exec(`SELECT * FROM ${table}`).toArray();
    return {
      limits: all("limits").map((row) => {
        const { scope, id, limits } = limitsRow.parse(row);
        return { of: { scope, id }, limits: limitsSchema.parse(JSON.parse(limits)) };
      }),
      groups: all("key_groups").map((row) => {
        const { key_id: keyId, team_id: teamId, project_id: projectId } = groupsRow.parse(row);
        return { keyId, groups: { teamId, projectId } };
      }),
      spent: all("spent").map((row) => readSpent(row)),
    };
  }

  /** The limits of a scope; none where null. */
  saveLimits(scope: HolderScope, id: string, limits: Limits | null): void {
    if (limits === null) {
      this.#sql.exec("DELETE FROM limits WHERE scope = ? AND id = ?", scope, id);
      return;
    }
    const json = JSON.stringify(limits);
    this.#sql.exec("INSERT OR REPLACE INTO limits VALUES (?, ?, ?)", scope, id, json);
  }

  saveKeyGroups(keyId: string, { teamId, projectId }: KeyGroups): void {
    if (teamId === null && projectId === null) {
      this.#sql.exec("DELETE FROM key_groups WHERE key_id = ?", keyId);
      return;
    }
    this.#sql.exec("INSERT OR REPLACE INTO key_groups VALUES (?, ?, ?)", keyId, teamId, projectId);
  }

  /** One statement, however many budgets; none where there is no budget. */
  saveSpent(rows: readonly SpentRow[]): void {
    if (rows.length === 0) return;
    const json = rows.map(({ subject, period, spent }) => [
      subject.scope,
      subject.id,
      subject.model ?? "",
      period,
      spent.startMs,
      Number(spent.micros),
      spent.toldPercent,
      Number(spent.toldBudget),
    ]);
    this.#sql.exec(
      `INSERT OR REPLACE INTO spent SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3,
         value ->> 4, value ->> 5, value ->> 6, value ->> 7 FROM json_each(?)`,
      JSON.stringify(json),
    );
  }
}

const scopes = ["account", "team", "project", "key"] as const satisfies readonly HolderScope[];
const limitsRow = z.object({ scope: z.enum(scopes), id: z.string(), limits: z.string() });
const groupsRow = z.object({
  key_id: z.string(),
  team_id: z.string().nullable(),
  project_id: z.string().nullable(),
});
const spentRow = z.object({
  scope: z.enum(scopes),
  id: z.string(),
  /** Empty for all models together. */
  model: z.string(),
  period: z.enum(budgetPeriods),
  start_ms: z.int(),
  micros: z.int(),
  told_percent: z.int(),
  told_budget: z.int(),
});

function readSpent(row: unknown): SpentRow {
  const stored = spentRow.parse(row);
  const { scope, id, model, period } = stored;
  return {
    subject: { scope, id, model: model === "" ? null : model },
    period,
    spent: {
      startMs: stored.start_ms,
      micros: BigInt(stored.micros),
      toldPercent: stored.told_percent,
      toldBudget: BigInt(stored.told_budget),
    },
  };
}
