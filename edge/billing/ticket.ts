import { z } from "zod";
import {
  equalInConstantTime,
  fromBase64Url,
  toBase64Url,
  utf8,
} from "../../shared/crypto/bytes.ts";
import type { Split } from "../../shared/money.ts";
import { taskModes } from "../../shared/openai/octo-options.ts";
import { taskKinds } from "../../shared/openai/task-kinds.ts";
import { factorMax, factorMin } from "../../shared/tariff.ts";

const percent = z.int().min(0).max(100);

/** A hold outlives the longest answer; a task that never ends is let go with it. */
export const holdMs = 35 * 60_000;

/** What a hold agreed to. It travels with the task, so that a settlement needs nobody's memory. */
export const termsSchema = z.strictObject({
  v: z.literal(1),
  task: z.string(),
  account: z.string(),
  key: z.string(),
  kind: z.enum(taskKinds),
  model: z.string(),
  region: z.string(),
  /** How its worker is chosen, for the record; `balanced` where it does not say. */
  strategy: z.string().optional(),
  streamed: z.boolean(),
  /** The most this task may cost, in micros as decimal text. */
  limit: z.string().regex(/^\d{1,16}$/),
  /** No attempt is settled at a higher price than this, whatever its listing says later. */
  input_micros_per_million: z.int().min(0),
  output_micros_per_million: z.int().min(0),
  split: z.strictObject({
    provider: percent,
    orchestrator: percent,
    treasury: percent,
    burn: percent,
    stakers: percent,
  }) satisfies z.ZodType<Split>,
  created_ms: z.int(),
  expires_ms: z.int(),
  /** How long it may wait, which has a price; `realtime` where it does not say. */
  mode: z.enum(taskModes).optional(),
  /** What its mode costs, in percent of the price; 100 where it does not say. */
  factor: z.int().min(factorMin).max(factorMax).optional(),
  /** The hash of the tariff that it is agreed under. */
  tariff: z.string().optional(),
  /** What its key belongs to. */
  team: z.string().optional(),
  project: z.string().optional(),
  /** The lease that sets the limit aside, where no hold of the task's own does. */
  lease: z.string().optional(),
  /**
   * Only workers of the account's own may answer, which costs nothing: the limit is 0, and no lease
   * pays.
   */
  own: z.literal(true).optional(),
});
export type Terms = z.infer<typeof termsSchema>;

/**
 * Seals terms with HMAC-SHA-256, so that they can pass through a worker's hands and come back
 * unaltered.
 */
export class TicketSeal {
  readonly #secret: string;
  #key: CryptoKey | null = null;

  constructor(secret: string) {
    this.#secret = secret;
  }

  async seal(terms: Terms): Promise<string> {
    const body = utf8(JSON.stringify(terms));
    const mac = await crypto.subtle.sign("HMAC", await this.#hmacKey(), body);
    return `${toBase64Url(body)}.${toBase64Url(new Uint8Array(mac))}`;
  }

  /** The terms of a ticket of ours, or null for any other text. */
  async open(ticket: string): Promise<Terms | null> {
    const [bodyText = "", macText = ""] = ticket.split(".", 2);
    const body = fromBase64Url(bodyText);
    const mac = fromBase64Url(macText);
    if (body === null || mac === null) return null;
    const expected = await crypto.subtle.sign("HMAC", await this.#hmacKey(), body);
    if (!equalInConstantTime(new Uint8Array(expected), mac)) return null;
    const parsed = termsSchema.safeParse(JSON.parse(new TextDecoder().decode(body)));
    return parsed.success ? parsed.data : null;
  }

  async #hmacKey(): Promise<CryptoKey> {
    this.#key ??= await crypto.subtle.importKey(
      "raw",
      utf8(this.#secret),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign"],
    );
    return this.#key;
  }
}
