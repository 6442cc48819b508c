import { z } from "zod";
import type { EdgeClient } from "./edge-client.ts";

/** What the edge gives at once, at most. */
const pageItemsMax = 100;

/** The first `most` items of a list that comes in pages. */
export async function readPages<T>(
  client: EdgeClient,
  list: {
    readonly path: string;
    readonly item: z.ZodType<T>;
    readonly most: number;
    readonly query?: Readonly<Record<string, string | undefined>>;
  },
): Promise<T[]> {
  const page = z.looseObject({ data: z.array(list.item), next_cursor: z.string().nullable() });
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const limit = Math.min(pageItemsMax, list.most - items.length);
    const query = { ...list.query, limit, cursor };
    const { data, next_cursor: next } = await client.get(list.path, page, query);
    items.push(...data);
    // A page that is empty has nothing behind it, whatever it says.
    cursor = data.length === 0 ? undefined : (next ?? undefined);
  } while (cursor !== undefined && items.length < list.most);
  return items.slice(0, list.most);
}
