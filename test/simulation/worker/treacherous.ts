import { encodeFrame } from "../../../shared/protocol/codec.ts";
import type { DownFrame, UpFrame } from "../../../shared/protocol/frames.ts";
import {
  canonicalReceipt,
  type Receipt,
  type SignedReceipt,
} from "../../../shared/protocol/receipt.ts";
import type { TaskDelta, TaskEnd } from "../../../shared/protocol/task.ts";
import type { Treachery } from "../options.ts";
import type { Random } from "../random.ts";
import { stubHash, stubSignature } from "../stubs.ts";

/** A worker that cheats: bends what its honest code would say, in the ways it has chosen. */
export class Treacherous {
  readonly kinds: ReadonlySet<Treachery>;
  readonly #random: Random;
  /** Offers of anybody it has heard of, for talking out of turn. */
  readonly #heardOf: string[];
  readonly #cancelled = new Set<string>();
  readonly #ended: TaskEnd[] = [];
  readonly #tickets = new Map<string, string>();
  readonly #over = new Set<string>();

  constructor(kinds: readonly Treachery[], random: Random, heardOf: string[]) {
    this.kinds = new Set(kinds);
    this.#random = random;
    this.#heardOf = heardOf;
  }

  note(frame: DownFrame): void {
    if (frame.type === "task.offer") {
      this.#heardOf.push(frame.attempt);
      this.#tickets.set(frame.attempt, frame.ticket);
    }
    if (frame.type === "task.cancel") this.#cancelled.add(frame.attempt);
  }

  /** What goes out instead of `frame`. */
  bend(frame: UpFrame): string[] {
    switch (frame.type) {
      case "task.delta":
        return this.#bendDelta(frame);
      case "task.end":
        return this.#bendEnd(frame);
      case "credit.grant":
        return [encodeFrame(this.#does("grant-too-much") ? { ...frame, slots: 256 } : frame)];
      case "listing.publish": {
        if (!this.#does("list-twice")) return [encodeFrame(frame)];
        const listings = [...frame.listings, ...frame.listings];
        return [encodeFrame({ ...frame, listings })];
      }
      default:
        return [encodeFrame(frame)];
    }
  }

  /** Everything it was ever paid or refused for, once more. */
  oldReceipts(): string[] {
    const entries = this.#ended.flatMap(({ attempt, receipt }) => {
      const ticket = this.#tickets.get(attempt);
      return ticket === undefined ? [] : [{ ticket, signed: receipt }];
    });
    if (entries.length === 0) return [];
    return [encodeFrame({ type: "receipt.submit", entries: entries.slice(-32) })];
  }

  #does(kind: Treachery, probability = 0.5): boolean {
    return this.kinds.has(kind) && this.#random.chance(probability);
  }

  #bendDelta(frame: TaskDelta): string[] {
    const frames: UpFrame[] = [];
    const { attempt, seq } = frame;
    if (this.#over.has(attempt)) return [];
    if (this.#does("foreign-attempt")) {
      frames.push({ ...frame, attempt: this.#random.pick(this.#heardOf) });
    }
    if (this.#does("skip-seq", 0.1)) frames.push({ ...frame, seq: seq + 1 });
    else frames.push(frame);
    if (this.#does("repeat-frames")) frames.push(frame);
    if (this.#does("unasked-choice", 0.1)) {
      frames.push({ ...frame, seq: seq + 1, parts: [{ index: 7, tokens: 1, text: "unasked" }] });
    }
    const text = "x".repeat(70_000);
    if (this.#does("exceed-window", 0.1)) {
      frames.push({ ...frame, seq: seq + 1, parts: [{ index: 0, tokens: 1, text }] });
    }
    if (this.#does("stop-early", 0.1)) {
      frames.push({ type: "task.fail", attempt, seq: seq + 1, code: "engine_failed", message: "" });
      this.#over.add(attempt);
    }
    const texts = frames.map(encodeFrame);
    if (this.#does("not-json", 0.02)) texts.push("{");
    return texts;
  }

  #bendEnd(frame: TaskEnd): string[] {
    const { attempt, seq } = frame;
    if (this.#over.has(attempt)) return [];
    this.#over.add(attempt);
    let bent = frame;
    const frames: UpFrame[] = [];
    if (this.#does("overcount")) {
      const completion = frame.usage.completion * 10 + 1_000;
      bent = { ...bent, usage: { ...frame.usage, completion, prompt: 1_000_000 } };
      bent = this.#resigned(bent, { completion_tokens: completion, prompt_tokens: 1_000_000 });
    }
    if (this.#does("false-output-hash"))
      bent = this.#resigned(bent, { output_hash: stubHash("lie") });
    if (this.#does("wrong-receipt-field"))
      bent = this.#resigned(bent, { model: stubHash("other") });
    if (this.#does("wrong-finishes") && bent.finishes.length > 0) {
      const index = this.#random.pick([1, 7]);
      bent = { ...bent, finishes: bent.finishes.map((finish) => ({ ...finish, index })) };
    }
    if (this.#cancelled.has(attempt) && this.#does("flood-after-cancel")) {
      const parts = [{ index: 0, tokens: 60_000, text: "y".repeat(60_000) }];
      for (let more = 0; more < 4; more++) {
        frames.push({ type: "task.delta", attempt, seq: seq + more, parts });
      }
      const usage = { ...bent.usage, completion: 240_000 };
      const signed = this.#resigned({ ...bent, usage }, { completion_tokens: 240_000 });
      bent = { ...signed, seq: seq + 4 };
    }
    this.#ended.push(bent);
    frames.push(bent);
    if (this.#does("repeat-frames")) frames.push(bent);
    if (this.#does("talk-after-end")) {
      const parts = [{ index: 0, tokens: 1, text: "after" }];
      frames.push({ type: "task.delta", attempt, seq: bent.seq + 1, parts });
    }
    return frames.map(encodeFrame);
  }

  #resigned(frame: TaskEnd, changes: Partial<Receipt>): TaskEnd {
    const receipt = { ...frame.receipt.receipt, ...changes };
    const signature = stubSignature(receipt.worker, "octo-receipt-v1", canonicalReceipt(receipt));
    const signed: SignedReceipt = { receipt, signature };
    return { ...frame, receipt: signed };
  }
}
