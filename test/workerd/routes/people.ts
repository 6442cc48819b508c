import { generateSigningKey, type SigningKey } from "../../../shared/crypto/signing.ts";
import type { MemberRole } from "../../../shared/permissions.ts";
import { call } from "./edge-client.ts";

/** Signs a challenge as a wallet does; gives the answer of the edge. */
export async function signIn(wallet: SigningKey, accountId?: string) {
  const asked = await call("POST /api/v1/auth/challenge", {
    key: null,
    body: { public_key: wallet.publicKey },
  });
  const challenge = String(asked.json["challenge"]);
  const signature = await wallet.sign("octo-sign-in-v1", challenge);
  const chosen = accountId === undefined ? {} : { account_id: accountId };
  return call("POST /api/v1/auth/token", { key: null, body: { challenge, signature, ...chosen } });
}

/** The token of a new session. */
export async function sessionOf(wallet: SigningKey, accountId?: string): Promise<string> {
  const answer = await signIn(wallet, accountId);
  if (answer.status !== 200) throw new Error(answer.text);
  return String(answer.json["access_token"]);
}

export interface Person {
  readonly wallet: SigningKey;
  readonly id: string;
  /** Acts for the account they were made a member of, or for none. */
  readonly token: string;
}

/** Somebody who has signed in and is in no account. */
export async function newPerson(): Promise<Person> {
  const { key: wallet } = await generateSigningKey();
  return { wallet, id: wallet.publicKey, token: await sessionOf(wallet) };
}

/** Somebody with an account of their own. */
export async function newOwner(): Promise<Person & { readonly accountId: string }> {
  const person = await newPerson();
  const made = await call("POST /api/v1/accounts/own", {
    key: person.token,
    body: { name: "Own" },
  });
  const accountId = String(made.json["id"]);
  return { ...person, accountId, token: await sessionOf(person.wallet, accountId) };
}

/** A new member of an account, made by its owner. */
export async function newMember(
  owner: Person & { readonly accountId: string },
  role: MemberRole,
): Promise<Person> {
  const person = await newPerson();
  const body = { person_id: person.id, role };
  const added = await call("POST /api/v1/members", { key: owner.token, body });
  if (added.status !== 201) throw new Error(added.text);
  return { ...person, token: await sessionOf(person.wallet, owner.accountId) };
}
