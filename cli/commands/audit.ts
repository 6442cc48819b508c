import { z } from "zod";
import { auditLedger, type AuditReport } from "../../shared/audit.ts";
import { journalHash } from "../../shared/journal.ts";
import {
  journalHeadSchema,
  type JournalHead,
  ledgerBalanceSchema,
  type LedgerRecord,
  ledgerRecordSchema,
} from "../../shared/ledger-record.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import { readPages } from "../http/pages.ts";
import { many } from "../screen/in-words.ts";
import { plainLine } from "../screen/plain-text.ts";
import { ProgressBar } from "../screen/progress-bar.ts";
import { connect } from "../session/connection.ts";
import type { Call } from "../words/parse-command-line.ts";
import { amountOf } from "../words/values.ts";
import type { World } from "../world.ts";
import { isJson, writeJson } from "./command.ts";

const recordPageSchema = z.looseObject({
  data: z.array(ledgerRecordSchema),
  next_cursor: z.string().nullable(),
});

const balancesSchema = z.looseObject({ through: z.int(), data: z.array(ledgerBalanceSchema) });

const accountSchema = z.looseObject({ id: z.string() });
const debtSchema = z.looseObject({ account_id: z.string(), since: z.string() });
const ledgerAccountSchema = z.looseObject({
  journal: journalHeadSchema.nullable(),
  ledger_pending: z.boolean(),
  owed: z.array(debtSchema).default([]),
});

/** Somebody whom an account could not tell yet what it gave them. */
interface Debt {
  readonly by: string;
  readonly to: string;
  readonly since: string;
}

/** What an edge with default limits lets one account have in flight stays below. */
const overdraftMaxCredits = "100";

/** Recomputes the whole ledger from its transfers, and compares it with what the edge claims. */
export async function audit(world: World, call: Call): Promise<number> {
  const { options } = call;
  const overdraft = amountOf(options["overdraft-max"] ?? overdraftMaxCredits, "--overdraft-max");
  const { client } = await connect(world, call, true);
  const asks = options["accounts"] !== undefined;
  // Of before: all that was handed over by now has to be there.
  const before = asks ? await askAccounts(client) : null;
  // The balances first: all that follows is of the same moment, whatever happens meanwhile.
  const { through, data: balances } = await client.getPatiently(
    "/api/v1/ledger/balances",
    balancesSchema,
  );
  const after = asks ? await askAccounts(client) : null;
  using bar = new ProgressBar("Auditing", world.terminal, world.nowMs);
  const report = await auditLedger(
    transfers(client, through, (done) => bar.draw(done, through)),
    { balances, heads: after?.heads ?? [], handedOver: before?.handedOver ?? [] },
    { journalHash, overdraftMaxMicros: overdraft },
  );
  // Before anything is written: both may be on one screen.
  bar[Symbol.dispose]();
  const owed = after?.owed ?? [];
  if (isJson(call)) writeJson(world, { ok: report.fault === null, ...report, owed });
  else writeReport(world, report, owed);
  return report.fault === null ? 0 : 1;
}

/** Every transfer up to a moment, journal by journal. */
async function* transfers(
  client: EdgeClient,
  through: number,
  onPage: (done: number) => void,
): AsyncGenerator<LedgerRecord, void, void> {
  let done = 0;
  let cursor: string | undefined;
  do {
    const query = { through, cursor };
    const page = await client.getPatiently("/api/v1/ledger/transfers", recordPageSchema, query);
    yield* page.data;
    done += page.data.length;
    onPage(done);
    cursor = page.data.length === 0 ? undefined : (page.next_cursor ?? undefined);
  } while (cursor !== undefined);
}

interface Asked {
  readonly heads: JournalHead[];
  /** Those of which the ledger has heard the whole. */
  readonly handedOver: JournalHead[];
  readonly owed: Debt[];
}

/** Where each account says that its journal ends, and whom it could not tell what it gave them. */
async function askAccounts(client: EdgeClient): Promise<Asked> {
  const list = { path: "/api/v1/accounts", item: accountSchema, most: Infinity };
  const asked: Asked = { heads: [], handedOver: [], owed: [] };
  for (const { id } of await readPages(client, list)) {
    const path = `/api/v1/ledger/accounts/${encodeURIComponent(id)}`;
    const account = await client.getPatiently(path, ledgerAccountSchema);
    // One that has lost its storage keeps none, and the ledger knows better.
    const head = account.journal ?? { source: id, seq: 0, hash: "" };
    asked.heads.push(head);
    if (!account.ledger_pending) asked.handedOver.push(head);
    asked.owed.push(...account.owed.map(({ account_id: to, since }) => ({ by: id, to, since })));
  }
  return asked;
}

function writeReport({ terminal }: World, report: AuditReport, owed: readonly Debt[]): void {
  const { fault, unchained, overdrafts, behind } = report;
  const chains = `${many(report.journals, "journal")}, ${many(report.books, "balance")}`;
  const read = `${many(report.transfers, "transfer")}, ${chains}`;
  if (fault === null) terminal.write(`${terminal.paint("green", "OK")}  ${read}: all adds up`);
  else terminal.write(`${terminal.paint("red", "DIFFERENCE")}  ${plainLine(fault, 1_000)}`);
  if (unchained > 0) {
    const are = unchained === 1 ? "is" : "are";
    terminal.write(`    ${many(unchained, "transfer")} ${are} of before there were journals`);
  }
  for (const { book, balance } of overdrafts) {
    terminal.write(`    ${plainLine(book, 100)} is overdrawn: ${balance} micros`);
  }
  for (const { by, to, since } of owed) {
    const names = `${plainLine(by, 80)} could not tell ${plainLine(to, 80)}`;
    terminal.write(`    ${names} what it gave them, since ${plainLine(since, 40)}`);
  }
  if (behind.length > 0) {
    const have = behind.length === 1 ? "has" : "have";
    const ahead = `${many(behind.length, "account")} ${have} decided more than the ledger has`;
    terminal.write(`    ${ahead}: on its way, where a later audit has it`);
  }
}
