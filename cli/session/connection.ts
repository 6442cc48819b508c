import { CommandError, UsageError } from "../failures.ts";
import { EdgeClient } from "../http/edge-client.ts";
import type { Call } from "../words/parse-command-line.ts";
import type { World } from "../world.ts";
import { type DevNetwork, findDevNetwork } from "./dev-network.ts";
import { edgeUrlOf } from "./edge-url.ts";
import { type Profile, readProfile } from "./profile.ts";
import { walletToken } from "./sign-in.ts";

/*
 * C1. A stored secret goes to the edge it was stored for, and to no other: with another --url a
 *     key has to come with it.
 * C2. Options count before variables, those before what login stored, and that before a network
 *     that happens to run here; the last is said.
 */

/** Which edge is asked, and as whom. */
export interface Connection {
  readonly url: string;
  readonly client: EdgeClient;
  /** Where the key comes from, in words. */
  readonly identity: string;
  readonly bearer: () => Promise<string>;
}

interface Sources {
  readonly world: World;
  readonly options: Call["options"];
  /** Whether a local network's operator asks. */
  readonly isOperators: boolean;
}

/** Finds the edge and who one is to it. Throws UsageError and CommandError with what to do. */
export async function connect(
  world: World,
  { options }: Pick<Call, "options">,
  isOperators = false,
): Promise<Connection> {
  const sources = { world, options, isOperators };
  const isDev = options["dev"] !== undefined;
  if (isDev && options["url"] !== undefined) {
    throw new UsageError("--dev and --url name two edges: give one of them");
  }
  const profile = isDev ? null : await readProfile(world);
  const written = isDev ? null : writtenUrl(sources);
  const stored = written ?? profile?.url ?? null;
  // Its keys are for its own URL, written out or not.
  const isDevMeant = stored === null || (written !== null && !hasKey(sources));
  const dev = isDevMeant ? await findDevNetwork(world) : null;
  const url = stored ?? dev?.url;
  if (url === undefined) throw nowhere(isDev);
  if (stored === null && dev !== null && !isDev) {
    const { paintBeside } = world.terminal;
    world.terminal.error(
      paintBeside("dim", `octo: asking ${dev.url}, which runs here (${dev.path})`),
    );
  }
  const { identity, bearer } = identityOf(sources, { url, profile, dev });
  const client = new EdgeClient({ url, bearer, signal: world.interrupts.signal });
  return { url, client, identity, bearer };
}

/** The URL that the command line or a variable names. */
export function writtenUrl({ world, options }: Omit<Sources, "isOperators">): string | null {
  const isInsecure = options["insecure"] !== undefined;
  const option = options["url"];
  if (option !== undefined) return edgeUrlOf(option, "--url", isInsecure);
  const variable = world.env["OCTO_URL"] ?? "";
  return variable === "" ? null : edgeUrlOf(variable, "OCTO_URL", isInsecure);
}

function hasKey({ options, world }: Sources): boolean {
  return options["key"] !== undefined || (world.env["OCTO_API_KEY"] ?? "") !== "";
}

interface Known {
  readonly url: string;
  readonly profile: Profile | null;
  readonly dev: DevNetwork | null;
}

function identityOf({ world, options, isOperators }: Sources, { url, profile, dev }: Known) {
  const given = options["key"];
  if (given === "-") throw new UsageError("--key - reads a key for octo login alone");
  if (given !== undefined) return byKey(given, "--key");
  const variable = world.env["OCTO_API_KEY"] ?? "";
  if (variable !== "" && options["dev"] === undefined) return byKey(variable, "OCTO_API_KEY");
  if (profile?.url === url) {
    if ("key" in profile) return byKey(profile.key, "octo login");
    return {
      identity: `wallet ${profile.wallet.path}`,
      bearer: () => walletToken(world, profile),
    };
  }
  if (dev?.url === url) {
    return isOperators
      ? byKey(dev.operatorKey, "the local network's operator")
      : byKey(dev.apiKey, "the local network's consumer");
  }
  throw new CommandError(
    `There is no key for ${url}; run octo login --url ${url}, or set OCTO_API_KEY`,
  );
}

function byKey(text: string, identity: string) {
  const key = text.trim();
  // A header takes visible characters alone; anything else is no key, and must not be shown.
  if (!/^[\x21-\x7e]{1,4096}$/.test(key)) {
    throw new UsageError(`Cannot use the key from ${identity}: it must be one word, octo_sk_…`);
  }
  return { identity, bearer: async () => key };
}

function nowhere(isDev: boolean): CommandError {
  if (isDev) {
    return new CommandError("No network runs in this repository; start one with npm start");
  }
  return new CommandError(
    "No edge is known; run octo login --url https://…, set OCTO_URL, or start one with npm start",
  );
}
