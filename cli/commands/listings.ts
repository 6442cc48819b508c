import { listingSchema, type Listing } from "../http/answers.ts";
import { readPages } from "../http/pages.ts";
import { count, credits, span } from "../screen/in-words.ts";
import { type Column, writeTable } from "../screen/table.ts";
import { connect } from "../session/connection.ts";
import type { Call } from "../words/parse-command-line.ts";
import { choiceOf, wholeOf } from "../words/values.ts";
import type { World } from "../world.ts";
import { isJson, writeJson } from "./command.ts";
import { listingSorts, sortListings } from "./sort-listings.ts";

const columns: readonly Column[] = [
  { title: "WORKER", canBeCut: true },
  { title: "MODEL", canBeCut: true },
  { title: "PROMPT", align: "right" },
  { title: "ANSWER", align: "right" },
  { title: "FIRST", align: "right" },
  { title: "TOK/S", align: "right" },
  { title: "DONE", align: "right" },
  { title: "CONTEXT", align: "right" },
  { title: "WEIGHTS" },
  { title: "SLOTS", align: "right" },
  { title: "REGION" },
  { title: "STATE" },
];

/** Whoever sorts by another measure than the edge's has to see all of them first. */
const sortedMax = 5_000;

/** What workers offer. */
export async function listings(world: World, call: Call): Promise<number> {
  const { options } = call;
  const sort = choiceOf(options["sort"] ?? "price", "--sort", listingSorts);
  const limit = wholeOf(options["limit"] ?? "50", "--limit", 1, sortedMax);
  const { client } = await connect(world, call);
  const query = {
    model: options["model"],
    region: options["region"],
    online: options["all"] === undefined ? undefined : "false",
  };
  // The edge gives the cheapest first.
  const most = sort === "price" ? limit : sortedMax;
  const found = await readPages(client, {
    path: "/api/v1/listings",
    item: listingSchema,
    most,
    query,
  });
  const shown = sortListings(found, sort).slice(0, limit);
  if (isJson(call)) writeJson(world, { data: shown });
  else if (shown.length === 0) world.terminal.write("No worker offers that now");
  else writeTable(columns, shown.map(cells), world.terminal);
  return 0;
}

function cells(one: Listing): string[] {
  const { measured_first_token_ms: first, measured_decode_tokens_per_s: speed } = one;
  const done = one.measured_success_share;
  return [
    one.worker_id,
    one.model,
    credits(one.input_micros_per_million),
    credits(one.output_micros_per_million),
    first === null ? "-" : span(first),
    speed === null ? "-" : count(Math.round(speed)),
    done === null ? "-" : `${Math.floor(done * 100)} %`,
    count(one.context_tokens),
    one.quantization,
    String(one.slots),
    one.region,
    one.online ? "online" : "offline",
  ];
}
