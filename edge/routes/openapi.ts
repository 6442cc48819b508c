import { Hono } from "hono";
import type { AppEnv } from "../app-env.ts";
import { openApiDescription } from "../openapi/description.ts";
import { openApiDocument } from "../openapi/document.ts";
import { descriptions } from "./descriptions.ts";

let text: string | null = null;

/**
 * `GET /openapi.json`. Written on the first request of an isolate: it never changes, and no other
 * request waits.
 */
export const openApiRoutes = new Hono<AppEnv>().get(openApiDescription.path, () => {
  text ??= JSON.stringify(openApiDocument(descriptions));
  return new Response(text, {
    headers: { "content-type": "application/json", "cache-control": "public, max-age=300" },
  });
});
