/**
 * What a caller may do. Routes ask for one of these; roles and key scopes are sets of them.
 * Everything but `network:operate` is about the caller's own account.
 */
const permissions = [
  "inference",
  "account:read",
  "account:write",
  "keys:read",
  "keys:write",
  "members:read",
  "members:write",
  "money:read",
  "money:write",
  "network:operate",
] as const;
export type Permission = (typeof permissions)[number];

export const memberRoles = [
  "owner",
  "admin",
  "finance",
  "builder",
  "auditor",
  "read-only",
] as const;
export type MemberRole = (typeof memberRoles)[number];

const reads = ["account:read", "keys:read", "members:read", "money:read"] as const;

/**
 * What members of an account may do. Inference takes a key, so that all that is spent has one. Only
 * owners make owners; that rule is with the members.
 */
export const permissionsByRole: Readonly<Record<MemberRole, ReadonlySet<Permission>>> = {
  owner: new Set([...reads, "account:write", "keys:write", "members:write", "money:write"]),
  admin: new Set([...reads, "account:write", "keys:write", "members:write"]),
  finance: new Set(["account:read", "members:read", "money:read", "money:write"]),
  builder: new Set(["account:read", "keys:read", "keys:write"]),
  auditor: new Set(reads),
  "read-only": new Set(["account:read"]),
};

export const keyScopes = ["inference", "management", "read-only", "operator"] as const;
export type KeyScope = (typeof keyScopes)[number];

/** What an API key may do: the union of its scopes. */
export const permissionsByScope: Readonly<Record<KeyScope, ReadonlySet<Permission>>> = {
  // Whoever asks may see what it cost.
  inference: new Set(["inference", "account:read"]),
  management: new Set([...reads, "account:write", "keys:write", "members:write", "money:write"]),
  "read-only": new Set(reads),
  operator: new Set([...reads, "inference", "network:operate"]),
};

/** The permissions of several scopes together. */
export function permissionsOf(scopes: readonly KeyScope[]): ReadonlySet<Permission> {
  return new Set(scopes.flatMap((scope) => [...permissionsByScope[scope]]));
}
