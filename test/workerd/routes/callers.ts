import {
  keyScopes,
  memberRoles,
  type Permission,
  permissionsByRole,
  permissionsByScope,
} from "../../../shared/permissions.ts";
import { toBase64Url, utf8 } from "../../../shared/crypto/bytes.ts";
import { generateSigningKey } from "../../../shared/crypto/signing.ts";
import { configOf } from "../../../edge/env.ts";
import type { RouteDescription } from "../../../edge/openapi/description.ts";
import { createSession } from "../../../edge/sign-in/session.ts";
import { call, env, operatorKey } from "./edge-client.ts";
import { newMember, newOwner, newPerson } from "./people.ts";

/** Somebody whom the edge knows. */
export interface KnownCaller {
  readonly name: string;
  readonly key: string;
  readonly permissions: ReadonlySet<Permission>;
  readonly isPerson: boolean;
}

/** One caller for each member role and each key scope, all of one account, and who is in none. */
export async function newCallers(): Promise<readonly KnownCaller[]> {
  const owner = await newOwner();
  const { accountId } = owner;
  const callers: KnownCaller[] = [];
  for (const role of memberRoles) {
    const { token } = role === "owner" ? owner : await newMember(owner, role);
    const permissions = permissionsByRole[role];
    callers.push({ name: `member: ${role}`, key: token, permissions, isPerson: true });
  }
  for (const scope of keyScopes) {
    const made = await call("POST /api/v1/keys", {
      body: { account_id: accountId, name: scope, scopes: [scope] },
    });
    const permissions = permissionsByScope[scope];
    const key = String(made.json["key"]);
    callers.push({ name: `key: ${scope}`, key, permissions, isPerson: false });
  }
  const { operator: permissions } = permissionsByScope;
  const { token } = await newPerson();
  return [
    ...callers,
    { name: "the deployment's operator", key: operatorKey, permissions, isPerson: false },
    { name: "a person of no account", key: token, permissions: new Set(), isPerson: true },
  ];
}

/** Whether a route lets somebody in, by what it declares. */
export function isLetIn({ access }: RouteDescription, caller: KnownCaller): boolean {
  if (access === "anyone" || access === "any key") return true;
  if (access === "any person") return caller.isPerson;
  const list: readonly Permission[] = typeof access === "string" ? [access] : access;
  return list.some((permission) => caller.permissions.has(permission));
}

const json = (value: object) => toBase64Url(utf8(JSON.stringify(value)));

/** Tokens that open nothing, each for a reason of its own. */
export async function wrongSessions(): Promise<Record<string, string>> {
  const { id: personId, accountId } = await newOwner();
  const config = configOf(env);
  const startedMs = Date.now();
  const ctx = { config, url: "https://edge.test/", startedMs };
  const session = { personId, accountId };
  const good = await createSession(ctx, session);
  const [head = "", claims = "", signature = ""] = good.split(".");
  const { kid, typ } = JSON.parse(atob(head)) as { kid: string; typ: string };
  const { key: otherKey, privateKey } = await generateSigningKey();
  const theirs = { ...ctx, config: { ...config, edgePrivateKey: privateKey } };
  const [theirHead = "", ...theirRest] = (await createSession(theirs, session)).split(".");
  const theirJwk = { kty: "OKP", crv: "Ed25519", x: otherKey.publicKey };
  const stranger = await newPerson();
  const removed = await newMember(await newOwner(), "admin");
  return {
    expired: await createSession({ ...ctx, startedMs: startedMs - 301_000 }, session),
    "for another edge": await createSession({ ...ctx, url: "https://other.test/" }, session),
    "of another network": await createSession(
      { ...ctx, config: { ...config, network: "public" } },
      session,
    ),
    "signed by another key": [theirHead, ...theirRest].join("."),
    "signed by another key under our key's id": [head, ...theirRest].join("."),
    "with a key of its own": [json({ alg: "EdDSA", typ, kid, jwk: theirJwk }), ...theirRest].join(
      ".",
    ),
    "alg none": `${json({ alg: "none", typ, kid })}.${claims}.`,
    "alg none, signed": `${json({ alg: "none", typ, kid })}.${claims}.${signature}`,
    "signed by the public key as a secret": await hs256(
      `${json({ alg: "HS256", typ, kid })}.${claims}`,
      kid,
    ),
    "of another type": `${json({ alg: "EdDSA", typ: "JWT", kid })}.${claims}.${signature}`,
    "with another role in it": [
      head,
      json({ ...(JSON.parse(atob(claims)) as object), role: "owner", acct: "system" }),
      signature,
    ].join("."),
    "of no member": await createSession(ctx, { personId: stranger.id, accountId }),
    "of another account's member": await createSession(ctx, { personId: removed.id, accountId }),
    "of the network itself": await createSession(ctx, { personId, accountId: "system" }),
    "no token": "a.b.c",
    empty: "..",
  };
}

async function hs256(signed: string, secret: string): Promise<string> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", utf8(secret), algorithm, false, ["sign"]);
  const mac = await crypto.subtle.sign("HMAC", key, utf8(signed));
  return `${signed}.${toBase64Url(new Uint8Array(mac))}`;
}
