import { expect, test } from "vitest";
import { checkLedger } from "../../../edge/db/ledger/ledger-checks.ts";
import { recordTransfers } from "../../helpers/ledger-rows.ts";
import { holdings } from "../../../edge/db/ledger/supply.ts";
import { supplyOf } from "../../../edge/statements/supply.ts";
import { sampleTransfer } from "./samples.ts";
import type { MakeDatabase } from "./worlds.ts";

let made = 0;
function moved(from: string, to: string, amountMicros: bigint, asset = "CREDIT") {
  const between = { debitAccount: from, creditAccount: to };
  return sampleTransfer({ id: `t${++made}`, taskId: null, amountMicros, asset, ...between });
}

export function describeSupply(makeDatabase: MakeDatabase): void {
  test("the supply of an asset is what the transfers made of it, and where they left it", async () => {
    await using db = await makeDatabase();
    await recordTransfers(db, [
      moved("system:mint", "acct_alice:available", 1_000n),
      moved("system:mint", "acct_bob:available", 500n),
      moved("acct_alice:available", "acct_paul:earned", 70n),
      moved("acct_alice:available", "system:burn", 5n),
      moved("acct_alice:available", "system:stakers", 5n),
    ]);
    await checkLedger(db, 1);
    await recordTransfers(db, [
      moved("acct_alice:available", "system:treasury", 10n),
      moved("acct_alice:available", "system:orchestrator", 10n),
      moved("acct_bob:available", "system:payouts", 100n),
      moved("system:payouts", "system:mint", 60n),
      moved("acct_bob:available", "acct_bob:stake", 30n),
      moved("system:mint", "acct_alice:available", 7n, "OCTO"),
      moved("acct_bob:available", "elsewhere", 1n),
    ]);
    const all = await holdings(db);
    expect(supplyOf("CREDIT", all)).toEqual({
      asset: "CREDIT",
      mintedMicros: 1_500n,
      returnedMicros: 60n,
      burnedMicros: 5n,
      circulatingMicros: 1_435n,
      accounts: { available: 1_269n, held: 0n, earned: 70n, disputed: 0n, stake: 30n },
      network: { orchestrator: 10n, treasury: 10n, stakers: 5n, payouts: 40n },
      otherMicros: 1n,
      differenceMicros: 0n,
    });
    expect(supplyOf("OCTO", all)).toMatchObject({ mintedMicros: 7n, circulatingMicros: 7n });
    expect(supplyOf("OCTO-A", all)).toMatchObject({ mintedMicros: 0n, differenceMicros: 0n });
  });

  test("a balance that was kept wrong shows as a difference", async () => {
    await using db = await makeDatabase();
    await recordTransfers(db, [moved("system:mint", "acct_alice:available", 1_000n)]);
    await checkLedger(db, 1);
    const spoil = "update book_balances set balance_micros = 900 where book like 'acct%'";
    await db.migrate("spoil a balance", [spoil]);
    expect(supplyOf("CREDIT", await holdings(db)).differenceMicros).toBe(100n);
  });
}
