import { describe, expect, onTestFinished, test } from "vitest";
import { journalHash } from "../../shared/journal.ts";
import { journaledTransfer, type LedgerRecord } from "../../shared/ledger-record.ts";
import { fail, FakeEdge } from "../helpers/fake-edge.ts";
import { OctoMachine } from "../helpers/octo-run.ts";

/** A journal of so many transfers, each under its hash. */
function journal(source: string, count: number): LedgerRecord[] {
  const rows: LedgerRecord[] = [];
  for (let seq = 1; seq <= count; seq++) {
    const row: LedgerRecord = {
      id: `${source}-${seq}`,
      task_id: null,
      kind: "mint",
      debit: "system:mint",
      credit: `${source}:available`,
      asset: "CREDIT",
      amount: "10",
      created_ms: 1_700_000_000_000 + seq,
      reason: null,
      source,
      source_seq: seq,
      hash: "",
    };
    const hash = journalHash(rows.at(-1)?.hash ?? "", journaledTransfer(row));
    rows.push({ ...row, hash });
  }
  return rows;
}

const rows = [...journal("acct_a", 3), ...journal("acct_b", 2)];
const balances = [
  { book: "system:mint", asset: "CREDIT", balance: "-50" },
  { book: "acct_a:available", asset: "CREDIT", balance: "30" },
  { book: "acct_b:available", asset: "CREDIT", balance: "20" },
];

/** A ledger that is handed out two transfers at a time. */
async function audit(
  ledger: { readonly rows?: typeof rows; readonly balances?: typeof balances },
  words: readonly string[] = [],
  lost = 0,
  account: object = {},
) {
  const all = ledger.rows ?? rows;
  let losses = lost;
  const edge = await FakeEdge.start({
    "GET /api/v1/ledger/balances": () => ({
      through: all.length,
      data: ledger.balances ?? balances,
    }),
    "GET /api/v1/ledger/transfers": ({ url }, response) => {
      if (losses-- > 0) return fail(response, 503, "unavailable", "Restarted");
      if (url.searchParams.get("through") !== String(all.length)) {
        return fail(response, 400, "invalid_request", "Another moment");
      }
      const from = Number(url.searchParams.get("cursor") ?? "0");
      const next = from + 2 < all.length ? String(from + 2) : null;
      return { data: all.slice(from, from + 2), next_cursor: next };
    },
    "GET /api/v1/accounts": () => ({ data: [{ id: "acct_b" }], next_cursor: null }),
    "GET /api/v1/ledger/accounts/acct_b": () => ({
      journal: { source: "acct_b", seq: 2, hash: rows[4]?.hash },
      ledger_pending: false,
      ...account,
    }),
  });
  onTestFinished(() => edge[Symbol.asyncDispose]());
  const octo = new OctoMachine();
  return octo.run(["audit", "--url", edge.url, "--key", "operator", ...words]);
}

describe("an audit", () => {
  test("names an account that keeps no journal though the ledger has one of it", async () => {
    const { code, out } = await audit({}, ["--accounts"], 0, { journal: null });
    const fault = "The ledger has 2 transfers of acct_b, which decided only 0";
    expect([code, out]).toEqual([1, `DIFFERENCE  ${fault}\n`]);
  });

  test("tells whom an account could not tell what it gave them", async () => {
    const owed = [{ account_id: "acct_c", since: "2026-11-28T10:00:00.000Z", tries: 3 }];
    const { code, out } = await audit({}, ["--accounts"], 0, { owed });
    expect(code).toBe(0);
    expect(out).toContain("acct_b could not tell acct_c what it gave them, since 2026-11-28T10");
  });

  test("of a ledger that adds up says so, though a page had to be asked for again", async () => {
    const { code, out, err } = await audit({}, ["--accounts"], 1);
    expect([code, out, err]).toEqual([
      0,
      "OK  5 transfers, 2 journals, 3 balances: all adds up\n",
      "",
    ]);
    const json = await audit({}, ["--json"]);
    expect(JSON.parse(json.out)).toMatchObject({ ok: true, fault: null, transfers: 5 });
  });

  test("that asks the accounts names one whose journal ended otherwise", async () => {
    const [last] = journal("acct_b", 2).slice(1);
    if (last === undefined) throw new Error("a journal of two has a second");
    const other = { ...last, id: "acct_b-other" };
    const hash = journalHash(row(3).hash, journaledTransfer(other));
    const changed = { rows: rows.with(4, { ...other, hash }) };
    expect((await audit(changed)).code).toBe(0);
    const { code, out } = await audit(changed, ["--accounts"]);
    expect([code, out]).toEqual([1, expect.stringContaining("The journal of acct_b ends with")]);
  });

  test("that asks the accounts names a journal that was cut where it adds up all the same", async () => {
    // As an edge has it, which claims what the transfers that are left add up to.
    const cut = {
      rows: rows.slice(0, 4),
      balances: [
        { book: "system:mint", asset: "CREDIT", balance: "-40" },
        { book: "acct_a:available", asset: "CREDIT", balance: "30" },
        { book: "acct_b:available", asset: "CREDIT", balance: "10" },
      ],
    };
    expect((await audit(cut)).code).toBe(0);
    const { code, out } = await audit(cut, ["--accounts"]);
    const said = "The journal of acct_b was cut: it handed over 2, and the ledger has 1";
    expect([code, out]).toEqual([1, `DIFFERENCE  ${said}\n`]);
    // What its account has still to hand over is no fault.
    const late = await audit(cut, ["--accounts"], 0, { ledger_pending: true });
    expect([late.code, late.out]).toEqual([
      0,
      "OK  4 transfers, 2 journals, 3 balances: all adds up\n" +
        "    1 account has decided more than the ledger has: on its way, where a later audit has " +
        "it\n",
    ]);
  });

  test.for([
    ["an amount that was changed", { rows: rows.with(1, { ...row(1), amount: "11" }) }, "acct_a-2"],
    ["a transfer left out", { rows: rows.toSpliced(1, 1) }, "acct_a-3 is number 3"],
    ["a transfer twice", { rows: rows.toSpliced(1, 0, row(0)) }, "acct_a-1 is in the ledger twice"],
    ["a journal cut at its end", { rows: rows.slice(0, 4) }, "system:mint has -40 micros"],
    [
      "a balance that nobody was given",
      { balances: balances.with(1, { book: "acct_a:available", asset: "CREDIT", balance: "31" }) },
      "acct_a:available has 30 micros of CREDIT by its transfers, and 31 is claimed",
    ],
  ] as const)("names %s, with exit code 1", async ([, ledger, said]) => {
    const { code, out } = await audit(ledger);
    expect([code, out.split("\n").length]).toEqual([1, 2]);
    expect(out).toMatch(/^DIFFERENCE {2}/);
    expect(out).toContain(said);
    expect(JSON.parse((await audit(ledger, ["--json"])).out)).toMatchObject({ ok: false });
  });
});

function row(at: number): LedgerRecord {
  const found = rows[at];
  if (found === undefined) throw new Error(`there is no row ${at}`);
  return found;
}
