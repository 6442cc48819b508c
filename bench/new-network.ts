import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Network, type NetworkOptions, startNetwork } from "../dev/network.ts";
import { State } from "../dev/state.ts";

/** A folder of a benchmark's own, which is gone with the stack. */
export async function newFolder(stack: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "octo-bench-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A network that begins with nothing, in a folder that is empty or not there. */
export async function newNetwork(
  folder: string,
  options: Omit<NetworkOptions, "state" | "port">,
): Promise<Network> {
  const state = new State(folder);
  await state.open(false);
  return startNetwork({ state, port: 0, ...options });
}
