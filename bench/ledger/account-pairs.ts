import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleEdge } from "../../dev/bundle-edge.ts";
import { type Edge, startEdge } from "../../dev/edge.ts";
import { openLocalDatabase } from "../../dev/libsql/open-local.ts";
import { Operator } from "../../dev/operator.ts";
import { State } from "../../dev/state.ts";
import { conservation } from "../../edge/db/ledger/current-books.ts";
import { apiKeyIdOf } from "../../shared/crypto/api-key.ts";
import { atMost, type Figure, quantile } from "../figure.ts";
import type { PairsDone, PairsOrder } from "./pairs-order.ts";

const driver = { name: "driver", entry: new URL("../workerd/account-driver.ts", import.meta.url) };

/** Of one account: a fleet's key at its busiest. Of many: what a deployment's objects take. */
const clientsOfOne = 96;
const clientsOfMany = 256;
const accountsOfMany = 16;
const pairsMs = 10_000;
/** The outbox is to keep up while it is filled, and be empty soon after. */
const emptyWithinMs = 120_000;
const pollMs = 50;
/** What one operator gives alone; a task of these costs 48 micros. */
const creditMicros = 1_000_000_000;

interface Account {
  readonly id: string;
  readonly keyId: string;
}

/**
 * Holds and settlements through real calls to Account objects, durable before they are
 * acknowledged, and the way of their transfers into libSQL.
 */
export async function measureAccounts(
  folder: string,
  progress: (line: string) => void,
): Promise<readonly Figure[]> {
  const state = new State(join(folder, "accounts"));
  await state.open(false);
  const secrets = await state.secrets();
  const script = await bundleEdge(fileURLToPath(driver.entry));
  await using edge = await startEdge({
    port: 0,
    stateDir: state.path("edge"),
    secrets,
    beside: { name: driver.name, script },
  });
  const operator = new Operator(edge.url, secrets.operatorKey);
  const [provider, ...accounts] = await createAccounts(operator, accountsOfMany + 2);
  const [one, ...many] = accounts;
  if (provider === undefined || one === undefined) throw new Error("there are no accounts");

  progress(`${clientsOfOne} tasks at once at one account, ${pairsMs / 1000} s …`);
  const atOne = await drive(edge, [one], { provider, clients: clientsOfOne });
  const perS = { unit: "1/s", better: "higher" } as const;
  const figures: Figure[] = [
    {
      figure: "ledger.account_pairs_per_s",
      value: atOne.ms.length / atOne.seconds,
      ...perS,
      target: 1_500,
    },
    atMost(100, "ledger.account_pair_p99_ms", quantile(atOne.ms, 0.99), "ms"),
  ];
  await emptied(operator, [one]);

  progress(`${clientsOfMany} tasks at once at ${many.length} accounts, and their way to libSQL …`);
  const before = await transfersIn(edge);
  const startMs = performance.now();
  const atMany = await drive(edge, many, { provider, clients: clientsOfMany });
  await emptied(operator, many);
  const seconds = (performance.now() - startMs) / 1000;
  const delivered = (await transfersIn(edge)) - before;
  const expected = atMany.ms.length * transfersOfTask;
  if (delivered !== expected) throw new Error(`${delivered} transfers arrived of ${expected}`);
  figures.push(
    {
      figure: "ledger.many_accounts_pairs_per_s",
      value: atMany.ms.length / atMany.seconds,
      ...perS,
      target: null,
    },
    {
      figure: "ledger.outbox_transfers_per_s",
      value: delivered / seconds,
      ...perS,
      target: 5_000,
    },
  );
  return figures;
}

/** One a party of the split. */
const transfersOfTask = 5;

async function createAccounts(operator: Operator, count: number): Promise<Account[]> {
  const accounts: Account[] = [];
  for (let at = 0; at < count; at++) {
    const { accountId: id, apiKey } = await operator.createConsumer(`bench ${at}`, creditMicros);
    await operator.patch(`/api/v1/accounts/${id}`, { concurrency_max: 100_000 });
    accounts.push({ id, keyId: apiKeyIdOf(apiKey) ?? "" });
  }
  return accounts;
}

async function drive(
  edge: Edge,
  accounts: readonly Account[],
  how: { readonly provider: Account; readonly clients: number },
): Promise<PairsDone> {
  const worker = await edge.miniflare.getWorker(driver.name);
  const order: PairsOrder = {
    accountIds: accounts.map(({ id }) => id),
    keyIds: accounts.map(({ keyId }) => keyId),
    providerId: how.provider.id,
    clients: how.clients,
    durationMs: pairsMs,
  };
  const response = await worker.fetch("http://driver/", {
    method: "POST",
    body: JSON.stringify(order),
  });
  if (!response.ok) throw new Error(`the driver answered ${response.status}`);
  return (await response.json()) as PairsDone;
}

async function emptied(operator: Operator, accounts: readonly Account[]): Promise<void> {
  const endMs = performance.now() + emptyWithinMs;
  for (const { id } of accounts) {
    for (;;) {
      const account = (await operator.get(`/api/v1/accounts/${id}`)) as { ledger_pending: boolean };
      if (!account.ledger_pending) break;
      if (performance.now() > endMs) throw new Error(`the outbox of ${id} does not empty`);
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }
}

async function transfersIn(edge: Edge): Promise<number> {
  await using db = openLocalDatabase({ url: edge.databaseUrl });
  const books = await conservation(db);
  if (books.some(({ sumMicros }) => sumMicros !== 0n)) throw new Error("the books do not add up");
  return books.reduce((sum, { transfers }) => sum + transfers, 0);
}
