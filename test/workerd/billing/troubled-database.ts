import { runInDurableObject } from "cloudflare:test";
import type { Account } from "../../../edge/billing/account.ts";
import type { Env } from "../../../edge/env.ts";
import { env } from "../routes/edge-client.ts";

/** What becomes of one batch that is sent to the database. */
export type Trouble =
  /** It is not reached: nothing was stored. */
  | "is away"
  /** Another writer has the lock, and nothing was stored. */
  | "is busy"
  /** It was stored, and its answer is lost. */
  | "commits without answering"
  /** It is stored once `answer` is called, and no sooner. */
  | "is slow";

/**
 * The database of an account as the network makes it at its worst: the troubles come in order, one
 * a batch, and after them it is the real one. Until its object loses its memory, the account knows
 * no other.
 */
export class TroubledDatabase {
  readonly #troubles: Trouble[];
  readonly #account: DurableObjectStub<Account>;
  readonly #answered = Promise.withResolvers<void>();
  /** A batch waits for `answer`. */
  isAsked = false;

  private constructor(account: DurableObjectStub<Account>, troubles: readonly Trouble[]) {
    this.#account = account;
    this.#troubles = [...troubles];
  }

  static async of(
    account: DurableObjectStub<Account>,
    troubles: readonly Trouble[],
  ): Promise<TroubledDatabase> {
    const database = new TroubledDatabase(account, troubles);
    const binding = { fetch: (request: Request) => database.#fetch(request) };
    await runInDurableObject(account, (object) => {
      const troubled: Env = { ...env, LIBSQL: binding as unknown as Fetcher };
      Object.assign(object, { env: troubled });
    });
    return database;
  }

  /** How many troubles are still to come. */
  get left(): number {
    return this.#troubles.length;
  }

  /** Lets the batch go on that is slow; in the account's own context, which waits for it. */
  async answer(): Promise<void> {
    await runInDurableObject(this.#account, () => this.#answered.resolve());
  }

  async #fetch(request: Request): Promise<Response> {
    const real = env.LIBSQL;
    if (real === undefined) throw new Error("tests reach their database by a binding");
    // Before its first batch the client asks which protocol is spoken.
    if (request.method !== "POST") return real.fetch(request);
    switch (this.#troubles.shift()) {
      case undefined:
        return real.fetch(request);
      case "is away":
        throw new Error("the database is away");
      case "is busy":
        return busy(request);
      case "commits without answering": {
        await (await real.fetch(request)).arrayBuffer();
        throw new Error("the connection was lost");
      }
      case "is slow":
        this.isAsked = true;
        await this.#answered.promise;
        return real.fetch(request);
    }
  }
}

/** What libsql-server answers whoever does not get the lock, in Hrana 3. */
async function busy(request: Request): Promise<Response> {
  const { requests } = await request.json<{ requests: readonly unknown[] }>();
  const error = { message: "database is locked", code: "SQLITE_BUSY" };
  const results = requests.map(() => ({ type: "error", error }));
  return Response.json({ baton: null, base_url: null, results });
}
