import { CommandError, UsageError } from "../failures.ts";
import { z } from "zod";
import { EdgeClient } from "../http/edge-client.ts";
import { EdgeError } from "../http/edge-error.ts";
import { askSecret, readSecret } from "../screen/ask-secret.ts";
import { plainLine } from "../screen/plain-text.ts";
import { writtenUrl } from "../session/connection.ts";
import { profilePath, writtenPath } from "../session/folders.ts";
import { readProfile, removeProfile, writeProfile } from "../session/profile.ts";
import { signIn, walletProfile } from "../session/sign-in.ts";
import { createWallet, loadWallet } from "../session/wallet.ts";
import { findDevNetwork } from "../session/dev-network.ts";
import type { Call } from "../words/parse-command-line.ts";
import type { World } from "../world.ts";
import { isJson, writeJson } from "./command.ts";

/** Stores an edge and who one is to it, once the edge has agreed. */
export async function login(world: World, call: Call): Promise<number> {
  const { options } = call;
  const url = await urlToStore(world, call);
  const isWallet = options["wallet"] !== undefined;
  if (!isWallet && (options["new"] ?? options["account"]) !== undefined) {
    throw new UsageError("--new and --account belong to --wallet FILE; see octo login --help");
  }
  if (isWallet && options["key"] !== undefined) {
    throw new UsageError("--wallet and --key are two ways to sign in: give one of them");
  }
  return isWallet ? byWallet(world, call, url) : byKey(world, call, url);
}

async function urlToStore(world: World, { options }: Call): Promise<string> {
  if (options["dev"] !== undefined) {
    const dev = await findDevNetwork(world);
    if (dev !== null) return dev.url;
    throw new CommandError("No network runs in this repository; start one with npm start");
  }
  const written = writtenUrl({ world, options });
  if (written !== null) return written;
  const url = (await readProfile(world))?.url;
  if (url !== undefined) return url;
  throw new UsageError("Which edge? Give octo login its address: --url https://edge.example");
}

const anything = z.unknown();

async function byKey(world: World, call: Call, url: string): Promise<number> {
  const key = await keyToStore(world, call, url);
  if (!/^[\x21-\x7e]{1,4096}$/.test(key)) {
    throw new CommandError("This is no API key: a key is one word, octo_sk_…");
  }
  const { signal } = world.interrupts;
  const client = new EdgeClient({ url, bearer: async () => key, signal });
  // Any key may list models, whatever its scopes.
  await client.get("/v1/models", anything).catch((error: unknown) => {
    if (!(error instanceof EdgeError && error.code === "invalid_api_key")) throw error;
    throw new CommandError(`${url} does not know this key; nothing was stored`, { cause: error });
  });
  await writeProfile(world, { v: 1, url, key });
  said(world, call, { url, path: profilePath(world) });
  return 0;
}

async function keyToStore(world: World, { options }: Call, url: string): Promise<string> {
  const given = options["key"];
  if (given === "-") return readSecret(world);
  if (given !== undefined) return given.trim();
  return (await askSecret(`API key for ${url}`, world)).trim();
}

async function byWallet(world: World, call: Call, url: string): Promise<number> {
  const path = writtenPath(call.options["wallet"] ?? "", world);
  const isNew = call.options["new"] !== undefined;
  const key = isNew ? await createWallet(path) : await loadWallet(path);
  if (isNew)
    world.terminal.error(`octo: made ${path}; whoever has it has your accounts: back it up`);
  const accountId = call.options["account"] ?? null;
  const { signal } = world.interrupts;
  const startedMs = world.nowMs();
  const session = await signIn(url, { key, accountId, signal }).catch((error: unknown) => {
    if (!(error instanceof EdgeError && error.status < 500)) throw error;
    throw new CommandError(
      `${error.message} (public key ${key.publicKey}: an owner or operator adds it to an account)`,
      { cause: error },
    );
  });
  await writeProfile(world, walletProfile({ url, path, accountId, session, startedMs }));
  const accounts = session.accounts.map(({ id }) => plainLine(id, 80));
  said(world, call, { url, path: profilePath(world), public_key: key.publicKey, accounts });
  if (session.account_id === null && !isJson(call)) {
    world.terminal.error(
      accounts.length === 0
        ? `octo: no account has this key yet; tell an owner your public key: ${key.publicKey}`
        : "octo: the session acts for none of them yet; sign in with --account ID",
    );
  }
  return 0;
}

function said(world: World, call: Call, facts: Record<string, unknown>): void {
  if (isJson(call)) return writeJson(world, facts);
  const { accounts } = facts;
  const of = Array.isArray(accounts) && accounts.length > 0 ? ` for ${accounts.join(", ")}` : "";
  world.terminal.write(`Signed in to ${facts["url"]}${of}`);
}

/** Forgets what `login` stored. */
export async function logout(world: World, call: Call): Promise<number> {
  const removed = await removeProfile(world);
  if (isJson(call)) writeJson(world, { removed });
  else
    world.terminal.write(
      removed ? "Signed out; the key itself still works" : "Nobody was signed in",
    );
  return 0;
}
