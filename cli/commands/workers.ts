import { z } from "zod";
import { type TakenWorker, takenWorkerSchema } from "../http/answers.ts";
import { readPages } from "../http/pages.ts";
import { time } from "../screen/in-words.ts";
import { plainLine } from "../screen/plain-text.ts";
import { writeTable } from "../screen/table.ts";
import { connect } from "../session/connection.ts";
import type { Call } from "../words/parse-command-line.ts";
import { wholeOf, workerIdOf } from "../words/values.ts";
import type { World } from "../world.ts";
import { isJson, writeJson } from "./command.ts";

const path = "/api/v1/account/workers";

const columns = [
  { title: "ID" },
  { title: "NAME", canBeCut: true },
  { title: "STATE" },
  { title: "HUB" },
  { title: "LAST SEEN" },
  { title: "MODELS", canBeCut: true },
  { title: "TAKEN ON" },
] as const;

export async function listTakenWorkers(world: World, call: Call): Promise<number> {
  const most = wholeOf(call.options["limit"] ?? "100", "--limit", 1, 10_000);
  const { client } = await connect(world, call);
  const query = { account_id: call.options["account"] };
  const workers = await readPages(client, { path, item: takenWorkerSchema, most, query });
  if (isJson(call)) writeJson(world, { data: workers });
  else if (workers.length === 0) {
    world.terminal.write("No workers; octo workers add ID takes one on");
  } else writeTable(columns, workers.map(cells), world.terminal);
  return 0;
}

function cells({ id, name, seen, taken_at: takenAt }: TakenWorker): string[] {
  const day = time(takenAt).slice(0, 10);
  if (seen === null) return [id, name ?? "-", "never seen", "-", "-", "-", day];
  const models = seen.models.length === 0 ? "-" : seen.models.join(",");
  const state = seen.online ? "online" : "offline";
  return [id, name ?? "-", state, seen.hub, time(seen.last_seen_at), models, day];
}

export async function addWorker(world: World, call: Call): Promise<number> {
  const id = workerIdOf(call.args[0] ?? "");
  const { client } = await connect(world, call);
  // What is undefined is not sent: a name stays as it is.
  const body = { name: call.options["name"] };
  const answer = await client.put(workerPath(id, call), takenWorkerSchema, body);
  if (isJson(call)) writeJson(world, answer);
  else world.terminal.write(`Worker ${plainLine(answer.id, 64)} may earn for the account`);
  return 0;
}

const removedSchema = z.looseObject({ id: z.string() });

export async function removeWorker(world: World, call: Call): Promise<number> {
  const id = workerIdOf(call.args[0] ?? "");
  const { client } = await connect(world, call);
  const answer = await client.delete(workerPath(id, call), removedSchema);
  if (isJson(call)) writeJson(world, answer);
  else world.terminal.write(`Worker ${plainLine(answer.id, 64)} earns for the account no more`);
  return 0;
}

function workerPath(id: string, { options }: Call): string {
  const of = options["account"];
  const query = of === undefined ? "" : `?account_id=${encodeURIComponent(of)}`;
  return `${path}/${encodeURIComponent(id)}${query}`;
}
