import { z } from "zod";
import type { ErrorCode } from "../../shared/errors.ts";
import type { Permission } from "../../shared/permissions.ts";

/** Who may call: holders of a permission, or of one of several; a person; anybody with a key. */
export type RouteAccess =
  | "anyone"
  /** Any API key, and any session. */
  | "any key"
  /** Whoever is signed in, whatever their role. */
  | "any person"
  | Permission
  | readonly Permission[];

/** What is said about a route, to its callers and to the code that checks and answers them. */
export interface RouteDescription {
  /** What clients made from the document call it: `createAccount`. */
  readonly name: string;
  readonly method: "get" | "post" | "put" | "patch" | "delete";
  /** As the router takes it: `/api/v1/accounts/:id`. */
  readonly path: string;
  readonly summary: string;
  readonly about?: string;
  /** Who may call. */
  readonly access: RouteAccess;
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  /** Request headers by name, each with what it does. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: z.ZodType;
  /** What the body comes as; `json` unless said. */
  readonly bodyForm?: "json" | "multipart";
  /** The status of a success; 200 unless said. */
  readonly status?: 200 | 101 | 201;
  /** The body of a success; null where there is none. */
  readonly answer: z.ZodType | null;
  /** Each event of a streamed answer, where the route streams on request. */
  readonly event?: z.ZodType;
  /** The types of answers that are plain text, where the request may ask for one. */
  readonly textAnswers?: readonly string[];
  /** Response headers by name, each with what it says. */
  readonly answerHeaders?: Readonly<Record<string, string>>;
  /** What can go wrong beyond what every route of this access answers. */
  readonly errors?: readonly ErrorCode[];
}

export const openApiDescription: RouteDescription = {
  name: "readOpenApi",
  method: "get",
  path: "/openapi.json",
  summary: "This document",
  access: "anyone",
  answer: z.record(z.string(), z.unknown()).meta({ id: "OpenApiDocument" }),
};
