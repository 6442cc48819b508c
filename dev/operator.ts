import { z } from "zod";
import type { Consumer } from "./state.ts";

/**
 * What the local consumer starts with: 100 credits, more than the tiny model can use up in a year.
 */
const openingMicros = 100_000_000;

/** Calls the edge's operator routes, as any operator would. */
export class Operator {
  readonly #url: string;
  readonly #key: string;

  constructor(url: string, key: string) {
    this.#url = url;
    this.#key = key;
  }

  /** A funded account with a key. */
  async createConsumer(name: string, micros = openingMicros): Promise<Consumer> {
    const account = z
      .object({ id: z.string() })
      .parse(await this.post("/api/v1/accounts", { name, kind: "consumer" }));
    await this.post(`/api/v1/accounts/${account.id}/credits`, { amount_micros: micros });
    const scopes = ["inference", "management", "read-only"];
    const { key } = z
      .object({ key: z.string() })
      .parse(await this.post("/api/v1/keys", { account_id: account.id, name, scopes }));
    return { accountId: account.id, apiKey: key };
  }

  async post(path: string, body: unknown): Promise<unknown> {
    return this.#call(path, { method: "POST", body: JSON.stringify(body) });
  }

  async put(path: string, body: unknown): Promise<unknown> {
    return this.#call(path, { method: "PUT", body: JSON.stringify(body) });
  }

  async patch(path: string, body: unknown): Promise<unknown> {
    return this.#call(path, { method: "PATCH", body: JSON.stringify(body) });
  }

  async get(path: string): Promise<unknown> {
    return this.#call(path, {});
  }

  async #call(path: string, init: RequestInit): Promise<unknown> {
    const headers = {
      authorization: `Bearer ${this.#key}`,
      "content-type": "application/json",
    };
    const response = await fetch(this.#url + path, { ...init, headers });
    const answer: unknown = await response.json();
    if (!response.ok) {
      throw new Error(`${path} answered ${response.status}: ${JSON.stringify(answer)}`);
    }
    return answer;
  }
}

/** Whether a key still works on this edge: the state folder may be older than the database. */
export async function isKeyGood(url: string, apiKey: string): Promise<boolean> {
  const response = await fetch(`${url}/v1/models`, {
    headers: { authorization: `Bearer ${apiKey}` },
  });
  await response.body?.cancel();
  return response.ok;
}
