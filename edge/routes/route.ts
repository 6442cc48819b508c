import type { Context as HonoContext } from "hono";
import { z } from "zod";
import type { AppEnv } from "../app-env.ts";
import { type CsvFile, toCsv } from "../../shared/csv.ts";
import type { Caller, Context } from "../context.ts";
import type { RouteAccess, RouteDescription } from "../openapi/description.ts";
import { assertMayCall } from "./access.ts";
import { countedCaller } from "./active-caller.ts";
import { checked, parseBody, readText } from "./read-body.ts";

/** What a route's handler gets, all of it checked. */
export interface RouteInput<Params, Query, Body> {
  readonly ctx: Context;
  readonly caller: Caller;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly idempotencyKey: string | null;
  /** Any other request header, by its lower-case name. */
  readonly header: (name: string) => string | null;
}

/**
 * A route as its file writes it: its description is what is checked, and its answer is what is
 * described.
 */
interface RouteSpec<Params, Query, Body, Answer> extends RouteDescription {
  readonly access: Exclude<RouteAccess, "anyone">;
  readonly params?: z.ZodType<Params>;
  readonly query?: z.ZodType<Query>;
  readonly body?: z.ZodType<Body>;
  readonly answer: z.ZodType<Answer>;
  readonly handle: (input: RouteInput<Params, Query, Body>) => Promise<Answer>;
  /** The answer as a file, where the query has `format` and it is `csv`. */
  readonly csv?: (answer: NoInfer<Answer>) => CsvFile;
}

/** A described route with the function that answers it. */
export interface Route {
  readonly description: RouteDescription;
  readonly respond: (c: HonoContext<AppEnv>) => Promise<Response>;
}

const idempotencyKeyField = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, "1 to 255 visible ASCII characters")
  .nullable();

const nothing = z.strictObject({});

/**
 * A JSON route: authenticates, checks path, query and body against the schemas, and answers what
 * `handle` gives. Who may call comes first, so that a stranger learns nothing from what is wrong
 * with the rest.
 */
export function defineRoute<Params, Query, Body, Answer>(
  spec: RouteSpec<Params, Query, Body, Answer>,
): Route {
  const params = (spec.params ?? nothing) as z.ZodType<Params>;
  const query = (spec.query ?? nothing) as z.ZodType<Query>;
  return {
    description: spec.csv === undefined ? spec : { ...spec, textAnswers: ["text/csv"] },
    async respond(c) {
      const caller = await countedCaller(c);
      assertMayCall(caller, spec.access);
      const asked = single(c.req.queries());
      const answer = await spec.handle({
        ctx: c.get("ctx"),
        caller,
        params: checked(c.req.param(), params, "The path"),
        query: checked(asked, query, "The query"),
        body: (spec.body && parseBody(await readText(c.req.raw), spec.body)) as Body,
        idempotencyKey: checked(
          c.req.header("idempotency-key") ?? null,
          idempotencyKeyField,
          "Idempotency-Key",
        ),
        header: (name) => c.req.header(name) ?? null,
      });
      if (spec.csv !== undefined && asked["format"] === "csv") return csvAnswer(spec.csv(answer));
      return Response.json(answer, { status: spec.status ?? 200 });
    },
  };
}

function csvAnswer(file: CsvFile): Response {
  return new Response(toCsv(file), {
    headers: {
      "content-type": "text/csv; charset=utf-8; header=present",
      "content-disposition": `attachment; filename="${file.name}"`,
    },
  });
}

/**
 * A parameter given twice stays a list, which no schema takes: none of its values is silently
 * ignored.
 */
function single(values: Record<string, string[]>): Record<string, string | string[] | undefined> {
  return Object.fromEntries(
    Object.entries(values).map(([name, list]) => [name, list.length === 1 ? list[0] : list]),
  );
}
