import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { takeSubmission } from "../../../worker-agent/connection/receipt-submission.ts";
import type { ReceiptEntry } from "../../../worker-agent/tasks/receipt-journal.ts";
import { ReceiptJournal } from "../../../worker-agent/tasks/receipt-journal.ts";

function scratchPath(): string {
  const folder = mkdtempSync(join(tmpdir(), "octo-journal-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "receipts.jsonl");
}

function entry(number: number, ticket = "sealed"): ReceiptEntry {
  const receipt = {
    v: 1,
    attempt: `tsk_${String(number).padStart(22, "0")}.1`,
    worker: "W".repeat(43),
    model: "0".repeat(64),
    prompt_hash: "0".repeat(64),
    output_hash: "0".repeat(64),
    outcome: "complete",
    prompt_tokens: 1,
    completion_tokens: 2,
    input_micros_per_million: 1,
    output_micros_per_million: 1,
    started_ms: 1,
    first_token_ms: 1,
    ended_ms: 2,
  } as const;
  return { ticket, signed: { receipt, signature: "S".repeat(86) } };
}

const attemptOf = (number: number) => entry(number).signed.receipt.attempt;

async function open(path: string, said: string[] = []): Promise<ReceiptJournal> {
  return ReceiptJournal.open(path, (_level, message) => said.push(message));
}

test("receipts outlive the process until they are acknowledged", async () => {
  const path = scratchPath();
  {
    await using journal = await open(path);
    for (const number of [1, 2, 3]) journal.keep(entry(number));
    await journal.flush();
    journal.acknowledge([attemptOf(2)]);
  }
  await using journal = await open(path);
  expect(journal.entries()).toEqual([entry(1), entry(3)]);
});

test("what was flushed survives a process that is killed", async () => {
  const path = scratchPath();
  const killed = await open(path);
  killed.keep(entry(1));
  await killed.flush();
  killed.keep(entry(2));
  await using journal = await open(path);
  expect(journal.entries()).toEqual([entry(1)]);
  await killed[Symbol.asyncDispose]();
});

test("a torn last line is forgotten, and what is kept after it is whole", async () => {
  const path = scratchPath();
  {
    await using journal = await open(path);
    journal.keep(entry(1));
  }
  appendFileSync(path, JSON.stringify({ keep: entry(2) }).slice(0, 50));
  const said: string[] = [];
  {
    await using journal = await open(path, said);
    expect(journal.pendingCount).toBe(1);
    journal.keep(entry(3));
  }
  await using journal = await open(path, said);
  expect(journal.entries()).toEqual([entry(1), entry(3)]);
  expect(said).toEqual([]);
});

test("a damaged line in the middle costs that line only, and is told", async () => {
  const path = scratchPath();
  {
    await using journal = await open(path);
    journal.keep(entry(1));
  }
  appendFileSync(path, `garbage\n${JSON.stringify({ keep: entry(2) })}\n`);
  const said: string[] = [];
  await using journal = await open(path, said);
  expect(journal.pendingCount).toBe(2);
  expect(said).toEqual(["Skipped damaged lines of the receipt journal"]);
});

test("a receipt that is acknowledged at once never touches the disk", async () => {
  const path = scratchPath();
  await using journal = await open(path);
  journal.keep(entry(1));
  journal.acknowledge([attemptOf(1)]);
  await journal.flush();
  expect(readFileSync(path, "utf8")).toBe("");
});

test("the file does not grow with what has been acknowledged", async () => {
  const path = scratchPath();
  await using journal = await open(path);
  for (let number = 0; number < 1_000; number++) {
    journal.keep(entry(number));
    if (number % 50 === 0) await journal.flush();
    journal.acknowledge([attemptOf(number)]);
    if (number % 50 === 0) await journal.flush();
  }
  for (let number = 0; number < 700; number++) {
    journal.keep(entry(number));
    await journal.flush();
    journal.acknowledge([attemptOf(number)]);
    await journal.flush();
    if (readFileSync(path, "utf8").split("\n").length > 1_200) throw new Error("it has grown");
  }
  expect(journal.pendingCount).toBe(0);
});

test("beyond ten thousand receipts the oldest are given up, and that is told", async () => {
  const said: string[] = [];
  await using journal = await open(scratchPath(), said);
  for (let number = 0; number < 10_001; number++) journal.keep(entry(number));
  expect(journal.pendingCount).toBe(10_000);
  expect(journal.has(attemptOf(0))).toBe(false);
  expect(said).toHaveLength(1);
});

test("receipts are submitted in frames of at most 32 and 200 KiB, five frames at a time", () => {
  const small = Array.from({ length: 200 }, (_, number) => entry(number));
  const { frames, rest } = takeSubmission(small);
  expect(frames.map((frame) => frame.entries.length)).toEqual([32, 32, 32, 32, 32]);
  expect(rest).toHaveLength(40);
  const large = takeSubmission(
    small.slice(0, 100).map((own) => ({ ...own, ticket: "é".repeat(4_096) })),
  );
  for (const frame of large.frames) {
    expect(Buffer.byteLength(JSON.stringify(frame))).toBeLessThan(201 * 1024);
  }
  expect(takeSubmission([])).toEqual({ frames: [], rest: [] });
});
