import { Later } from "../../later.ts";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import type { SigningKey } from "../../../shared/crypto/signing.ts";
import { describeError } from "../../../shared/log.ts";
import {
  countersign,
  type SignedReceipt,
  verifyReceipt,
} from "../../../shared/protocol/receipt.ts";
import type { TaskClosing } from "../../billing/closing.ts";
import { edgeLog } from "../../log.ts";
import { type CheckedReceipt, closingOf } from "./closing-of.ts";
import type { TaskEnding } from "../hub-state.ts";

/**
 * From ended tasks to closed books.
 * S1. A receipt is acknowledged only after its account has closed the task durably; until then its
 *     worker keeps it.
 * S2. A worker is paid only under a receipt that it signed over what was relayed, or, where a
 *     cancelled attempt never brought one, for the bytes that were delivered.
 * S3. What an account did not take is sent again: closing twice is a no-op there.
 */
export interface SettlerPorts {
  /** Gives the tasks that the account does not take yet. */
  readonly close: (
    accountId: string,
    closings: readonly TaskClosing[],
  ) => Promise<readonly string[]>;
  readonly acknowledge: (workerId: string, attempts: readonly string[]) => void;
  /** A worker signed something that is not what it sent. */
  readonly distrust: (sessionId: string, reason: string) => void;
  readonly edgeKey: () => Promise<SigningKey>;
}

/**
 * Settlements gather for so long: one write an account instead of one a task, and nobody waits for
 * it.
 */
const gatherMs = 40;
/**
 * Where a lease pays, neither credit nor a slot of the account is waited for: few tasks of an
 * account gather longer, because a write costs the same for one as for many.
 */
const leasedGatherMs = 1_000;
const fewTasks = 32;
/**
 * Between tries while an account cannot be reached; the worker's copy of the receipt outlasts this
 * hub.
 */
const retryMs = 500;
/**
 * At 1,000 tasks a second a minute of closings is 60,000; an account away for longer is settled
 * from receipts.
 */
const pendingMax = 60_000;

/**
 * Closings in one call to an account: a call takes 32 megabytes (Workers, 2026-11), and a closing
 * is a few kilobytes.
 */
const closingsAtOnce = 512;

/** A task whose hub was lost is over for its consumer within seconds, in most cases. */
const waitMs = 15_000;

interface Pending {
  readonly closing: TaskClosing;
  readonly sinceMs: number;
  /** Who is told when it is closed. */
  readonly acknowledge: { readonly workerId: string; readonly attempt: string } | null;
}

export class Settler {
  readonly #ports: SettlerPorts;
  #ended: TaskEnding[] = [];
  #pending: Pending[] = [];
  readonly #later = new Later(() => this.#flush());
  /** Closings that their account does not take yet. */
  readonly #waiting: Pending[] = [];
  readonly #askAgain = new Later(() => this.#bringAgain());

  constructor(ports: SettlerPorts) {
    this.#ports = ports;
  }

  /** Takes an ended task. */
  settle(ending: TaskEnding): void {
    // Nothing has left for the consumer: the front Worker may still have another hub, and closes
    // the books if not.
    const { started, told } = ending.entry;
    if (ending.kind === "failed" && !started && !told) return;
    this.#ended.push(ending);
    this.#later.arm(gatherMs);
  }

  /** Takes a closing from elsewhere: a receipt that came back after its hub was lost. */
  submit(closing: TaskClosing, signed: SignedReceipt): void {
    const { worker, attempt } = signed.receipt;
    this.#pending.push({
      closing,
      sinceMs: Date.now(),
      acknowledge: { workerId: worker, attempt },
    });
    this.#later.arm(gatherMs);
  }

  async #flush(): Promise<void> {
    const ended = this.#ended;
    this.#ended = [];
    const checked = await Promise.all(ended.map((ending) => this.#toPending(ending)));
    // Only now is the list looked at: another flush may have taken the one there was before.
    this.#pending.push(...checked);
    const byAccount = new Map<string, Pending[]>();
    for (const pending of this.#pending) {
      const { account } = pending.closing.terms;
      const list = byAccount.get(account) ?? [];
      list.push(pending);
      byAccount.set(account, list);
    }
    const nowMs = Date.now();
    const due = [...byAccount].filter(([, list]) => isDue(list, nowMs));
    for (const [accountId] of due) byAccount.delete(accountId);
    this.#pending = [...byAccount.values()].flat();
    if (this.#pending.length > 0) this.#later.arm(gatherMs);
    await Promise.all(due.map(([accountId, list]) => this.#closeAll(accountId, list)));
  }

  async #closeAll(accountId: string, pending: readonly Pending[]): Promise<void> {
    for (let at = 0; at < pending.length; at += closingsAtOnce) {
      await this.#close(accountId, pending.slice(at, at + closingsAtOnce));
    }
  }

  async #close(accountId: string, pending: readonly Pending[]): Promise<void> {
    let waiting: ReadonlySet<string>;
    try {
      const closings = pending.map((entry) => entry.closing);
      waiting = new Set(await this.#ports.close(accountId, closings));
    } catch (error) {
      // S3: the object was reset or is overloaded.
      edgeLog("warn", "account did not close tasks", { error: describeError(error) });
      this.#pending.push(...pending.slice(0, Math.max(0, pendingMax - this.#pending.length)));
      this.#later.arm(retryMs);
      return;
    }
    const attemptsByWorker = new Map<string, string[]>();
    for (const entry of pending) {
      const { acknowledge, closing } = entry;
      if (waiting.has(closing.terms.task)) this.#waiting.push(entry);
      if (acknowledge === null || waiting.has(closing.terms.task)) continue;
      const list = attemptsByWorker.get(acknowledge.workerId) ?? [];
      list.push(acknowledge.attempt);
      attemptsByWorker.set(acknowledge.workerId, list);
    }
    for (const [workerId, list] of attemptsByWorker) this.#ports.acknowledge(workerId, list);
    if (this.#waiting.length > 0) this.#askAgain.arm(waitMs);
  }

  async #bringAgain(): Promise<void> {
    this.#pending.push(...this.#waiting.splice(0));
    this.#later.arm(gatherMs);
  }

  async #toPending(ending: TaskEnding): Promise<Pending> {
    const sinceMs = Date.now();
    if (ending.kind === "failed") {
      return { closing: closingOf(ending, null), sinceMs, acknowledge: null };
    }
    const { attempt, receipt } = ending;
    const acknowledge =
      receipt === null ? null : { workerId: attempt.session.workerId, attempt: attempt.id };
    const checked = receipt === null ? null : await this.#check(ending, receipt);
    if (checked === "false") {
      const reason = `the receipt of ${attempt.id} is not what was relayed`;
      this.#ports.distrust(attempt.session.id, reason);
    }
    return { closing: closingOf(ending, checked), sinceMs, acknowledge };
  }

  /** S2. The hashes are compared here, off the path of the answer. */
  async #check(
    ending: Exclude<TaskEnding, { kind: "failed" }>,
    signed: SignedReceipt,
  ): Promise<CheckedReceipt> {
    const { receipt } = signed;
    const { attempt, entry } = ending;
    const [prompt, output, prefix, valid] = await Promise.all([
      sha256Hex(entry.task.body),
      attempt.transcript.hash(),
      attempt.prefixText === null ? undefined : sha256Hex(attempt.prefixText),
      verifyReceipt(signed),
    ]);
    const isTrue =
      receipt.prompt_hash === prompt &&
      receipt.output_hash === output &&
      receipt.prefix_hash === prefix;
    if (!valid || !isTrue) return "false";
    const key = await this.#ports.edgeKey();
    return { signed, edgeKey: key.publicKey, edgeSignature: await countersign(signed, key) };
  }
}

/** Whether the closings of one account have gathered long enough. */
function isDue(list: readonly Pending[], nowMs: number): boolean {
  if (list.length >= fewTasks) return true;
  return list.some(
    ({ closing, sinceMs }) =>
      closing.terms.lease === undefined || nowMs - sinceMs >= leasedGatherMs,
  );
}
