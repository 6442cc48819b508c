import { describeError } from "../../../shared/log.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { findOwnHubs } from "../../db/network/own-hubs.ts";
import { edgeLog } from "../../log.ts";
import { digestIn } from "./named-offers.ts";

/*
 * Where an account's own workers are. A hub's digest does not say whose its workers are: of a
 * hundred thousand that would be megabytes a second, which nobody needs who asks for others. So the
 * registry is asked, which is a second behind the hubs; and only for tasks that nobody but own
 * workers may answer.
 */

/** A registry that is a second behind need not be asked more often than this. */
const knownMs = 2_000;
const knownMax = 10_000;

interface Known {
  readonly hubIds: readonly string[];
  readonly untilMs: number;
}

/** By account and model, the oldest first. Plain data, which requests of an isolate may share. */
const known = new Map<string, Known>();

/** The hubs at which the account's own workers offer a model, by its name or digest. */
export async function ownHubs(
  ctx: Context,
  of: { readonly accountId: string; readonly model: string },
): Promise<readonly string[]> {
  const { accountId, model } = of;
  const name = `${accountId} ${model}`;
  const before = known.get(name);
  if (before !== undefined && before.untilMs > Date.now()) return before.hubIds;
  try {
    await using db = databaseOf(ctx.env);
    const hubIds = await findOwnHubs(db, { accountId, model, digest: digestIn(model) });
    remember(name, { hubIds, untilMs: Date.now() + knownMs });
    return hubIds;
  } catch (error) {
    // Workers stay where they are while the registry is away.
    edgeLog("warn", "own workers not looked up", { error: describeError(error) });
    return before?.hubIds ?? [];
  }
}

function remember(name: string, entry: Known): void {
  known.delete(name);
  const [oldest] = known.keys();
  if (known.size >= knownMax && oldest !== undefined) known.delete(oldest);
  known.set(name, entry);
}
