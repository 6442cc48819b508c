import type { Model } from "../http/answers.ts";
import { count, credits } from "../screen/in-words.ts";
import { type Column, writeTable } from "../screen/table.ts";
import { connect } from "../session/connection.ts";
import { readModels } from "../talk/find-model.ts";
import type { Call } from "../words/parse-command-line.ts";
import type { World } from "../world.ts";
import { isJson, writeJson } from "./command.ts";

const columns: readonly Column[] = [
  { title: "MODEL", canBeCut: true },
  { title: "DOES", canBeCut: true },
  { title: "CONTEXT", align: "right" },
  { title: "WEIGHTS" },
  { title: "PROMPT", align: "right" },
  { title: "ANSWER", align: "right" },
  { title: "TOK/S", align: "right" },
  { title: "FREE", align: "right" },
  { title: "REGIONS", canBeCut: true },
];

/** Abilities that tell what a model is for; the rest are details of --json. */
const purposes = [
  "chat",
  "completions",
  "embeddings",
  "rerank",
  "classification",
  "transcription",
  "images",
];

/** What can be asked for now. */
export async function models(world: World, call: Call): Promise<number> {
  const { client } = await connect(world, call);
  const found = await readModels(client, world);
  if (isJson(call)) writeJson(world, { data: found });
  else if (found.length === 0) world.terminal.write("No model is served now");
  else writeTable(columns, found.map(cells), world.terminal);
  return 0;
}

function cells({ id, octo }: Model): string[] {
  const speed = octo.measured?.decode_tokens_per_s ?? null;
  return [
    id,
    purposes.filter((purpose) => octo.abilities.includes(purpose)).join(","),
    count(octo.context_tokens),
    octo.quantization,
    credits(octo.input_micros_per_million),
    credits(octo.output_micros_per_million),
    speed === null ? "-" : count(Math.round(speed)),
    `${octo.free_slots}/${octo.slots}`,
    octo.regions.join(","),
  ];
}
