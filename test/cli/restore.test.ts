import { expect, onTestFinished, test } from "vitest";
import { fail, FakeEdge } from "../helpers/fake-edge.ts";
import { OctoMachine } from "../helpers/octo-run.ts";

const id = "4f".repeat(16);
const reason = "its storage was lost";

const whole = {
  object: "ledger.difference",
  id,
  account_id: "acct_a",
  differs: false,
  books: [{ book: "acct_a:available", asset: "CREDIT", account: "30", ledger: "30" }],
  journal: {
    account: { source: "acct_a", seq: 3, hash: "aa" },
    ledger: { source: "acct_a", seq: 3, hash: "aa" },
  },
  obstacles: [],
};

const lost = {
  ...whole,
  differs: true,
  books: [{ book: "acct_a:available", asset: "CREDIT", account: "0", ledger: "30" }],
  journal: { ...whole.journal, account: { source: "acct_a", seq: 0, hash: "" } },
};

async function octo(difference: object, words: readonly string[] = []) {
  const edge = await FakeEdge.start({
    "GET /api/v1/ledger/accounts/acct_a/difference": () => difference,
    "POST /api/v1/ledger/accounts/acct_a/restore": ({ body }, response) => {
      const asked = JSON.stringify(body);
      if (asked === JSON.stringify({ difference: id, reason })) return whole;
      return fail(response, 409, "conflict", `Its difference is another than ${asked}`);
    },
  });
  onTestFinished(() => edge[Symbol.asyncDispose]());
  const run = ["restore", "acct_a", "--url", edge.url, "--key", "operator", ...words];
  return new OctoMachine().run(run);
}

test("an account that lost its books is shown beside the ledger, and how to go on", async () => {
  const { code, out } = await octo(lost);
  expect(code).toBe(1);
  const lines = out.split("\n");
  expect(lines[0]).toBe("DIFFERENCE  of acct_a, in micros");
  expect(lines[2]).toMatch(/^acct_a:available +CREDIT +0 +30$/);
  expect(lines[3]).toMatch(/^transfers in its journal +0 +3$/);
  expect(lines[4]).toBe(`    octo restore acct_a --yes ${id} --reason WHY takes it over`);
});

test("an account that cannot be restored yet is shown with why", async () => {
  const { code, out } = await octo({ ...lost, obstacles: ["acct_b owes it something"] });
  expect(code).toBe(1);
  expect(out).toContain("    acct_b owes it something\n");
  expect(out).not.toContain("--yes");
});

test("an account that has what the ledger says is well", async () => {
  const { code, out } = await octo(whole);
  expect([code, out]).toEqual([0, "OK  acct_a has what the ledger says\n"]);
});

test("an account is restored by the difference that was shown, and no other", async () => {
  const { code, out } = await octo(lost, ["--yes", id, "--reason", reason]);
  expect([code, out]).toEqual([0, "Restored acct_a from the ledger\n"]);
  const other = await octo(lost, ["--yes", "00", "--reason", reason]);
  expect(other.code).toBe(1);
  expect(other.err).toContain("Its difference is another");
});

test("nobody restores without saying why", async () => {
  const { code, err } = await octo(lost, ["--yes", id]);
  expect(code).toBe(2);
  expect(err).toContain("--reason");
});
