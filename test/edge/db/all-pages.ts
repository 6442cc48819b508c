import type { Page } from "../../../edge/db/page.ts";

/** Follows cursors to the end. `between` runs after each page, to disturb the list. */
export async function allPages<T>(
  fetchPage: (cursor: string | null) => Promise<Page<T>>,
  between: (pages: number) => Promise<void> = async () => {},
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null = null;
  let pages = 0;
  do {
    const page: Page<T> = await fetchPage(cursor);
    items.push(...page.items);
    cursor = page.next;
    await between(++pages);
  } while (cursor !== null);
  return items;
}
