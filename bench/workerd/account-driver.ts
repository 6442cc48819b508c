import type { Account } from "../../edge/billing/account.ts";
import type { TaskClosing } from "../../edge/billing/closing.ts";
import type { Terms } from "../../edge/billing/ticket.ts";
import { newId } from "../../shared/ids.ts";
import type { PairsDone, PairsOrder } from "../ledger/pairs-order.ts";
import { defaultSplit } from "../../shared/money.ts";

interface DriverEnv {
  readonly ACCOUNT: DurableObjectNamespace<Account>;
}

/** As long as hubs gather settlements: one call an account instead of one a task. */
const gatherMs = 40;

/** A Worker beside the edge that holds and settles as front Workers and hubs do. */
export default {
  async fetch(request: Request, env: DriverEnv): Promise<Response> {
    const order = await request.json<PairsOrder>();
    const startMs = Date.now();
    const drivers = order.accountIds.map((id, at) => {
      const account = env.ACCOUNT.get(env.ACCOUNT.idFromName(id));
      return new AccountDriver(account, id, order.keyIds[at] ?? "", order.providerId);
    });
    const ms: number[] = [];
    const client = async (number: number) => {
      const driver = drivers[number % drivers.length];
      if (driver === undefined) return;
      while (Date.now() - startMs < order.durationMs) ms.push(await driver.pair());
    };
    await Promise.all(Array.from({ length: order.clients }, (_, number) => client(number)));
    const done: PairsDone = { ms, seconds: (Date.now() - startMs) / 1000 };
    return Response.json(done);
  },
};

class AccountDriver {
  readonly #account: DurableObjectStub<Account>;
  readonly #accountId: string;
  readonly #keyId: string;
  readonly #providerId: string;
  #gathered: { closing: TaskClosing; settled: () => void }[] = [];

  constructor(
    account: DurableObjectStub<Account>,
    accountId: string,
    keyId: string,
    providerId: string,
  ) {
    this.#account = account;
    this.#accountId = accountId;
    this.#keyId = keyId;
    this.#providerId = providerId;
  }

  /** One task; gives how long it took. */
  async pair(): Promise<number> {
    const startMs = Date.now();
    const terms = this.#terms(startMs);
    const held = await this.#account.hold(terms);
    if (held.kind === "refused") throw new Error(`not held: ${held.reason}`);
    await this.#settle(closingOf(terms, this.#providerId, Date.now()));
    return Date.now() - startMs;
  }

  #terms(nowMs: number): Terms {
    return {
      v: 1,
      task: newId("tsk"),
      account: this.#accountId,
      key: this.#keyId,
      kind: "chat",
      model: "bench",
      region: "weur",
      streamed: true,
      limit: "1000",
      input_micros_per_million: 1_000_000,
      output_micros_per_million: 1_000_000,
      split: defaultSplit,
      created_ms: nowMs,
      expires_ms: nowMs + 60_000,
    };
  }

  #settle(closing: TaskClosing): Promise<void> {
    return new Promise((settled) => {
      this.#gathered.push({ closing, settled });
      if (this.#gathered.length === 1) setTimeout(() => void this.#flush(), gatherMs);
    });
  }

  async #flush(): Promise<void> {
    const gathered = this.#gathered;
    this.#gathered = [];
    await this.#account.close(gathered.map(({ closing }) => closing));
    for (const { settled } of gathered) settled();
  }
}

/** A short answer of one attempt; receipts are other measurements' matter. */
function closingOf(terms: Terms, providerAccountId: string, nowMs: number): TaskClosing {
  const counts = { promptTokens: 16, completionTokens: 32 };
  const price = { inputMicrosPerMillion: 1_000_000, outputMicrosPerMillion: 1_000_000 };
  return {
    kind: "post",
    terms,
    counts,
    shares: [{ attempt: 1, providerAccountId, counts, price }],
    isRecovered: false,
    record: {
      digest: null,
      class: "public",
      finish: "stop",
      errorCode: null,
      route: null,
      firstTokenMs: nowMs,
      endedMs: nowMs,
      receipt: null,
      attempts: [
        {
          number: 1,
          workerId: "bench",
          outcome: "complete",
          startedMs: nowMs,
          firstTokenMs: nowMs,
          endedMs: nowMs,
          tokens: 32,
          bytesIn: 64,
          bytesOut: 128,
        },
      ],
    },
  };
}
