import { z } from "zod";
import { createdKeySchema, type Key, keySchema } from "../http/answers.ts";
import { readPages } from "../http/pages.ts";
import { time } from "../screen/in-words.ts";
import { plainLine } from "../screen/plain-text.ts";
import { writeTable } from "../screen/table.ts";
import { connect } from "../session/connection.ts";
import type { Call } from "../words/parse-command-line.ts";
import { endOf, limitsOf, listOf, scopesOf, spanOf, wholeOf } from "../words/values.ts";
import type { World } from "../world.ts";
import { isJson, writeJson } from "./command.ts";

const path = "/api/v1/keys";

const columns = [
  { title: "ID" },
  { title: "NAME", canBeCut: true },
  { title: "STATE" },
  { title: "SCOPES", canBeCut: true },
  { title: "MODELS", canBeCut: true },
  { title: "CREATED" },
  { title: "LAST USED" },
] as const;

export async function listKeys(world: World, call: Call): Promise<number> {
  const most = wholeOf(call.options["limit"] ?? "100", "--limit", 1, 10_000);
  const { client } = await connect(world, call);
  const query = { account_id: call.options["account"] };
  const keys = await readPages(client, { path, item: keySchema, most, query });
  if (isJson(call)) writeJson(world, { data: keys });
  else if (keys.length === 0) world.terminal.write("No keys; octo keys create NAME makes one");
  else
    writeTable(
      columns,
      keys.map((key) => cells(key, world.nowMs())),
      world.terminal,
    );
  return 0;
}

function cells(key: Key, nowMs: number): string[] {
  return [
    key.id,
    key.name,
    stateOf(key, nowMs),
    key.scopes.join(","),
    key.models?.join(",") ?? "all",
    time(key.created_at).slice(0, 10),
    key.last_used_at === undefined ? "-" : time(key.last_used_at),
  ];
}

function stateOf({ revoked_at: revokedAt, expires_at: expiresAt }: Key, nowMs: number): string {
  if (revokedAt !== null) return "revoked";
  if (expiresAt === null) return "active";
  return Date.parse(expiresAt) <= nowMs ? "expired" : `until ${expiresAt.slice(0, 10)}`;
}

export async function createKey(world: World, call: Call): Promise<number> {
  const { args, options } = call;
  const list = (name: string) => {
    const text = options[name];
    return text === undefined ? undefined : listOf(text, `--${name}`);
  };
  const { scopes, expires, limits } = options;
  // What is undefined is not sent: the edge's own defaults count.
  const body = {
    name: args[0],
    account_id: options["account"],
    scopes: scopes === undefined ? undefined : scopesOf(scopes),
    models: list("models"),
    addresses: list("addresses"),
    expires_at: expires === undefined ? undefined : endOf(expires, "--expires", world.nowMs()),
    limits: limits === undefined ? undefined : limitsOf(limits),
    team_id: options["team"],
    project_id: options["project"],
  };
  const { client } = await connect(world, call);
  showOnce(world, call, await client.post(path, createdKeySchema, body));
  return 0;
}

export async function rotateKey(world: World, call: Call): Promise<number> {
  const [id = ""] = call.args;
  const { grace } = call.options;
  const graceMs = grace === undefined || grace === "0" ? 0 : spanOf(grace, "--grace");
  // Nothing said is not the same as none at all: the edge has a default.
  const body = { grace_s: grace === undefined ? undefined : graceMs / 1_000 };
  const { client } = await connect(world, call);
  const answer = await client.post(keyPath(id, "/rotate", call), createdKeySchema, body);
  showOnce(world, call, answer);
  return 0;
}

/** The key on standard output, so that it can be piped to where it is kept; the rest beside it. */
function showOnce(world: World, call: Call, key: z.infer<typeof createdKeySchema>): void {
  if (isJson(call)) return writeJson(world, key);
  const until = key.expires_at === null ? "" : `, until ${time(key.expires_at)}`;
  const scopes = plainLine(key.scopes.join(", "));
  world.terminal.error(`octo: key ${key.id} (${scopes}${until}), shown this once:`);
  world.terminal.write(plainLine(key.key));
}

const revokedSchema = z.looseObject({ id: z.string() });

export async function revokeKey(world: World, call: Call): Promise<number> {
  const [id = ""] = call.args;
  const { client } = await connect(world, call);
  const answer = await client.delete(keyPath(id, "", call), revokedSchema);
  if (isJson(call)) writeJson(world, answer);
  else world.terminal.write(`Key ${plainLine(answer.id, 64)} is revoked`);
  return 0;
}

function keyPath(id: string, verb: "" | "/rotate", { options }: Call): string {
  const of = options["account"];
  const query = of === undefined ? "" : `?account_id=${encodeURIComponent(of)}`;
  return `${path}/${encodeURIComponent(id)}${verb}${query}`;
}
