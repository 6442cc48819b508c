import { CommandError, Interrupted, UsageError } from "../failures.ts";
import { readInput } from "../screen/ask-secret.ts";
import { connect } from "../session/connection.ts";
import { AnswerPrinter } from "../talk/answer-printer.ts";
import { askingOf, openingOf } from "../talk/asking-of.ts";
import { anyChatModel } from "../talk/find-model.ts";
import { type Answer, streamAnswer } from "../talk/stream-answer.ts";
import { costOf, usageLine } from "../talk/usage-line.ts";
import type { Call } from "../words/parse-command-line.ts";
import type { World } from "../world.ts";
import { isJson, writeJson } from "./command.ts";

/** An edge takes 4 MiB in all. */
const questionBytesMax = 4 * 1024 * 1024;

/** Asks one question. */
export async function ask(world: World, call: Call): Promise<number> {
  const wanted = askingOf(call);
  const question = await questionOf(world, call);
  const { client } = await connect(world, call);
  const model = wanted.model ?? (await anyChatModel(client, world));
  const printer = new AnswerPrinter(world.terminal, isJson(call));
  const { signal } = world.interrupts;
  const messages = [...openingOf(call), { role: "user", content: question } as const];
  const asking = { ...wanted, model };
  const { nowMs } = world;
  const answer = await streamAnswer(client, { asking, messages, signal, nowMs }, printer).finally(
    () => printer.end(),
  );
  if (answer.kind === "stopped") throw new Interrupted("the answer was stopped");
  if (answer.finish === "length") {
    world.terminal.error("octo: the answer was cut at its most tokens; --max-tokens allows more");
  }
  const isCostWanted = call.options["usage"] !== undefined || isJson(call);
  const cost = isCostWanted ? await costOf(client, answer.taskId, nowMs) : null;
  if (isJson(call)) writeJson(world, answerInJson(answer, model, cost));
  if (call.options["usage"] !== undefined) world.terminal.error(`octo: ${usageLine(answer, cost)}`);
  return 0;
}

async function questionOf(world: World, { args }: Call): Promise<string> {
  const isPiped = args.length === 0 || args.includes("-");
  if (args.length === 0 && world.input.isInteractive) {
    throw new UsageError('Ask what? Give a question: octo ask "What is this?"');
  }
  const input = isPiped ? (await readInput(world, questionBytesMax)).trimEnd() : "";
  const words = args.map((word) => (word === "-" ? `\n\n${input}\n\n` : word));
  const question = (args.length === 0 ? input : words.join(" ")).trim();
  if (question === "") throw new CommandError("The question is empty: nothing was asked");
  return question;
}

function answerInJson(answer: Answer, model: string, costMicros: number | null) {
  return {
    model,
    text: answer.text,
    ...(answer.reasoning === "" ? {} : { reasoning: answer.reasoning }),
    finish: answer.finish,
    usage: answer.usage,
    cost_micros: costMicros,
    task_id: answer.taskId,
    worker_id: answer.workerId,
    first_token_ms: answer.firstTokenMs,
    took_ms: answer.tookMs,
  };
}
