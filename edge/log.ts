import { createLog } from "../shared/log.ts";

/** The edge's log: Cloudflare collects what a Worker prints, one JSON object a line. */
// oxlint-disable-next-line no-console -- the platform's only way to log
export const edgeLog = createLog((line) => console.log(line), "warn");
