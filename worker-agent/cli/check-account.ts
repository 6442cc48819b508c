import { closeCodes } from "../../shared/protocol/close-codes.ts";
import { takeOnCommand } from "../../shared/protocol/taking-on.ts";
import type { Config } from "../config.ts";
import { IdentityError, loadIdentity } from "../identity.ts";
import { lockOwner } from "../state/lock.ts";
import { type AgentStatus, readStatus } from "../state/status-file.ts";
import type { Check } from "./check.ts";

/**
 * Whether the account that a worker names has taken it on. Only the edge knows, and says so to
 * whoever joins, which a look must not do: a second connection of one identity ends the first, and
 * that may run on this folder in a container. So a running worker is asked; of others the owner's
 * command is told.
 */
export async function checkAccount({
  account,
  stateDir,
}: Pick<Config, "account" | "stateDir">): Promise<Check[]> {
  if (account === null) return [];
  const worker = await workerIn(stateDir);
  // What is wrong with the identity has been said already.
  if (worker === null) return [];
  const status = (await lockOwner(stateDir)) === null ? null : await readStatus(stateDir);
  return [accountCheck({ account, worker, status })];
}

/** `status` is that of the worker where it runs, null where it does not. */
export function accountCheck(found: {
  readonly account: string;
  readonly worker: string;
  readonly status: Pick<AgentStatus, "account" | "connections"> | null;
}): Check {
  const { account, worker, status } = found;
  const name = "Account";
  const command = takeOnCommand(worker);
  if (status?.account === account) {
    return { name, found: `${account} has taken this worker on`, remedy: null };
  }
  const last = status?.connections.at(-1);
  if (last?.code === closeCodes.refused) {
    const remedy = `its owner runs: ${command}`;
    return { name, found: `${account} has not taken this worker on`, remedy };
  }
  const once = `${account}; where it has not taken this worker on, its owner runs: ${command}`;
  return { name, found: once, remedy: null };
}

async function workerIn(stateDir: string): Promise<string | null> {
  try {
    return (await loadIdentity(stateDir))?.publicKey ?? null;
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    return null;
  }
}
