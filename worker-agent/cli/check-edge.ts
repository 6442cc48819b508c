import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { workerUrl } from "../agent.ts";
import { HubSocket } from "../connection/hub-socket.ts";
import { versionRefusal } from "../connection/greeting.ts";
import { agentName } from "../version.ts";
import { closeCodes } from "../../shared/protocol/close-codes.ts";
import { decodeDown } from "../../shared/protocol/codec.ts";
import type { Check } from "./check.ts";
import { networkFault } from "./network-fault.ts";

/**
 * A hub that sleeps at the other end of the world greets within a second; this is patience for a
 * bad line.
 */
const greetWithinMs = 10_000;
/** Receipts carry times, and the edge disputes those from another minute. */
const clockSkewMsMax = 30_000;

/** Whether the edge can be reached and greets workers in our version, and whose clock is right. */
export async function checkEdge(
  edge: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Check[]> {
  const proxies = checkProxies(env);
  const reached = await reach(edge);
  if (reached.kind === "fault") return [...proxies, reached.check];
  return [...proxies, await checkGreeting(edge), checkClock(reached)];
}

const proxyNames = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"];

/** A worker dials by itself: where only a proxy leads out, its socket cannot. */
export function checkProxies(env: Readonly<Record<string, string | undefined>>): Check[] {
  const names = proxyNames.flatMap((name) => [name, name.toLowerCase()]);
  const set = names.filter((name) => (env[name] ?? "") !== "");
  if (set.length === 0) return [];
  const found = `${set.join(", ")} ${set.length === 1 ? "is" : "are"} set, and not used`;
  const remedy = "octo-worker dials the edge directly: let the firewall pass it";
  return [{ name: "Proxy", found, remedy, isWarning: true }];
}

type Reached =
  | { readonly kind: "fault"; readonly check: Check }
  | {
      readonly kind: "reached";
      readonly dateHeader: string | null;
      /** When the edge wrote its answer, by our clock, at the earliest and the latest. */
      readonly sentMs: number;
      readonly heardMs: number;
    };

/** One plain request: what keeps it from the edge keeps the socket too, and tells more of why. */
async function reach(edge: string): Promise<Reached> {
  const sentMs = Date.now();
  try {
    const dateHeader = await askForDate(new URL(edge));
    return { kind: "reached", dateHeader, sentMs, heardMs: Date.now() };
  } catch (error) {
    const { found, remedy } = networkFault(new URL(edge), error);
    return { kind: "fault", check: { name: "Edge", found, remedy } };
  }
}

/** Not by fetch, which refuses some ports that sockets may use. */
function askForDate(edge: URL): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(greetWithinMs);
    const send = edge.protocol === "https:" ? httpsRequest : httpRequest;
    const asked = send(edge, { method: "HEAD", agent: false, signal }, (response) => {
      response.resume();
      resolve(response.headers.date ?? null);
    });
    asked.once("error", reject);
    asked.end();
  });
}

async function checkGreeting(edge: string): Promise<Check> {
  const startedMs = performance.now();
  const { challenge, failure } = await greet(workerUrl(edge));
  if (challenge === null) {
    const remedy =
      "it answers plain requests: is it an edge, and does everything on the way let " +
      "WebSockets through?";
    return { name: "Edge", found: `${edge} takes no workers: ${failure}`, remedy };
  }
  const refusal = versionRefusal(challenge);
  const ms = Math.round(performance.now() - startedMs);
  const found = `${edge} greets as ${challenge.hub}, ${challenge.network} network, in ${ms} ms`;
  return { name: "Edge", found, remedy: refusal };
}

type Greeting =
  | { readonly challenge: null; readonly failure: string }
  | { readonly challenge: Parameters<typeof versionRefusal>[0] & Hub; readonly failure: null };
interface Hub {
  readonly hub: string;
  readonly network: string;
}

async function greet(url: string): Promise<Greeting> {
  let timer: NodeJS.Timeout | undefined;
  let socket: HubSocket | undefined;
  const greeting = await new Promise<Greeting>((resolve) => {
    const fail = (failure: string) => resolve({ challenge: null, failure });
    timer = setTimeout(() => fail(`no greeting within ${greetWithinMs / 1_000} s`), greetWithinMs);
    socket = new HubSocket(url, agentName, {
      opened: () => undefined,
      received: (data) => {
        const decoded = decodeDown(data);
        if (decoded.kind === "frame" && decoded.frame.type === "auth.challenge") {
          resolve({ challenge: decoded.frame, failure: null });
        } else fail("it does not greet like an edge");
      },
      closed: (code, reason) => fail(reason === "" ? `it closed with ${code}` : reason),
    });
  });
  clearTimeout(timer);
  await socket?.hangUp(closeCodes.done, "only looking");
  return greeting;
}

/** Our clock against the edge's `Date` (RFC 9110, section 6.6.1), which counts whole seconds. */
export function checkClock(told: {
  readonly dateHeader: string | null;
  readonly sentMs: number;
  readonly heardMs: number;
}): Check {
  const theirMs = Date.parse(told.dateHeader ?? "");
  if (Number.isNaN(theirMs)) {
    return { name: "Clock", found: "not compared: the edge tells no time", remedy: null };
  }
  // Within the request and their second nothing is off.
  const aheadMs = Math.max(0, told.sentMs - (theirMs + 999));
  const behindMs = Math.max(0, theirMs - told.heardMs);
  const seconds = Math.round(Math.max(aheadMs, behindMs) / 1_000);
  const side = aheadMs > 0 ? "ahead of" : "behind";
  const found = seconds === 0 ? "as the edge's" : `${seconds} s ${side} the edge's`;
  const isOff = Math.max(aheadMs, behindMs) > clockSkewMsMax;
  const remedy = isOff ? "set it by a time server (timedatectl set-ntp true on Linux)" : null;
  return { name: "Clock", found, remedy, isWarning: true };
}
