import type { z } from "zod";
import type { Context } from "../context.ts";
import type { RouteDescription } from "../openapi/description.ts";
import { parseBody, readText } from "./read-body.ts";
import type { Route } from "./route.ts";

interface PublicRouteSpec<Body, Answer> extends RouteDescription {
  readonly access: "anyone";
  readonly body: z.ZodType<Body>;
  readonly answer: z.ZodType<Answer>;
  readonly handle: (input: { readonly ctx: Context; readonly body: Body }) => Promise<Answer>;
}

/** A JSON route that nobody has to be known for: what proves the caller is in the body. */
export function definePublicRoute<Body, Answer>(spec: PublicRouteSpec<Body, Answer>): Route {
  return {
    description: spec,
    async respond(c) {
      const body = parseBody(await readText(c.req.raw), spec.body);
      const answer = await spec.handle({ ctx: c.get("ctx"), body });
      return Response.json(answer, { status: spec.status ?? 200 });
    },
  };
}
