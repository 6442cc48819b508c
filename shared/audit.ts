import { assets, systemBooks } from "./assets.ts";
import {
  journaledTransfer,
  type JournaledTransfer,
  type JournalHead,
  type LedgerBalance,
  type LedgerRecord,
} from "./ledger-record.ts";
import type { Micros } from "./money.ts";
import { isOverdraft } from "./overdraft.ts";

/*
 * An audit believes nothing but the transfers:
 * Z1. Every transfer moves more than nothing of a known asset between two ledger accounts, under an
 *     id of its own.
 * Z2. The transfers of a journal are numbered from 1 without a gap, and each hash is that of the
 *     hash before it and the transfer.
 * Z3. Every balance is what the transfers add up to, whoever claims it, and none is missing.
 * Z4. What an account has handed over is in the ledger: a journal that was cut at its end is one
 *     that adds up, and only its account can tell.
 * Z5. No ledger account but the mint is below zero; what an account may spend may be, by a bounded
 *     amount, and is told of.
 */

/** The hash of a transfer behind the hash before it in its journal, which is "" at its start. */
export type JournalHash = (before: string, transfer: JournaledTransfer) => string | Promise<string>;

export interface AuditOptions {
  readonly journalHash: JournalHash;
  /** By how much an account may have overdrawn what it can spend: what may be in flight at once. */
  readonly overdraftMaxMicros: Micros;
}

/** What others say that the transfers add up to. */
export interface AuditClaims {
  readonly balances: readonly LedgerBalance[];
  /** Heads of journals by the accounts themselves. One may be ahead of the ledger. */
  readonly heads?: readonly JournalHead[];
  /** Heads of journals that accounts had handed over, whole, before the moment of the audit. */
  readonly handedOver?: readonly JournalHead[];
}

export interface AuditReport {
  /** The first thing that is wrong, in a sentence; null where all adds up. */
  readonly fault: string | null;
  readonly transfers: number;
  readonly books: number;
  readonly journals: number;
  /** Transfers of before there were journals, which no chain holds together. */
  readonly unchained: number;
  /** Accounts that are below zero and may be (Z5). */
  readonly overdrafts: readonly LedgerBalance[];
  /** Journals whose account has decided more than the ledger has heard of. */
  readonly behind: readonly string[];
}

/**
 * Audits a ledger: `records` are all of its transfers, each journal in its order. Reads them once
 * and keeps their ids, the balances and the heads of journals.
 */
export async function auditLedger(
  records: AsyncIterable<LedgerRecord> | Iterable<LedgerRecord>,
  claims: AuditClaims,
  options: AuditOptions,
): Promise<AuditReport> {
  const state = createState();
  let fault: string | null = null;
  for await (const record of records) {
    fault = wrongTransfer(state, record) ?? (await wrongPlace(state, record, options.journalHash));
    if (fault !== null) break;
    count(state, record);
  }
  fault ??= wrongBalance(state, claims.balances) ?? wrongHead(state, claims.heads ?? []);
  fault ??= cutJournal(state, claims.handedOver ?? []);
  fault ??= belowFloor(state, options.overdraftMaxMicros);
  return {
    fault,
    transfers: state.ids.size,
    books: state.balances.size,
    journals: state.heads.size,
    unchained: state.unchained,
    overdrafts: [...state.balances.values()]
      .filter((balance) => balance.micros < 0n && isOverdraft(balance))
      .map(({ book, asset, micros }) => ({ book, asset, balance: String(micros) })),
    // Where something is wrong it is not told apart from what was not read.
    behind: fault === null ? behindOf(state, claims.heads ?? []) : [],
  };
}

interface Balance {
  readonly book: string;
  readonly asset: string;
  micros: Micros;
}

interface AuditState {
  readonly ids: Set<string>;
  readonly balances: Map<string, Balance>;
  readonly heads: Map<string, { readonly seq: number; readonly hash: string }>;
  unchained: number;
}

function createState(): AuditState {
  return { ids: new Set(), balances: new Map(), heads: new Map(), unchained: 0 };
}

const knownAssets: ReadonlySet<string> = new Set(assets);

/** Z1. */
function wrongTransfer(state: AuditState, record: LedgerRecord): string | null {
  const { id, amount, asset, debit, credit } = record;
  if (state.ids.has(id)) return `Transfer ${id} is in the ledger twice`;
  if (!/^\d+$/.test(amount) || BigInt(amount) === 0n) {
    return `Transfer ${id} moves ${amount} micros, and every transfer moves more than nothing`;
  }
  if (!knownAssets.has(asset)) return `Transfer ${id} moves ${asset}, which is no asset`;
  if (debit === credit) return `Transfer ${id} has ${debit} on both sides`;
  return null;
}

/** Z2. */
async function wrongPlace(
  state: AuditState,
  record: LedgerRecord,
  journalHash: JournalHash,
): Promise<string | null> {
  const { id, source, source_seq: seq, hash } = record;
  if (source === "") {
    if (seq === 0 && hash === "") return null;
    return `Transfer ${id} has a place or a hash, and is in no journal`;
  }
  const head = state.heads.get(source) ?? { seq: 0, hash: "" };
  if (seq !== head.seq + 1) {
    return `Transfer ${id} is number ${seq} of the journal of ${source}, behind number ${head.seq}`;
  }
  const expected = await journalHash(head.hash, journaledTransfer(record));
  if (hash === expected) return null;
  return (
    `Transfer ${id} was changed, or one before it: number ${seq} of the journal of ${source} ` +
    `hashes to ${expected}, and ${hash} is stored`
  );
}

function count(state: AuditState, record: LedgerRecord): void {
  state.ids.add(record.id);
  if (record.source === "") state.unchained += 1;
  else state.heads.set(record.source, { seq: record.source_seq, hash: record.hash });
  const micros = BigInt(record.amount);
  add(state, record.debit, record.asset, -micros);
  add(state, record.credit, record.asset, micros);
}

function add(state: AuditState, book: string, asset: string, micros: Micros): void {
  const key = keyOf(book, asset);
  const known = state.balances.get(key);
  if (known === undefined) state.balances.set(key, { book, asset, micros });
  else known.micros += micros;
}

/** No name has a space in it. */
function keyOf(book: string, asset: string): string {
  return `${book} ${asset}`;
}

/** Z3: the claims against the transfers, then the transfers against the claims. */
function wrongBalance(state: AuditState, claims: readonly LedgerBalance[]): string | null {
  const claimed = new Set<string>();
  for (const { book, asset, balance } of claims) {
    const key = keyOf(book, asset);
    if (claimed.has(key)) return `The balance of ${asset} of ${book} is claimed twice`;
    claimed.add(key);
    const micros = state.balances.get(key)?.micros ?? 0n;
    if (String(micros) === balance) continue;
    return `${book} has ${micros} micros of ${asset} by its transfers, and ${balance} is claimed`;
  }
  for (const [key, { book, asset, micros }] of state.balances) {
    if (micros === 0n || claimed.has(key)) continue;
    return `${book} has ${micros} micros of ${asset} by its transfers, and no balance is claimed`;
  }
  return null;
}

function wrongHead(state: AuditState, heads: readonly JournalHead[]): string | null {
  for (const { source, seq, hash } of heads) {
    const known = state.heads.get(source) ?? { seq: 0, hash: "" };
    if (seq < known.seq) {
      return `The ledger has ${known.seq} transfers of ${source}, which decided only ${seq}`;
    }
    if (seq === known.seq && hash !== known.hash) {
      return `The journal of ${source} ends with ${known.hash}, and its account has ${hash}`;
    }
  }
  return null;
}

function behindOf(state: AuditState, heads: readonly JournalHead[]): string[] {
  return heads
    .filter(({ source, seq }) => seq > (state.heads.get(source)?.seq ?? 0))
    .map(({ source }) => source);
}

/** Z4. */
function cutJournal(state: AuditState, handedOver: readonly JournalHead[]): string | null {
  for (const { source, seq } of handedOver) {
    const known = state.heads.get(source)?.seq ?? 0;
    if (known >= seq) continue;
    return `The journal of ${source} was cut: it handed over ${seq}, and the ledger has ${known}`;
  }
  return null;
}

/** Z5. */
function belowFloor(state: AuditState, overdraftMaxMicros: Micros): string | null {
  for (const balance of state.balances.values()) {
    const { book, asset, micros } = balance;
    if (micros >= 0n || book === systemBooks.mint) continue;
    if (!isOverdraft(balance)) {
      return `${book} has ${micros} micros of ${asset}, and may not have less than 0`;
    }
    if (-micros > overdraftMaxMicros) {
      return `${book} is overdrawn by ${-micros} micros, and may be by ${overdraftMaxMicros}`;
    }
  }
  return null;
}
