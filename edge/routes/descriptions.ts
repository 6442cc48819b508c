import { openApiDescription, type RouteDescription } from "../openapi/description.ts";
import { apiRoutes } from "./api-routes.ts";
import { inferenceDescriptions } from "./inference/describe-inference.ts";
import { resultDescriptions } from "./inference/describe-results.ts";
import { depositNoticeDescription } from "./money/deposits.ts";
import { healthDescriptions } from "./health.ts";
import { modelDescriptions } from "./inference/models.ts";
import { streamDescription } from "./inference/stream.ts";
import { workerDescription } from "./network/worker.ts";

/** Every route of the edge, in the order in which the document shows them. */
export const descriptions: readonly RouteDescription[] = [
  ...inferenceDescriptions,
  ...resultDescriptions,
  ...modelDescriptions,
  streamDescription,
  ...apiRoutes.map(({ description }) => description),
  depositNoticeDescription,
  workerDescription,
  ...healthDescriptions,
  openApiDescription,
];

/** The methods a path can be called with; none where there is no such path. */
export function allowedMethods(path: string): string[] {
  const methods = descriptions
    .filter((description) => patternOf(description.path).test(path))
    .map(({ method }) => method.toUpperCase());
  if (methods.length === 0) return [];
  return [...new Set([...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"])];
}

function patternOf(path: string): RegExp {
  const pattern = path
    .replaceAll(".", "\\.")
    .replace(/:\w+\{\\\.\+\}/g, ".+")
    .replace(/:\w+/g, "[^/]+");
  return new RegExp(`^${pattern}$`);
}
