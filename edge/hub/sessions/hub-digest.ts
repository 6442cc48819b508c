import { digestOf, type HubDigest } from "../../directory/digest.ts";
import { regionOfHub } from "../../directory/hub-name.ts";
import type { HubState } from "../hub-state.ts";
import { isShut } from "./move-workers.ts";

/** What a hub with so many sockets tells its directory. */
export function hubDigest(state: HubState, sockets: number, nowMs: number): HubDigest {
  const { id: hubId, sessionsMax } = state.config;
  const region = regionOfHub(hubId);
  const digest = digestOf({ hubId, region, atMs: nowMs, sessionsMax }, state.sessions.values());
  return { ...digest, sessions: sockets, isMoving: isShut(state, nowMs) };
}
