import type { CloseName } from "../../../shared/protocol/close-codes.ts";
import type { AuthProve } from "../../../shared/protocol/handshake.ts";
import { notTakenOn } from "../../../shared/protocol/taking-on.ts";
import type { Env } from "../../env.ts";
import { earningAccount } from "./earning-account.ts";
import type { HubState } from "../hub-state.ts";
import type { WorkerSocket, WorkerSockets } from "./worker-sockets.ts";

export type Admission =
  | { readonly kind: "admitted"; readonly accountId: string }
  | { readonly kind: "refused"; readonly close: CloseName; readonly reason: string }
  /** The socket was closed while its proof was judged: nobody is there to be told. */
  | { readonly kind: "gone" };

/** Judges a worker's proof, and finds the account it earns for. */
export async function admitWorker(
  of: { readonly env: Env; readonly state: HubState; readonly sockets: WorkerSockets },
  socket: WorkerSocket,
  proof: AuthProve,
): Promise<Admission> {
  socket.phase = "proving";
  const proven = await of.sockets.prove(socket, proof);
  const { id: hubId } = of.state.config;
  const accountId = proven.kind === "proven" ? await earningAccount(of.env, hubId, proof) : null;
  // It may have left, or sent a second frame, while we waited.
  if (of.sockets.of(socket.ws) !== socket) return { kind: "gone" };
  if (proven.kind === "refused") return proven;
  if (accountId !== null) return { kind: "admitted", accountId };
  return { kind: "refused", close: "refused", reason: notTakenOn(proof.worker) };
}
