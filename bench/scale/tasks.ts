import { join } from "node:path";
import { openLocalDatabase } from "../../dev/libsql/open-local.ts";
import { openEngine, openEngineDefaults } from "../../worker-agent/engine/open-engine.ts";
import { parseModelSource } from "../../worker-agent/models/model-source.ts";
import { explaining, type Figure } from "../figure.ts";
import { newNetwork } from "../new-network.ts";
import { streamTokens } from "../worker/stream-tokens.ts";
import { TaskPath } from "../worker/task-path.ts";

/** Faster than people read: what a card at home makes of a model of 8 billion parameters. */
const tokensPerS = 50;
const answers = [32, 500];
/** How long workers gather output: at a hub with little to do, and at one that is busy. */
const pacesMs = [25, 100];
const tasks = 200;
const atOnce = 20;
const settledMs = 3_000;

/** What one task costs the edge in messages from its worker and in rows of the ledger. */
export async function measureTasks(
  folder: string,
  progress: (line: string) => void,
): Promise<readonly Figure[]> {
  return [...(await measureFrames(folder, progress)), ...(await measureRows(folder, progress))];
}

/** Frames from offer to receipt, each at most one message: those of one turn travel in one. */
async function measureFrames(
  folder: string,
  progress: (line: string) => void,
): Promise<readonly Figure[]> {
  const options = { ...openEngineDefaults, modelsFolder: folder, slots: 8, log: () => {} };
  const source = parseModelSource("synthetic:bench");
  await using engine = await openEngine(source, options, new AbortController().signal);
  await using path = await TaskPath.open(engine);
  const figures: Figure[] = [];
  for (const tokens of answers) {
    const prompt = `[synthetic tokens=${tokens} rate=${tokensPerS}]`;
    const body = JSON.stringify({ model: "bench", prompt, max_tokens: tokens, stream: true });
    for (const paceMs of pacesMs) {
      progress(`a task of ${tokens} tokens at ${tokensPerS} a second, gathered ${paceMs} ms …`);
      const before = path.frames;
      await path.run([body], paceMs);
      const figure = `scale.messages_per_task.t${tokens}.p${paceMs}`;
      figures.push(explaining(figure, path.frames - before, ""));
    }
  }
  return figures;
}

async function measureRows(
  folder: string,
  progress: (line: string) => void,
): Promise<readonly Figure[]> {
  progress(`${tasks} tasks through a network of one worker …`);
  await using network = await newNetwork(join(folder, "rows"), {
    workers: 1,
    model: "synthetic:bench",
    workerFlags: ["--slots", String(atOnce)],
  });
  const prompt = "[synthetic tokens=32 rate=0]";
  const body = JSON.stringify({
    model: "bench",
    prompt,
    max_tokens: 32,
    stream: true,
    stream_options: { include_usage: true },
  });
  const { databaseUrl } = network.edge;
  await pause(settledMs);
  const before = await rowsIn(databaseUrl);
  for (let done = 0; done < tasks; done += atOnce) {
    const ask = () => streamTokens(network.url, network.consumer.apiKey, body);
    await Promise.all(Array.from({ length: atOnce }, ask));
  }
  await pause(settledMs);
  const rows = ((await rowsIn(databaseUrl)) - before) / tasks;
  return [explaining("scale.ledger_rows_per_task", rows, "")];
}

/** The rows of all tables. */
async function rowsIn(url: string): Promise<number> {
  await using db = openLocalDatabase({ url });
  const tables = await db.read("list the tables", (orm) =>
    orm.all<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'"),
  );
  let rows = 0;
  for (const { name } of tables) {
    const counted = await db.read("count rows", (orm) =>
      orm.all<{ rows: number | bigint }>(`SELECT count(*) AS rows FROM "${name}"`),
    );
    rows += Number(counted[0]?.rows ?? 0);
  }
  return rows;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
