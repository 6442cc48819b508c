import { OctoError } from "../../shared/errors.ts";
import { assertMay, beyondPermissions } from "../authenticate.ts";
import type { Caller } from "../context.ts";
import type { RouteAccess } from "../openapi/description.ts";

/** Refuses a caller whom a route does not let in. */
export function assertMayCall(caller: Caller, access: Exclude<RouteAccess, "anyone">): void {
  if (access === "any key") return;
  if (access === "any person") {
    if (caller.personId !== null) return;
    throw new OctoError("insufficient_scope", "This is for people: sign in, and send the session");
  }
  if (typeof access === "string") {
    assertMay(caller, access);
    return;
  }
  if (access.some((permission) => caller.permissions.has(permission))) return;
  throw beyondPermissions(caller, access.join(" or "));
}
