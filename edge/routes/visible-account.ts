import type { Caller } from "../context.ts";
import { accountIdField } from "./fields.ts";
import { noSuchAccount } from "./known-account.ts";

export const accountQuery = {
  account_id: accountIdField
    .optional()
    .meta({ description: "Whose; the caller's own unless an operator asks" }),
};

/** The account that is looked at. Another's does not exist, as far as a consumer can tell. */
export function visibleAccount(caller: Caller, asked: string | undefined): string {
  if (asked === undefined || asked === caller.accountId) return caller.accountId;
  if (!caller.permissions.has("network:operate")) throw noSuchAccount(asked);
  return asked;
}
