import { expect, test } from "vitest";
import { mintCredit, resolveTask } from "../../../edge/billing/account-state.ts";
import { enterJournal } from "../../../edge/billing/outbox/enter-journal.ts";
import { outboxPayload, readPayload } from "../../../edge/billing/outbox/outbox-payload.ts";
import { verifyJournal } from "../../../shared/journal.ts";
import { accountWith, post, providerId, record, terms } from "./closings.ts";

test("an outbox row tells of tasks, attempts, transfers and earnings, as they were", () => {
  const state = accountWith(10_000n);
  const attempt = {
    number: 1,
    workerId: "w",
    outcome: "complete",
    startedMs: 1,
    firstTokenMs: 2,
    endedMs: 3,
    tokens: 70,
    bytesIn: 9,
    bytesOut: 300,
  };
  const closings = [
    post("a", { promptTokens: 30, completionTokens: 70 }),
    post("b", { promptTokens: 0, completionTokens: 10 }),
    { kind: "void", terms: terms("c"), record } as const,
  ].map((closing) => ({ ...closing, record: { ...record, attempts: [attempt] } }));
  const items = closings.map((closing) => ({
    closing,
    resolution: resolveTask(state, closing, 9),
  }));
  const minted = mintCredit(state, { id: "tfr_2", micros: 5n }, 9);
  const moved = [minted, ...items.flatMap(({ resolution }) => resolution.transfers)];
  const stake = { accountId: "acct_b", asset: "OCTO", bucket: "stake", micros: 3n } as const;
  const rows = enterJournal(state, moved);
  const { settlements, earnings } = readPayload(outboxPayload(items, rows, [stake]));
  expect(settlements.tasks.map(({ id, state: how, costMicros }) => [id, how, costMicros])).toEqual([
    ["a", "settled", 100n],
    ["b", "settled", 10n],
    ["c", "void", 0n],
  ]);
  expect(settlements.attempts.map(({ taskId }) => taskId)).toEqual(["a", "b", "c"]);
  // One micro of ten is the smallest part there is: burn and stakers get theirs by remainder.
  const amounts = settlements.transfers.map(({ id, amountMicros }) => [id, amountMicros]);
  expect(amounts).toContainEqual(["tfr_2", 5n]);
  expect(amounts).toContainEqual(["a:provider", 70n]);
  expect(amounts.reduce((sum, [, micros]) => sum + BigInt(micros ?? 0), 0n)).toBe(115n);
  // One row for a provider, however many tasks it earned by.
  expect(earnings).toEqual([
    { accountId: providerId, asset: "CREDIT", bucket: "earned", micros: 77n },
    stake,
  ]);
  expect(settlements.transfers).toEqual(rows);
  expect(verifyJournal(rows)).toEqual({ kind: "whole", head: state.journal });
});

test("text that looks like an amount stays text", () => {
  const state = accountWith(1_000n);
  const closing = {
    ...post("a", { promptTokens: 1, completionTokens: 1 }, { model: "123", key: "456" }),
    record: { ...record, finish: "789" },
  };
  const payload = readPayload(
    outboxPayload([{ closing, resolution: resolveTask(state, closing, 9) }], [], []),
  );
  expect(payload.settlements.tasks[0]).toMatchObject({ model: "123", keyId: "456", finish: "789" });
});

test("an attempt that an older build wrote down has no bytes, and is stored all the same", () => {
  const state = accountWith(10_000n);
  const attempt = { number: 1, workerId: "w", outcome: "lost", startedMs: 1, firstTokenMs: null };
  const old = { ...attempt, endedMs: 3, tokens: 0, bytesIn: 9, bytesOut: 1 };
  const closing = {
    kind: "void",
    terms: terms("c"),
    record: { ...record, attempts: [old] },
  } as const;
  const resolution = resolveTask(state, closing, 9);
  const text = outboxPayload([{ closing, resolution }], [], []);
  const unmetered = text.replace(/,"bytesIn":9,"bytesOut":1/, "");
  expect(unmetered).not.toBe(text);
  const [stored] = readPayload(unmetered).settlements.attempts;
  expect(stored).toMatchObject({ number: 1, bytesIn: 0, bytesOut: 0 });
});

test("an outbox row tells of budgets, and one that an older build wrote of none", () => {
  const subject = { scope: "key", id: "k1", model: null } as const;
  const told = { period: "day", percent: 95, spent: 19n, budget: 20n, createdMs: 7 } as const;
  const alert = { id: "alr_1", accountId: "acct_1", subject, ...told };
  const ofModel = { ...alert, id: "alr_2", subject: { ...subject, model: "m/n" } };
  const text = outboxPayload([], [], [], [alert, ofModel]);
  const row = {
    id: "alr_1",
    accountId: "acct_1",
    scope: "key",
    scopeId: "k1",
    period: "day",
    percent: 95,
    spentMicros: 19n,
    budgetMicros: 20n,
    createdAt: 7,
  };
  const second = { ...row, id: "alr_2", scope: "model", scopeId: "key:k1/m/n" };
  expect(readPayload(text).alerts).toEqual([row, second]);
  const { alerts: _, ...older } = JSON.parse(text) as Record<string, unknown>;
  expect(readPayload(JSON.stringify(older)).alerts).toEqual([]);
});
