import type { CountersignedReceipt, TaskClosing } from "../../../edge/billing/closing.ts";
import { closingOf } from "../../../edge/hub/settling/closing-of.ts";
import type { TaskEnding } from "../../../edge/hub/hub-state.ts";
import type { SignedReceipt } from "../../../shared/protocol/receipt.ts";
import type { SimulatedHub } from "./simulated-hub.ts";
import { isReceiptSigned, stubHash } from "../stubs.ts";
import type { World } from "../world.ts";

/** As in edge/hub/settling/settler.ts. */
const gatherMs = 40;
const retryMs = 500;

interface Pending {
  readonly closing: TaskClosing;
  readonly acknowledge: { readonly workerId: string; readonly attempt: string } | null;
}

/**
 * From ended tasks to closed books, as edge/hub/settling/settler.ts does it, with stub signatures
 * and calls that may fail.
 */
export class HubSettler {
  readonly #world: World;
  readonly #hub: SimulatedHub;
  #ended: TaskEnding[] = [];
  #pending: Pending[] = [];
  #isArmed = false;
  #calls = 0;
  #isDead = false;

  constructor(world: World, hub: SimulatedHub) {
    this.#world = world;
    this.#hub = hub;
  }

  get isIdle(): boolean {
    return (
      !this.#isArmed && this.#calls === 0 && this.#ended.length === 0 && this.#pending.length === 0
    );
  }

  /** The hub was reset: nobody waits for answers any more. */
  die(): void {
    this.#isDead = true;
  }

  settle(ending: TaskEnding): void {
    if (ending.kind === "failed" && !ending.entry.started) return;
    this.#ended.push(ending);
    this.#arm(gatherMs);
  }

  submit(closing: TaskClosing, signed: SignedReceipt): void {
    const { worker, attempt } = signed.receipt;
    this.#pending.push({ closing, acknowledge: { workerId: worker, attempt } });
    this.#arm(gatherMs);
  }

  #arm(delayMs: number): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#hub.later(delayMs, () => {
      this.#isArmed = false;
      this.#flush();
    });
  }

  #flush(): void {
    const ended = this.#ended;
    this.#ended = [];
    for (const ending of ended) this.#pending.push(this.#toPending(ending));
    const byAccount = Map.groupBy(this.#pending, ({ closing }) => closing.terms.account);
    this.#pending = [];
    for (const [accountId, list] of byAccount) this.#close(accountId, list);
  }

  #close(accountId: string, pending: readonly Pending[]): void {
    this.#calls += 1;
    const closings = pending.map((entry) => entry.closing);
    this.#world.account(accountId).callClose(closings, (isClosed) => {
      if (this.#isDead) return;
      this.#calls -= 1;
      if (isClosed) this.#acknowledge(pending);
      else {
        this.#pending.push(...pending);
        this.#arm(retryMs);
      }
    });
  }

  #acknowledge(pending: readonly Pending[]): void {
    const told = pending.flatMap(({ acknowledge }) => acknowledge ?? []);
    for (const [workerId, list] of Map.groupBy(told, (entry) => entry.workerId)) {
      this.#hub.acknowledge(
        workerId,
        list.map((entry) => entry.attempt),
      );
    }
  }

  #toPending(ending: TaskEnding): Pending {
    if (ending.kind === "failed") return { closing: closingOf(ending, null), acknowledge: null };
    const { attempt, receipt } = ending;
    const acknowledge =
      receipt === null ? null : { workerId: attempt.session.workerId, attempt: attempt.id };
    const checked = receipt === null ? null : this.#check(ending, receipt);
    if (checked === "false") {
      this.#world.truth.rejected.add(attempt.id);
      if (this.#world.options.mutant === "rejected-receipt-paid") {
        return { closing: closingOf(ending, null), acknowledge };
      }
      this.#hub.distrust(attempt.session.id, `the receipt of ${attempt.id} is false`);
    }
    return { closing: closingOf(ending, checked), acknowledge };
  }

  #check(
    ending: Exclude<TaskEnding, { kind: "failed" }>,
    signed: SignedReceipt,
  ): CountersignedReceipt | "false" {
    const { receipt } = signed;
    const isTrue =
      receipt.prompt_hash === stubHash(ending.entry.task.body) &&
      receipt.output_hash === transcriptHash((index) => ending.attempt.transcript.text(index)) &&
      receipt.prefix_hash === prefixHash(ending.attempt.prefixText) &&
      isReceiptSigned(signed);
    return isTrue ? { signed, edgeKey: "edge", edgeSignature: "edge" } : "false";
  }
}

/** What stands for the hash of what an attempt went on from. */
export function prefixHash(text: string | null): string | undefined {
  return text === null ? undefined : stubHash(text);
}

/** What stands for the hash of a transcript: the texts of its first choices. */
export function transcriptHash(textOf: (index: number) => string): string {
  return stubHash(JSON.stringify([textOf(0), textOf(1), textOf(2), textOf(3)]));
}
