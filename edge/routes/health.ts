import { Hono } from "hono";
import { z } from "zod";
import { OctoError } from "../../shared/errors.ts";
import { describeError } from "../../shared/log.ts";
import type { AppEnv } from "../app-env.ts";
import { regionOfRequest } from "../context.ts";
import { databaseOf } from "../database.ts";
import { findAccount } from "../db/people/accounts.ts";
import { configOf, type Env } from "../env.ts";
import { edgeLog } from "../log.ts";
import { directoryObject } from "../objects.ts";
import type { RouteDescription } from "../openapi/description.ts";
import { systemAccountId } from "./active-caller.ts";

/**
 * Load balancers give up after five seconds or more; a part that takes half of that is not ready.
 */
const answerWithinMs = 2_500;

/**
 * Whether this edge is up, and whether what it needs is. Mounted before anything that needs the
 * configuration.
 */
export const healthRoutes = new Hono<AppEnv>()
  .get("/healthz", (c) => c.json({ status: "ok" }))
  .get("/readyz", async (c) => {
    const failed = await failingParts(c.env, c.req.raw);
    if (failed.length === 0) return c.json({ status: "ready" });
    throw new OctoError("unavailable", `Not ready: failed parts are ${failed.join(", ")}`);
  });

export const healthDescriptions: readonly RouteDescription[] = [
  {
    name: "readHealth",
    method: "get",
    path: "/healthz",
    summary: "Whether the edge answers at all",
    access: "anyone",
    answer: z.object({ status: z.literal("ok") }).meta({ id: "Health" }),
  },
  {
    name: "readReadiness",
    method: "get",
    path: "/readyz",
    summary: "Whether the edge and all it needs can serve",
    about:
      "Where not, the message names the parts that failed: configuration, database, directory.",
    access: "anyone",
    answer: z.object({ status: z.literal("ready") }).meta({ id: "Readiness" }),
    errors: ["unavailable"],
  },
];

/**
 * The parts that failed, by name: why is for the log, as reasons may name what is nobody's
 * business.
 */
async function failingParts(env: Env, request: Request): Promise<string[]> {
  const parts: [string, () => Promise<unknown>][] = [
    ["configuration", async () => configOf(env)],
    [
      "database",
      async () => {
        await using db = databaseOf(env);
        return await findAccount(db, systemAccountId);
      },
    ],
    ["directory", () => directoryObject(env, regionOfRequest(request, configOf(env))).digests()],
  ];
  const results = await Promise.all(
    parts.map(async ([name, check]) => {
      try {
        await Promise.race([check(), late()]);
        return [];
      } catch (error) {
        edgeLog("error", "not ready", { part: name, error: describeError(error) });
        return [name];
      }
    }),
  );
  // Without a configuration nothing else can be tried.
  return results.flat().includes("configuration") ? ["configuration"] : results.flat();
}

async function late(): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, answerWithinMs));
  throw new Error(`no answer within ${answerWithinMs} ms`);
}
