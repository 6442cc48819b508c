import type { CloseName } from "../../../shared/protocol/close-codes.ts";
import type { AuthProve } from "../../../shared/protocol/handshake.ts";
import type { Env } from "../../env.ts";
import { earningAccount } from "./earning-account.ts";
import type { WorkerSocket, WorkerSockets } from "./worker-sockets.ts";

export type Admission =
  | { readonly kind: "admitted"; readonly accountId: string }
  | { readonly kind: "refused"; readonly close: CloseName; readonly reason: string }
  /** The socket was closed while its proof was judged: nobody is there to be told. */
  | { readonly kind: "gone" };

/** Judges a worker's proof, and finds the account it earns for. */
export async function admitWorker(
  of: { readonly env: Env; readonly sockets: WorkerSockets },
  socket: WorkerSocket,
  proof: AuthProve,
): Promise<Admission> {
  socket.phase = "proving";
  const proven = await of.sockets.prove(socket, proof);
  const accountId = proven.kind === "proven" ? await earningAccount(of.env, proof) : null;
  // It may have left, or sent a second frame, while we waited.
  if (of.sockets.of(socket.ws) !== socket) return { kind: "gone" };
  if (proven.kind === "refused") return proven;
  if (accountId !== null) return { kind: "admitted", accountId };
  return { kind: "refused", close: "refused", reason: `there is no account ${proof.account}` };
}
