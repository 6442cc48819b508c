import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type AuditClaims, type AuditOptions, auditLedger } from "../../shared/audit.ts";
import { sha256Hex } from "../../shared/crypto/bytes.ts";
import {
  journaledTransfer,
  type JournaledTransfer,
  type LedgerBalance,
  type LedgerRecord,
} from "../../shared/ledger-record.ts";

const alice = "acct_alice";

/** Any hash that covers the one before it and every field will do. */
function journalHash(before: string, transfer: JournaledTransfer): Promise<string> {
  const fields = { ...transfer, amountMicros: String(transfer.amountMicros) };
  return sha256Hex(before + JSON.stringify(fields));
}
const options: AuditOptions = { journalHash, overdraftMaxMicros: 1_000n };

function record(id: string, change: Partial<LedgerRecord> = {}): LedgerRecord {
  return {
    id,
    task_id: null,
    kind: "mint",
    debit: "system:mint",
    credit: `${alice}:available`,
    asset: "CREDIT",
    amount: "100",
    created_ms: 1_000,
    reason: null,
    source: "",
    source_seq: 0,
    hash: "",
    ...change,
  };
}

/** The records in a journal of their own. */
async function journal(source: string, records: readonly LedgerRecord[]): Promise<LedgerRecord[]> {
  const chained: LedgerRecord[] = [];
  let hash = "";
  for (const [i, each] of records.entries()) {
    const placed = { ...each, source, source_seq: i + 1 };

    hash = await journalHash(hash, journaledTransfer(placed));
    chained.push({ ...placed, hash });
  }
  return chained;
}

function balancesOf(records: readonly LedgerRecord[]): LedgerBalance[] {
  const sums = new Map<string, bigint>();
  for (const { debit, credit, asset, amount } of records) {
    for (const [book, sign] of [
      [debit, -1n],
      [credit, 1n],
    ] as const) {
      const key = `${book} ${asset}`;
      sums.set(key, (sums.get(key) ?? 0n) + sign * BigInt(amount));
    }
  }
  return [...sums].map(([key, micros]) => {
    const [book = "", asset = ""] = key.split(" ");
    return { book, asset, balance: String(micros) };
  });
}

async function audited(records: readonly LedgerRecord[], claims?: AuditClaims) {
  return auditLedger(records, claims ?? { balances: balancesOf(records) }, options);
}

const spend = (id: string, amount: string) =>
  record(id, { kind: "task", debit: `${alice}:available`, credit: "acct_paul:earned", amount });

async function sound(): Promise<LedgerRecord[]> {
  return [
    record("old"),
    ...(await journal(alice, [
      record("m1", { amount: "500" }),
      spend("a", "70"),
      spend("b", "30"),
    ])),
    ...(await journal("acct_bob", [record("m2", { credit: "acct_bob:available" })])),
  ];
}

test("a ledger that adds up has no fault, and its audit says what was seen", async () => {
  const records = await sound();
  const heads = [
    { source: alice, seq: 3, hash: records[3]?.hash ?? "" },
    { source: "acct_bob", seq: 5, hash: "f".repeat(64) },
    { source: "acct_new", seq: 0, hash: "" },
  ];
  expect(await audited(records, { balances: balancesOf(records), heads })).toEqual({
    fault: null,
    transfers: 5,
    books: 4,
    journals: 2,
    unchained: 1,
    overdrafts: [],
    behind: ["acct_bob"],
  });
  expect(await audited([])).toMatchObject({ fault: null, transfers: 0 });
});

test.each<[string, (records: LedgerRecord[]) => readonly LedgerRecord[], string]>([
  [
    "an amount of nothing",
    (all) => [record("x", { amount: "0" }), ...all],
    "Transfer x moves 0 micros, and every transfer moves more than nothing",
  ],
  [
    "an amount below nothing",
    (all) => [record("x", { amount: "-5" }), ...all],
    "Transfer x moves -5 micros, and every transfer moves more than nothing",
  ],
  [
    "an unknown asset",
    (all) => [record("x", { asset: "GOLD" }), ...all],
    "Transfer x moves GOLD, which is no asset",
  ],
  [
    "a transfer to itself",
    (all) => [record("x", { debit: `${alice}:available` }), ...all],
    "Transfer x has acct_alice:available on both sides",
  ],
  ["a transfer twice", (all) => [record("old"), ...all], "Transfer old is in the ledger twice"],
  [
    "a transfer left out",
    (all) => all.filter(({ id }) => id !== "a"),
    "Transfer b is number 3 of the journal of acct_alice, behind number 1",
  ],
  [
    "a beginning left out",
    (all) => all.filter(({ id }) => id !== "m1"),
    "Transfer a is number 2 of the journal of acct_alice, behind number 0",
  ],
  [
    "a hash in no journal",
    (all) => [record("x", { hash: "ab" }), ...all],
    "Transfer x has a place or a hash, and is in no journal",
  ],
])("%s is named", async (_, spoil, sentence) => {
  expect((await audited(spoil(await sound()))).fault).toBe(sentence);
});

test("whatever is changed in a journal, its transfer is named", async () => {
  const records = await sound();
  const changes = fc.constantFrom<Partial<LedgerRecord>>(
    { amount: "71" },
    { task_id: "tsk_x" },
    { kind: "gift" },
    { credit: "acct_mallory:earned" },
    { created_ms: 5 },
    { reason: "because" },
    { asset: "OCTO" },
    { id: "other" },
    { hash: "0".repeat(64) },
  );
  const place = fc.integer({ min: 1, max: records.length - 1 });
  await fc.assert(
    fc.asyncProperty(place, changes, async (at, change) => {
      const spoilt = records.map((each, i) => (i === at ? { ...each, ...change } : each));
      const { fault } = await audited(spoilt);
      expect(fault).toContain(`Transfer ${spoilt[at]?.id} was changed, or one before it`);
    }),
  );
});

test.each<[string, (claims: LedgerBalance[]) => LedgerBalance[], RegExp]>([
  [
    "another amount",
    (all) =>
      all.map((each) => (each.book === "acct_paul:earned" ? { ...each, balance: "101" } : each)),
    /^acct_paul:earned has 100 micros of CREDIT by its transfers, and 101 is claimed$/,
  ],
  [
    "no balance",
    (all) => all.filter(({ book }) => book !== "acct_paul:earned"),
    /^acct_paul:earned has 100 micros of CREDIT by its transfers, and no balance is claimed$/,
  ],
  [
    "a balance of nobody's",
    (all) => [...all, { book: "acct_new:available", asset: "CREDIT", balance: "1" }],
    /^acct_new:available has 0 micros of CREDIT by its transfers, and 1 is claimed$/,
  ],
  ["a balance twice", (all) => [...all, ...all], /is claimed twice$/],
])("a claim of %s is named", async (_, change, sentence) => {
  const records = await sound();
  const { fault } = await audited(records, { balances: change(balancesOf(records)) });
  expect(fault).toMatch(sentence);
});

test("a journal that its account does not know so is named", async () => {
  const records = await sound();
  const balances = balancesOf(records);
  const short = await audited(records, { balances, heads: [{ source: alice, seq: 2, hash: "" }] });
  expect(short.fault).toBe("The ledger has 3 transfers of acct_alice, which decided only 2");
  const other = { source: alice, seq: 3, hash: "e".repeat(64) };
  expect((await audited(records, { balances, heads: [other] })).fault).toContain(
    "its account has e",
  );
});

test("only the mint is below zero, and what can be spent by a bounded overdraft that is told of", async () => {
  const overdrawn = [spend("a", "1000")];
  expect(await audited(overdrawn)).toMatchObject({
    fault: null,
    overdrafts: [{ book: "acct_alice:available", asset: "CREDIT", balance: "-1000" }],
  });
  expect((await audited([spend("a", "1001")])).fault).toBe(
    "acct_alice:available is overdrawn by 1001 micros, and may be by 1000",
  );
  const stolen = [record("x", { debit: "acct_bob:earned" })];
  expect((await audited(stolen)).fault).toBe(
    "acct_bob:earned has -100 micros of CREDIT, and may not have less than 0",
  );
  const token = [record("x", { debit: "acct_bob:available", asset: "OCTO" })];
  expect((await audited(token)).fault).toContain("may not have less than 0");
});
