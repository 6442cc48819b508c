import { assert } from "../../shared/assert.ts";
import { isClosable, mustWait, resolveTask } from "./account-state.ts";
import type { Books } from "./books.ts";
import { takeUnsaved } from "./limits/budgets.ts";
import type { TaskClosing } from "./closing.ts";
import { coverDeficit } from "./money/earnings-window.ts";
import type { OutboxItem } from "./outbox/outbox-payload.ts";
import { nothingMoved, recordDecided } from "./money/record-decided.ts";

/** What a group of closings came to. */
export interface Closed {
  readonly items: readonly OutboxItem[];
  /** Tasks that must wait and be brought again. */
  readonly waiting: readonly string[];
}

/** Told in one row of the outbox: a few kilobytes each, and a row takes two megabytes (Workers). */
const tasksInRow = 64;

/**
 * Posts or voids tasks in memory and storage; runs inside one transaction. Tasks that were resolved
 * before are passed over (A2). What they cost more than is available is covered by earnings first.
 */
export function closeTasks(books: Books, closings: readonly TaskClosing[], nowMs: number): Closed {
  const { opened: state, store } = books;
  const items: OutboxItem[] = [];
  const waiting: string[] = [];
  const resolved = store.resolved.among(closings.map(({ terms }) => terms));
  for (const closing of closings) {
    const { terms } = closing;
    assert(terms.account === state.accountId, "a closing goes to its own account");
    if (!isClosable(terms, nowMs) || resolved.has(terms.task)) continue;
    if (mustWait(state, closing, nowMs)) {
      waiting.push(terms.task);
      continue;
    }
    resolved.add(terms.task);
    items.push({ closing, resolution: resolveTask(state, closing, nowMs) });
  }
  const { rows: spent, alerts } = takeUnsaved(state.limits, nowMs);
  if (items.length > 0) {
    store.resolved.add(items.map(({ closing }) => closing.terms));
    store.limits.saveSpent(spent);
    recordDecided(
      books,
      { ...coverDeficit(state, nowMs), earnings: [] },
      items.slice(0, tasksInRow),
      alerts,
    );
    for (let at = tasksInRow; at < items.length; at += tasksInRow) {
      recordDecided(books, nothingMoved, items.slice(at, at + tasksInRow));
    }
  }
  return { items, waiting };
}
