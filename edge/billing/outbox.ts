import type { Micros } from "../../shared/money.ts";
import { canonicalReceipt } from "../../shared/protocol/receipt.ts";
import { databaseOf } from "../database.ts";
import { recordSettlements, type Settlements, type Task } from "../db/tasks.ts";
import type { Env } from "../env.ts";
import type { Resolution, Transfer } from "./account-state.ts";
import type { AccountStore } from "./account-store.ts";
import type { TaskClosing } from "./closing.ts";

/**
 * What an account has decided and others have yet to hear: the ledger in libSQL and the providers' accounts.
 * O1. A row is written in the transaction of what it tells of, and removed only after both have taken it.
 * O2. Both take a row any number of times and count it once: by primary keys there, by sequence here.
 */
export interface OutboxItem {
  readonly closing: TaskClosing;
  readonly resolution: Resolution;
}

interface Payload {
  readonly settlements: Settlements;
  readonly earnings: readonly { readonly accountId: string; readonly micros: Micros }[];
}

/** Rows handed over at once: with 64 tasks a row at most, about a megabyte of JSON. */
const rowsAtOnce = 32;

type Earn = (
  accountId: string,
  rows: { readonly seq: number; readonly micros: Micros }[],
) => Promise<unknown>;

/** One outbox row for everything a transaction decided. */
export function outboxPayload(
  items: readonly OutboxItem[],
  transfers: readonly Transfer[],
): string {
  const micros = new Map<string, Micros>();
  for (const { resolution } of items) {
    if (resolution.earning === null) continue;
    const { accountId, micros: more } = resolution.earning;
    micros.set(accountId, (micros.get(accountId) ?? 0n) + more);
  }
  const all = [...transfers, ...items.flatMap((item) => item.resolution.transfers)];
  const payload: Payload = {
    settlements: {
      tasks: items.map(taskRow),
      attempts: items.flatMap((item) => attemptRows(item)),
      transfers: all.map((transfer) => ({
        id: transfer.id,
        taskId: transfer.taskId,
        kind: transfer.kind,
        debitAccount: transfer.debit,
        creditAccount: transfer.credit,
        amountMicros: transfer.micros,
        createdAt: transfer.createdMs,
      })),
      receipts: items.flatMap((item) => receiptRows(item)),
    },
    earnings: [...micros].map(([accountId, amount]) => ({ accountId, micros: amount })),
  };
  return JSON.stringify(payload, (_key, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
}

/** The fields that are bigint in code and decimal text in a stored payload. */
const moneyFields = new Set(["micros", "amountMicros", "holdMicros", "costMicros"]);

function readPayload(text: string): Payload {
  return JSON.parse(text, (key, value: unknown) =>
    moneyFields.has(key) && typeof value === "string" ? BigInt(value) : value,
  ) as Payload;
}

/** Hands everything in the outbox over, oldest first (O1). Throws where a party cannot take it now. */
export async function drainOutbox(store: AccountStore, env: Env, earn: Earn): Promise<void> {
  await using db = databaseOf(env);
  for (;;) {
    const rows = store.readOutbox(rowsAtOnce);
    const last = rows.at(-1);
    if (last === undefined) return;
    const payloads = rows.map((row) => ({ seq: row.seq, ...readPayload(row.payload) }));
    await recordSettlements(db, {
      tasks: payloads.flatMap((payload) => payload.settlements.tasks),
      attempts: payloads.flatMap((payload) => payload.settlements.attempts),
      transfers: payloads.flatMap((payload) => payload.settlements.transfers),
      receipts: payloads.flatMap((payload) => payload.settlements.receipts),
    });
    const rowsByAccount = new Map<string, { seq: number; micros: Micros }[]>();
    for (const { seq, earnings } of payloads) {
      for (const { accountId, micros } of earnings) {
        const list = rowsByAccount.get(accountId) ?? [];
        list.push({ seq, micros });
        rowsByAccount.set(accountId, list);
      }
    }
    for (const [accountId, list] of rowsByAccount) await earn(accountId, list);
    store.clearOutbox(last.seq);
  }
}

function taskRow({ closing, resolution }: OutboxItem): Task {
  const { terms, record } = closing;
  return {
    id: terms.task,
    accountId: terms.account,
    keyId: terms.key,
    kind: terms.kind,
    model: terms.model,
    digest: record.digest,
    region: terms.region,
    strategy: "balanced",
    class: record.class,
    streamed: terms.streamed,
    attempts: record.attempts.length,
    state: resolution.kind === "posted" ? "settled" : "void",
    finish: record.finish,
    promptTokens: closing.kind === "post" ? closing.counts.promptTokens : 0,
    completionTokens: closing.kind === "post" ? closing.counts.completionTokens : 0,
    holdMicros: BigInt(terms.limit),
    costMicros: resolution.cost,
    errorCode: record.errorCode,
    route: record.route,
    createdAt: terms.created_ms,
    firstTokenAt: record.firstTokenMs,
    endedAt: record.endedMs,
  };
}

function attemptRows({ closing }: OutboxItem): Settlements["attempts"] {
  return closing.record.attempts.map((attempt) => ({
    taskId: closing.terms.task,
    number: attempt.number,
    workerId: attempt.workerId,
    outcome: attempt.outcome,
    startedAt: attempt.startedMs,
    firstTokenAt: attempt.firstTokenMs,
    endedAt: attempt.endedMs,
    tokens: attempt.tokens,
  }));
}

function receiptRows({ closing }: OutboxItem): Settlements["receipts"] {
  const { receipt } = closing.record;
  if (receipt === null) return [];
  const body = receipt.signed.receipt;
  return [
    {
      taskId: closing.terms.task,
      attempt: Number(body.attempt.split(".")[1]),
      workerId: body.worker,
      body: canonicalReceipt(body),
      workerSignature: receipt.signed.signature,
      edgeSignature: receipt.edgeSignature,
      edgeKey: receipt.edgeKey,
      createdAt: body.ended_ms,
    },
  ];
}
