import type { Env } from "./env.ts";
import type { Account } from "./billing/account.ts";
import type { Directory } from "./directory/directory.ts";
import type { Hub } from "./hub/hub.ts";
import { regionOfHub } from "./directory/hub-name.ts";
import type { Region } from "../shared/regions.ts";

/** The one place that turns names into Durable Objects. */

export function accountObject(env: Env, accountId: string): DurableObjectStub<Account> {
  return env.ACCOUNT.get(env.ACCOUNT.idFromName(accountId));
}

/** `hubId` is `region:shard`. The first call decides where in the world the hub lives. */
export function hubObject(env: Env, hubId: string): DurableObjectStub<Hub> {
  return env.HUB.get(env.HUB.idFromName(hubId), { locationHint: regionOfHub(hubId) });
}

export function directoryObject(env: Env, region: Region): DurableObjectStub<Directory> {
  return env.DIRECTORY.get(env.DIRECTORY.idFromName(region), { locationHint: region });
}
