import type { Network } from "../../dev/network.ts";
import type { Random } from "../../test/simulation/random.ts";
import { type Figure, quantile } from "../figure.ts";
import { newFolder, newNetwork } from "../new-network.ts";
import { untilListed } from "../until-listed.ts";
import { bookedTask } from "./books.ts";
import { pauseAfter, readAnswer } from "./read-answer.ts";

const answers = 20;
/** The engine is fast: of a few answers everything is said before the signal comes. */
const triesMax = 60;
const workers = 3;
const model = "octo-tiny";
const tokensMax = 200;
const prompts = [
  "Tell me a story about a fox",
  "Tell me about the sea",
  "What is a worker?",
  "Once there was a house in the woods",
];

/**
 * Answers of a real engine at temperature 0, each of whose `octo-worker` process is ended by
 * SIGKILL once a random part of the text has come. `failover.real_whole_of_20` counts those that
 * went on with another worker and are what an unbroken one is, to the letter.
 */
export async function measureProcesses(
  random: Random,
  progress: (line: string) => void,
): Promise<Figure[]> {
  await using stack = new AsyncDisposableStack();
  const folder = await newFolder(stack);
  progress(`starting ${workers} octo-worker processes with ${model} …`);
  const vars = { OCTO_PREFLIGHT: "off" };
  const workerFlags = ["--slots", "2"];
  const network = stack.use(await newNetwork(folder, { workers, model, vars, workerFlags }));
  const wholes = new Map<string, string>();
  for (const prompt of prompts) {
    wholes.set(prompt, (await readAnswer(requestOf(network, prompt))).text);
  }
  progress(`${answers} answers, one at a time, each of whose processes is killed …`);
  let whole = 0;
  let killed = 0;
  const pauses: number[] = [];
  for (let tries = 0; killed < answers && tries < triesMax; tries++) {
    await untilListed(network, model, workers);
    const prompt = random.pick(prompts);
    const broken = await breakAnswer(network, prompt, wholes.get(prompt) ?? "", random);
    if (!broken.isLost) continue;
    killed += 1;
    if (broken.isWhole) whole += 1;
    if (broken.pauseMs !== null) pauses.push(broken.pauseMs);
  }
  return figuresOf({ killed, whole, pauses });
}

function figuresOf(of: { killed: number; whole: number; pauses: readonly number[] }): Figure[] {
  const count = { unit: "", better: "higher", target: answers } as const;
  return [
    { figure: "failover.real_killed_of_20", value: of.killed, ...count },
    { figure: "failover.real_whole_of_20", value: of.whole, ...count },
    {
      figure: "failover.real_gap_p50_ms",
      value: quantile(of.pauses, 0.5),
      unit: "ms",
      better: "lower",
      target: null,
    },
  ];
}

function requestOf(network: Network, prompt: string) {
  const messages = [{ role: "user", content: prompt }];
  const sampling = { temperature: 0, max_tokens: tokensMax };
  return {
    url: `${network.url}/v1/chat/completions`,
    headers: {
      authorization: `Bearer ${network.consumer.apiKey}`,
      "content-type": "application/json",
    },
    body: JSON.stringify({ model, messages, stream: true, ...sampling }),
  };
}

async function breakAnswer(network: Network, prompt: string, whole: string, random: Random) {
  const killAt = random.int(1, Math.max(1, Math.floor(whole.length * 0.9)));
  let killedMs: number | null = null;
  const answer = await readAnswer(requestOf(network, prompt), (text, workerId) => {
    if (killedMs !== null || text.length < killAt) return;
    killedMs = performance.now();
    kill(network, workerId);
  });
  const task = await bookedTask(network, answer.taskId);
  const pauseMs = killedMs === null ? null : pauseAfter(answer, killedMs);
  return {
    // One that had said everything before the signal came was not broken.
    isLost: killedMs !== null && (answer.ending !== "done" || (task?.attempts_made ?? 0) > 1),
    isWhole: answer.ending === "done" && answer.text === whole,
    pauseMs,
  };
}

function kill(network: Network, workerId: string): void {
  const pid = network.workers.find(({ id }) => id === workerId)?.pid ?? null;
  if (pid !== null) process.kill(pid, "SIGKILL");
}
