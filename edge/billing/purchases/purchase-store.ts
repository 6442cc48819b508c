import { z } from "zod";

/**
 * To be settled, settled, or nobody can tell (P4). What is settled after its task (promises.ts) is
 * of a task that runs first, and then `owed` in place of `settling`, or of no use.
 */
const purchaseStates = ["settling", "credited", "doubtful", "running", "owed", "unused"] as const;
type PurchaseState = (typeof purchaseStates)[number];

/** One authorization and what became of it. */
export interface Purchase {
  readonly id: string;
  readonly state: PurchaseState;
  /** The task that has it, or had it; null while it is to be had. */
  readonly taskId: string | null;
  /** What it gives; while a task runs that it is to pay for, the most that it can. */
  readonly micros: bigint;
  /** The address that it comes from. */
  readonly payer: string;
  /** What the facilitator is sent; empty once there is nothing more to ask. */
  readonly body: string;
  /** What it is called on the chain; empty before the facilitator has said that it is there. */
  readonly transaction: string;
  /** How often it was asked. */
  readonly asked: number;
  /** Nobody can use it after this. */
  readonly untilMs: number;
}

/** Whether the facilitator is to be asked to settle it. */
export function isAsked(state: PurchaseState): state is "settling" | "owed" {
  return state === "settling" || state === "owed";
}

/** Purchases in the account's own SQLite. */
export class PurchaseStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS purchases (
      id TEXT PRIMARY KEY, state TEXT NOT NULL, task_id TEXT, micros INTEGER NOT NULL,
      payer TEXT NOT NULL, body TEXT NOT NULL, transaction_id TEXT NOT NULL, asked INTEGER NOT NULL,
      until_ms INTEGER NOT NULL, is_told INTEGER NOT NULL)`);
    // Every closing of a task asks for these.
    sql.exec(`CREATE INDEX IF NOT EXISTS purchases_running ON purchases (task_id)
      WHERE state = 'running'`);
    // Whoever asked died with the object, and was told that it may ask again.
    sql.exec("UPDATE purchases SET task_id = NULL WHERE state = 'settling'");
  }

  find(id: string): Purchase | null {
    const rows = this.#sql.exec("SELECT * FROM purchases WHERE id = ?", id).toArray();
    return rows[0] === undefined ? null : readPurchase(rows[0]);
  }

  add(purchase: Purchase): void {
    const { id, state, taskId, micros, payer, body, transaction, asked, untilMs } = purchase;
    const values = [id, state, taskId, Number(micros), payer, body, transaction, asked, untilMs];
    this.#sql.exec("INSERT INTO purchases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)", ...values);
  }

  give(id: string, taskId: string): void {
    this.#sql.exec("UPDATE purchases SET task_id = ? WHERE id = ?", taskId, id);
  }

  takeBack(id: string, taskId: string): void {
    this.#sql.exec("UPDATE purchases SET task_id = NULL WHERE id = ? AND task_id = ?", id, taskId);
  }

  countAsked(id: string): void {
    this.#sql.exec("UPDATE purchases SET asked = asked + 1 WHERE id = ?", id);
  }

  /** The facilitator says that it is on the chain. */
  settled(id: string, transaction: string): void {
    this.#sql.exec("UPDATE purchases SET transaction_id = ? WHERE id = ?", transaction, id);
  }

  /** There is nothing more to ask of it. */
  end(id: string, state: "credited" | "doubtful" | "unused"): void {
    this.#sql.exec("UPDATE purchases SET state = ?, body = '' WHERE id = ?", state, id);
  }

  /** Its task has ended and cost so much. */
  owe(id: string, micros: bigint, body: string): void {
    const change = "UPDATE purchases SET state = 'owed', micros = ?, body = ? WHERE id = ?";
    this.#sql.exec(change, Number(micros), body, id);
  }

  remove(id: string): void {
    this.#sql.exec("DELETE FROM purchases WHERE id = ?", id);
  }

  /** Whether there is anything to ask or to tell. */
  isDue(): boolean {
    return this.settling().length > 0 || this.untold().length > 0;
  }

  settling(): Purchase[] {
    return this.#all("state IN ('settling', 'owed')");
  }

  owed(): Purchase[] {
    return this.#all("state = 'owed'");
  }

  /** Those that are to pay for these tasks. */
  running(taskIds: readonly string[]): Purchase[] {
    const ofThese = "state = 'running' AND task_id IN (SELECT value FROM json_each(?))";
    return this.#all(ofThese, JSON.stringify(taskIds));
  }

  /** Those that the registry has not heard of. */
  untold(): Purchase[] {
    return this.#all("state IN ('credited', 'doubtful') AND is_told = 0");
  }

  told(id: string): void {
    this.#sql.exec("UPDATE purchases SET is_told = 1 WHERE id = ?", id);
  }

  /** An authorization that is long past is refused for that; those in doubt are kept. */
  forgetBefore(ms: number): void {
    // A task that runs is long over by then, and nobody can close it any more.
    const over = "(state = 'credited' AND is_told = 1 OR state IN ('running', 'unused'))";
    this.#sql.exec(`DELETE FROM purchases WHERE ${over} AND until_ms < ?`, ms);
  }

  #all(where: string, ...values: string[]): Purchase[] {
    const rows = this.#sql.exec(`SELECT * FROM purchases WHERE ${where}`, ...values);
    return rows.toArray().map(readPurchase);
  }
}

const purchaseRow = z.object({
  id: z.string(),
  state: z.enum(purchaseStates),
  task_id: z.string().nullable(),
  micros: z.int(),
  payer: z.string(),
  body: z.string(),
  transaction_id: z.string(),
  asked: z.int(),
  until_ms: z.int(),
});

function readPurchase(row: unknown): Purchase {
  const stored = purchaseRow.parse(row);
  return {
    id: stored.id,
    state: stored.state,
    taskId: stored.task_id,
    micros: BigInt(stored.micros),
    payer: stored.payer,
    body: stored.body,
    transaction: stored.transaction_id,
    asked: stored.asked,
    untilMs: stored.until_ms,
  };
}
