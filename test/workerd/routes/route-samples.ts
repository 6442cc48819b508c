import { newId } from "../../../shared/ids.ts";
import { z } from "zod";
import { recordSettlements } from "../../../edge/db/ledger/tasks.ts";
import type { RouteDescription } from "../../../edge/openapi/description.ts";
import { sampleTask } from "../../edge/db/samples.ts";
import { call, openDatabase } from "./edge-client.ts";
import { newMember, newOwner } from "./people.ts";

/** Ids by the word before `:id` in a path. */
export type Ids = Readonly<Record<string, string>>;

/** Ids of things that do not exist: a resource that is new has to be named here. */
export const unknownIds: Ids = {
  accounts: "acct_0000000000000000000000",
  approvals: "apr_0000000000000000000000",
  attestations: `att_${"0".repeat(64)}`,
  invitations: "inv_0000000000000000000000",
  keys: "aaaaaaaa",
  key: "aaaaaaaa",
  members: "A".repeat(43),
  payouts: "pyt_0000000000000000000000",
  projects: "prj_0000000000000000000000",
  tasks: "tsk_0000000000000000000000",
  teams: "team_0000000000000000000000",
  team: "team_0000000000000000000000",
  withdrawals: "wdr_0000000000000000000000",
  workers: "A".repeat(43),
};

const address = `0x${"5".repeat(40)}`;

/** Why a task went where it went, as hubs store it. */
const routeOfTask = {
  strategy: "balanced",
  weights: {},
  sort: null,
  reputationVersion: 1,
  considered: 1,
  excluded: {},
  excludedExamples: [],
  candidates: [],
  workerId: "A".repeat(43),
  explored: false,
  sticky: false,
  inputMicrosPerMillion: 1,
  outputMicrosPerMillion: 1,
};

/** A new account with one thing of each resource that belongs to accounts. */
export async function newBelongings() {
  const owner = await newOwner();
  const { accountId, token: key } = owner;
  const make = async (path: string, body: object, by: string | undefined = key) => {
    const made = await call(`POST ${path}`, { ...(by === undefined ? {} : { key: by }), body });
    if (made.status !== 201) throw new Error(`${path}: ${made.text}`);
    return String(made.json["id"]);
  };
  const member = await newMember(owner, "builder");
  const taskId = newId("tsk");
  await using db = openDatabase();
  const tasks = [sampleTask({ id: taskId, accountId, route: JSON.stringify(routeOfTask) })];
  await recordSettlements(db, { tasks, attempts: [], transfers: [], receipts: [] });
  const made = await call("POST /api/v1/keys", { body: { account_id: accountId, name: "k" } });
  const keyId = String(made.json["id"]);
  const credit = { amount_micros: 1_000_000 };
  await call(`POST /api/v1/accounts/${accountId}/credits`, { body: credit });
  const teamId = await make("/api/v1/teams", { name: "research" });
  const ids: Ids = {
    accounts: accountId,
    invitations: await make("/api/v1/invitations", { name: "Bob", role: "builder" }),
    keys: keyId,
    key: keyId,
    members: member.id,
    projects: await make("/api/v1/projects", { name: "search" }),
    tasks: taskId,
    teams: teamId,
    team: teamId,
    workers: await takeOn(owner, "B".repeat(43)),
    withdrawals: await make("/api/v1/withdrawals", { amount_micros: 1_000_000, address }),
  };
  return { owner, ids };
}

async function takeOn({ token: key }: { readonly token: string }, id: string): Promise<string> {
  const { status, text } = await call(`PUT /api/v1/account/workers/${id}`, { key, body: {} });
  if (status !== 200) throw new Error(`the worker was not taken on: ${text}`);
  return id;
}

/** Whether a route makes what its path names: then there is nothing that it could not find. */
export function makesWhatItNames({ name }: RouteDescription): boolean {
  return name === "takeOnWorker";
}

/** A call of a route on things of these ids; a route of a resource without one cannot be tested. */
export function callOn(route: RouteDescription, ids: Ids): string {
  const resource = resourceOf(route);
  const id = resource === null ? "" : ids[resource];
  if (id === undefined) throw new Error(`route-samples.ts has no id of ${resource}: ${route.path}`);
  const path = route.path
    .replace(":id", id)
    .replace(":month", "2020-01")
    .replace(":asset", "GOLD")
    .replace(":hash", "0".repeat(64))
    .replace(/:name\{.*\}$/, "a-model");
  const rest = /:\w+/.exec(path)?.[0];
  if (rest !== undefined) throw new Error(`route-samples.ts knows no ${rest} of ${route.path}`);
  return `${route.method.toUpperCase()} ${path}${queryOf(path)}`;
}

/** What some routes cannot be called without. */
function queryOf(path: string): string {
  if (path.endsWith("/stream")) return "?last_event_id=weur:0:0";
  return path.endsWith("/proof") ? `?address=${address}` : "";
}

export function resourceOf(route: RouteDescription): string | null {
  return /([^/]+)\/:id/.exec(route.path)?.[1] ?? null;
}

/** The body that the document shows for a route; every JSON route that takes one shows one. */
export function exampleBody({ body }: RouteDescription): Record<string, unknown> | undefined {
  if (body === undefined) return undefined;
  const [example] = (body.meta()?.examples ?? []) as Record<string, unknown>[];
  if (example === undefined) throw new Error(`no example of ${body.meta()?.id}`);
  return example;
}

/** The fields a body has, and whether it takes others. */
export function fieldsOf(body: z.ZodType): { fields: readonly string[]; isStrict: boolean } {
  const whole = z.toJSONSchema(body, { io: "input" });
  // A schema with a name is given as a reference to it.
  const name = body.meta()?.id;
  const schema = (name === undefined ? undefined : whole.$defs?.[name]) ?? whole;
  return {
    fields: Object.keys(schema.properties ?? {}),
    isStrict: schema.additionalProperties === false,
  };
}
