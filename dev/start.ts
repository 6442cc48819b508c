import { styleText } from "node:util";
import { askFirstQuestion, firstChatModel, firstQuestion } from "./first-question.ts";
import { edgeSettings } from "./edge-settings.ts";
import { type Network, startNetwork } from "./network.ts";
import { type Options, readOptions, usage, UsageError } from "./options.ts";
import { StartError, State } from "./state.ts";

/** What Ctrl-C may take: answers in flight are finished, or ended with an error event. */
const stopMs = 2_800;

const colour = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;

function say(text = ""): void {
  process.stdout.write(`${text}\n`);
}

function strong(text: string): string {
  return colour ? styleText("bold", text) : text;
}

function faint(text: string): string {
  return colour ? styleText("dim", text) : text;
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === "help") {
    say(usage);
    return;
  }
  const leaving = new AbortController();
  const stopped = new Promise<string>((resolve) => {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(name, () => {
        leaving.abort();
        resolve(name);
      });
    }
  });
  const startedMs = performance.now();
  const count = options.workers === 1 ? "1 worker" : `${options.workers} workers`;
  say(`Starting libSQL, the edge and ${count} …`);
  const state = new State(".octo");
  await state.open(options.fresh);
  const { signal } = leaving;
  const network = await startNetwork({
    ...options,
    state,
    signal,
    vars: edgeSettings(process.env),
  }).catch((error: unknown) => {
    // What was up by then has gone down with it.
    if (signal.aborted) return null;
    throw error;
  });
  if (network === null) return;
  try {
    const welcomed = welcome(network, options, performance.now() - startedMs);
    await Promise.race([welcomed.then(() => stopped), stopped]);
    say(`\n${await stopped}: stopping …`);
  } finally {
    await stop(network);
  }
  say("Stopped. State is kept in .octo/.");
}

async function welcome(network: Network, options: Options, tookMs: number): Promise<void> {
  const model = options.workers === 0 ? null : await firstChatModel(network);
  if (model !== null) {
    say(`\n${faint(`You    ›`)} ${firstQuestion}`);
    process.stdout.write(`${faint(`${model} ›`)} `);
    await askFirstQuestion(network, model, (text) => process.stdout.write(text));
    say();
  }
  say(`\n${strong("The network is ready")} ${faint(`(${(tookMs / 1000).toFixed(1)} s)`)}`);
  say(`\n  base URL  ${network.url}/v1`);
  say(`  API key   ${network.consumer.apiKey}`);
  say(`  operator  ${network.adminKey}`);
  say(`  workers   ${network.workers.map((worker) => worker.id.slice(0, 8)).join(" ") || "none"}`);
  // A model that only makes vectors, say, has no chat to show.
  const isSilent = model === null && options.workers > 0;
  say(`\n${isSilent ? curlOfModels(network) : curl(network, model ?? "MODEL")}\n`);
  say(
    faint("Ctrl-C stops it; logs and state are in .octo/, details for scripts in .octo/dev.json"),
  );
}

function curl(network: Network, model: string): string {
  const question = model === "octo-tiny" ? "Tell me a story about a fox" : "Hello!";
  const body = { model, stream: true, messages: [{ role: "user", content: question }] };
  return [
    `curl -N ${network.url}/v1/chat/completions \\`,
    `  -H 'authorization: Bearer ${network.consumer.apiKey}' \\`,
    `  -H 'content-type: application/json' \\`,
    `  -d '${JSON.stringify(body)}'`,
  ].join("\n");
}

function curlOfModels({ url, consumer }: Network): string {
  return `curl ${url}/v1/models -H 'authorization: Bearer ${consumer.apiKey}'`;
}

/** Takes everything down; what does not end in time is left to the end of this process. */
async function stop(network: Network): Promise<void> {
  const timer = setTimeout(() => process.exit(1), stopMs);
  await network[Symbol.asyncDispose]();
  clearTimeout(timer);
}

try {
  await main();
} catch (error) {
  if (error instanceof UsageError || error instanceof StartError) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  } else {
    process.stderr.write(`Cannot start: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  }
}
