import type { Asset, Bucket } from "../../../shared/assets.ts";
import type { Micros } from "../../../shared/money.ts";
import { canonicalReceipt } from "../../../shared/protocol/receipt.ts";
import type { NewAlert } from "../../db/money/alerts.ts";
import type { NewTransfer } from "../../db/ledger/ledger.ts";
import type { NewTask, Settlements } from "../../db/ledger/tasks.ts";
import type { Resolution } from "../account-state.ts";
import { alertRow } from "../limits/alert-row.ts";
import type { BudgetAlert } from "../limits/budgets.ts";
import type { TaskClosing } from "../closing.ts";
import type { Earning } from "../money/move-money.ts";

export interface OutboxItem {
  readonly closing: TaskClosing;
  readonly resolution: Resolution;
}

/** One outbox row: what the ledger and the providers' accounts are told. */
export type Payload = PayloadOf<Micros>;

/**
 * One outbox row for everything a transaction decided: the tasks that ended, all transfers, and
 * what other accounts are given besides the earnings of those tasks.
 */
export function outboxPayload(
  items: readonly OutboxItem[],
  transfers: readonly NewTransfer[],
  moved: readonly Earning[],
  alerts: readonly BudgetAlert[] = [],
): string {
  const earned = new Map<string, Micros>();
  for (const { resolution } of items) {
    for (const { accountId, micros } of resolution.earnings) {
      earned.set(accountId, (earned.get(accountId) ?? 0n) + micros);
    }
  }
  const earnings: Earning[] = [...earned].map(([accountId, micros]) => {
    return { accountId, asset: "CREDIT", bucket: "earned", micros };
  });
  const payload: Payload = {
    settlements: {
      tasks: items.map(taskRow),
      attempts: items.flatMap((item) => attemptRows(item)),
      transfers,
      receipts: items.flatMap((item) => receiptRows(item)),
    },
    earnings: [...earnings, ...moved],
    alerts: alerts.map(alertRow),
  };
  return JSON.stringify(moneyAs(payload, (amount) => amount.toString()));
}

/** The payload behind a row that `outboxPayload` wrote. */
export function readPayload(text: string): Payload {
  // Rows that an older build wrote know no alerts, and no bytes.
  type Stored = Omit<PayloadOf<string>, "alerts"> & Partial<PayloadOf<string>>;
  const payload = moneyAs({ alerts: [], ...(JSON.parse(text) as Stored) }, BigInt);
  const unmetered = { bytesIn: 0, bytesOut: 0 };
  const attempts = payload.settlements.attempts.map((attempt) => ({ ...unmetered, ...attempt }));
  return { ...payload, settlements: { ...payload.settlements, attempts } };
}

/** A payload whose money is of type `M`: bigint in code, decimal text in storage. */
interface PayloadOf<M> {
  readonly settlements: {
    readonly tasks: readonly (Omit<NewTask, "holdMicros" | "costMicros"> & {
      readonly holdMicros: M;
      readonly costMicros: M;
    })[];
    readonly attempts: Settlements["attempts"];
    readonly transfers: readonly (Omit<NewTransfer, "amountMicros"> & {
      readonly amountMicros: M;
    })[];
    readonly receipts: Settlements["receipts"];
  };
  readonly earnings: readonly {
    readonly accountId: string;
    /** Credit that was earned, where an older build wrote it. */
    readonly asset?: Asset;
    readonly bucket?: Bucket;
    readonly micros: M;
  }[];
  readonly alerts: readonly (Omit<NewAlert, "spentMicros" | "budgetMicros"> & {
    readonly spentMicros: M;
    readonly budgetMicros: M;
  })[];
}

/**
 * The same payload with its money converted; field by field, because a replacer would be called for
 * every value.
 */
function moneyAs<From, To>(payload: PayloadOf<From>, convert: (amount: From) => To): PayloadOf<To> {
  const { settlements, earnings, alerts } = payload;
  return {
    settlements: {
      ...settlements,
      tasks: settlements.tasks.map((task) => ({
        ...task,
        holdMicros: convert(task.holdMicros),
        costMicros: convert(task.costMicros),
      })),
      transfers: settlements.transfers.map((transfer) => ({
        ...transfer,
        amountMicros: convert(transfer.amountMicros),
      })),
    },
    earnings: earnings.map((earning) => ({ ...earning, micros: convert(earning.micros) })),
    alerts: alerts.map((alert) => ({
      ...alert,
      spentMicros: convert(alert.spentMicros),
      budgetMicros: convert(alert.budgetMicros),
    })),
  };
}

function taskRow({ closing, resolution }: OutboxItem): NewTask {
  const { terms, record } = closing;
  return {
    id: terms.task,
    accountId: terms.account,
    keyId: terms.key,
    kind: terms.kind,
    model: terms.model,
    digest: record.digest,
    region: terms.region,
    strategy: terms.strategy ?? "balanced",
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
    mode: terms.mode ?? "realtime",
    tariff: terms.tariff ?? null,
    teamId: terms.team ?? null,
    projectId: terms.project ?? null,
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
    bytesIn: attempt.bytesIn,
    bytesOut: attempt.bytesOut,
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
