import { z } from "zod";
import { describeError } from "../../../shared/log.ts";
import { regions, type Region } from "../../../shared/regions.ts";
import type { Context } from "../../context.ts";
import { edgeLog } from "../../log.ts";
import { directoryObject, hubObject } from "../../objects.ts";
import { defineRoute, type Route } from "../route.ts";

/**
 * Nearly every answer is over within a minute; who deploys waits for the rest only where they say
 * so.
 */
const withinMsDefault = 60_000;
const withinMsMax = 30 * 60_000;

const drainedSchema = z
  .object({
    object: z.literal("hub"),
    id: z.string(),
    workers: z
      .int()
      .nullable()
      .meta({ description: "Sent elsewhere; null where it did not answer" }),
  })
  .meta({ id: "DrainedHub" });

/** The hubs, for operators. */
export const hubRoutes: readonly Route[] = [
  defineRoute({
    name: "drainHubs",
    method: "post",
    path: "/api/v1/hubs/drain",
    summary: "Send the workers of a region's hubs elsewhere",
    about:
      "Before a deployment, which says no goodbye. Idle workers are told at once to come back, " +
      "spread over some seconds; the others once what they run has ended, at the latest after " +
      "`within_ms`. A drained hub takes workers again once it is empty. Without a region, all.",
    access: "network:operate",
    body: z
      .strictObject({
        region: z.enum(regions).optional(),
        within_ms: z.int().min(0).max(withinMsMax).default(withinMsDefault),
      })
      .meta({ id: "HubDrain", examples: [{ region: "weur" }] }),
    answer: z
      .object({ object: z.literal("list"), data: z.array(drainedSchema) })
      .meta({ id: "DrainedHubs" }),
    async handle({ ctx, body: { region, within_ms: withinMs } }) {
      const wanted = region === undefined ? regions : [region];
      const hubIds = await Promise.all(wanted.map((one) => hubsIn(ctx, one)));
      const data = await Promise.all(hubIds.flat().map((id) => drainHub(ctx, id, withinMs)));
      return { object: "list", data };
    },
  }),
];

async function hubsIn(ctx: Context, region: Region): Promise<string[]> {
  const digests = await directoryObject(ctx.env, region).digests();
  return digests.map(({ hubId }) => hubId);
}

async function drainHub(
  ctx: Context,
  id: string,
  withinMs: number,
): Promise<z.infer<typeof drainedSchema>> {
  try {
    return { object: "hub", id, workers: await hubObject(ctx.env, id).drain(withinMs) };
  } catch (error) {
    // One hub that is gone must not keep the others from being drained.
    edgeLog("warn", "hub not drained", { hub: id, error: describeError(error) });
    return { object: "hub", id, workers: null };
  }
}
