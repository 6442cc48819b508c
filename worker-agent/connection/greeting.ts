import type { AuthChallenge, AuthWelcome } from "../../shared/protocol/handshake.ts";
import type { ListingPublish } from "../../shared/protocol/listing.ts";
import { provenMessage } from "../../shared/protocol/handshake.ts";
import { protocolFloor, protocolVersion } from "../../shared/protocol/limits.ts";
import type { SessionEffect, SessionState, SessionStep } from "./session.ts";

/** A challenge is answered with a proof, or it says that this worker has no business here. */
export type ChallengeAnswer =
  | { readonly kind: "proving"; readonly step: SessionStep }
  | { readonly kind: "refused"; readonly reason: string };

export function answerChallenge(state: SessionState, challenge: AuthChallenge): ChallengeAnswer {
  const reason = versionRefusal(challenge) ?? syntheticRefusal(state, challenge);
  if (reason !== null) return { kind: "refused", reason };
  const version = Math.min(protocolVersion, challenge.version);
  const { worker, origin, agent, account } = state.settings;
  const { hub, nonce } = challenge;
  const proof = { hub, origin, nonce, worker, version, agent, account: account ?? "" };
  const message = provenMessage(proof);
  return {
    kind: "proving",
    step: {
      state: { ...state, phase: { kind: "proving", proving: { challenge, version, message } } },
      effects: [{ kind: "sign", message }],
    },
  };
}

/** Why this build and a hub cannot talk, or null where they can. */
export function versionRefusal(challenge: Pick<AuthChallenge, "version" | "floor">): string | null {
  if (challenge.floor > protocolVersion) {
    return (
      `The edge speaks protocol ${challenge.floor} and later, this octo-worker ` +
      `${protocolVersion}: update it with npm install -g octo-worker@latest`
    );
  }
  if (challenge.version < protocolFloor) {
    return (
      `The edge speaks protocol ${challenge.version}, this octo-worker ${protocolFloor} ` +
      "and later: the edge's operator has to update it"
    );
  }
  return null;
}

/** Made-up answers must never reach somebody who pays for real ones. */
function syntheticRefusal(state: SessionState, challenge: AuthChallenge): string | null {
  const { listings, isLoopback } = state.settings;
  const synthetic = listings.find((listing) => listing.engine === "synthetic");
  if (synthetic === undefined || (challenge.network === "local" && isLoopback)) return null;
  return (
    `The synthetic model ${synthetic.model} is served only to a local network on this machine, ` +
    `and this edge is ${isLoopback ? `a ${challenge.network} network` : "on another machine"}`
  );
}

/** The signature is there: send the proof. */
export function prove(
  state: SessionState,
  signed: { readonly message: string; readonly signature: string },
): SessionStep {
  const { phase } = state;
  // The socket may have gone, or another one may be greeted, since the signature was asked for.
  if (phase.kind !== "proving" || phase.proving.message !== signed.message) {
    return { state, effects: [] };
  }
  const { worker, agent, account } = state.settings;
  const { challenge, version } = phase.proving;
  const owner = account === null ? {} : { account };
  const frame = {
    type: "auth.prove",
    version,
    worker,
    agent,
    ...owner,
    signature: signed.signature,
  } as const;
  return {
    state: { ...state, phase: { kind: "proved", hub: challenge.hub } },
    effects: [{ kind: "send", frame }],
  };
}

/** What the worker offers, under the next revision: it replaces every earlier one. */
export function publication<State extends SessionState>(
  state: State,
): { readonly state: State; readonly frame: ListingPublish } {
  const revision = state.revision + 1;
  const { hardware } = state.settings;
  const frame: ListingPublish = {
    type: "listing.publish",
    revision,
    listings: [...state.listings],
    ...(hardware === undefined ? {} : { hardware }),
  };
  return { state: { ...state, revision }, frame };
}

/** The hub let the worker in: say what it offers, and what is still owed for. */
export function welcome(state: SessionState, frame: AuthWelcome, nowMs: number): SessionStep {
  const hub = state.phase.kind === "proved" ? state.phase.hub : "";
  const { state: published, frame: publish } = publication(state);
  const effects: SessionEffect[] = [
    { kind: "set-timer", timer: "handshake", atMs: null },
    { kind: "set-timer", timer: "heartbeat", atMs: nowMs + frame.heartbeat_ms },
    { kind: "notice", notice: { kind: "connected", welcome: frame, hub } },
    { kind: "send", frame: publish },
    { kind: "submit-receipts", isFirst: true },
  ];
  if (state.drain !== null) effects.push({ kind: "send", frame: { type: "worker.drain" } });
  const phase = {
    kind: "serving",
    welcome: frame,
    sinceMs: nowMs,
    heardMs: nowMs,
    listed: null,
    credits: 0,
  } as const;
  return { state: { ...published, hub: hub === "" ? null : hub, phase }, effects };
}
