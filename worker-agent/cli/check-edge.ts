import { workerUrl } from "../agent.ts";
import type { Config } from "../config.ts";
import { HubSocket } from "../connection/hub-socket.ts";
import { versionRefusal } from "../connection/greeting.ts";
import { agentName } from "../version.ts";
import { closeCodes } from "../../shared/protocol/close-codes.ts";
import { decodeDown } from "../../shared/protocol/codec.ts";
import type { Check } from "./check.ts";

/**
 * A hub that sleeps at the other end of the world greets within a second; this is patience for a
 * bad line.
 */
const greetWithinMs = 10_000;
/** Receipts carry times, and the edge disputes those from another minute. */
const clockSkewMsMax = 60_000;

/** Whether the edge greets workers in a version we speak, and whether our clocks agree. */
export async function checkEdge(config: Config): Promise<Check[]> {
  return [await checkGreeting(config.edge), await checkClock(config.edge)];
}

async function checkGreeting(edge: string): Promise<Check> {
  const startedMs = performance.now();
  const { challenge, failure } = await greet(workerUrl(edge));
  if (challenge === null) {
    const remedy = "check --edge, and that this machine's firewall lets it out";
    return { name: "Edge", found: `${edge}: ${failure}`, remedy };
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

async function checkClock(edge: string): Promise<Check> {
  try {
    const signal = AbortSignal.timeout(greetWithinMs);
    const response = await fetch(edge, { method: "HEAD", redirect: "manual", signal });
    const theirMs = Date.parse(response.headers.get("date") ?? "");
    if (Number.isNaN(theirMs))
      return { name: "Clock", found: "the edge tells no time", remedy: null };
    const skewMs = Math.abs(Date.now() - theirMs);
    const found = `${Math.round(skewMs / 1_000)} s from the edge's`;
    const remedy = skewMs > clockSkewMsMax ? "set the clock, best by a time server" : null;
    return { name: "Clock", found, remedy };
  } catch {
    // The edge cannot be reached, which the check before this one says.
    return { name: "Clock", found: "not compared: the edge is out of reach", remedy: null };
  }
}
