import { writeFile } from "node:fs/promises";
import { CommandError, Interrupted } from "../failures.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import { plainLine } from "../screen/plain-text.ts";
import { connect } from "../session/connection.ts";
import { writtenPath } from "../session/folders.ts";
import { fileError, hasCode } from "../session/private-file.ts";
import { AnswerPrinter } from "../talk/answer-printer.ts";
import { askingOf, openingOf } from "../talk/asking-of.ts";
import { anyChatModel, chatModels, namesInWords } from "../talk/find-model.ts";
import { chatHelp, readChatLine } from "../talk/line-commands.ts";
import { lineSource } from "../talk/line-source.ts";
import { type Asking, type Message, savedConversation } from "../talk/messages.ts";
import { streamAnswer } from "../talk/stream-answer.ts";
import { costOf, usageLine } from "../talk/usage-line.ts";
import type { Call } from "../words/parse-command-line.ts";
import type { World } from "../world.ts";
import { UsageError } from "../failures.ts";
import { isJson, writeJson } from "./command.ts";

/** Talks with a model until the person leaves, or the pipe ends. */
export async function chat(world: World, call: Call): Promise<number> {
  const { model: option, ...wanted } = askingOf(call);
  const [named = option] = call.args;
  if (named !== option && option !== null) {
    throw new UsageError("The model is named twice: octo chat MODEL is enough");
  }
  const { client } = await connect(world, call);
  const model = named ?? (await anyChatModel(client, world));
  const talk = new Talk({ world, call, client, asking: { ...wanted, model } });
  return talk.run();
}

interface TalkOptions {
  readonly world: World;
  readonly call: Call;
  readonly client: EdgeClient;
  readonly asking: Asking;
}

class Talk {
  readonly #world: World;
  readonly #call: Call;
  readonly #client: EdgeClient;
  #asking: Asking;
  #messages: Message[];

  constructor({ world, call, client, asking }: TalkOptions) {
    this.#world = world;
    this.#call = call;
    this.#client = client;
    this.#asking = asking;
    this.#messages = openingOf(call);
  }

  get #isTyped(): boolean {
    return this.#world.input.isInteractive;
  }

  async run(): Promise<number> {
    const { terminal } = this.#world;
    if (this.#isTyped) {
      this.#note(`${plainLine(this.#asking.model, 128)} at ${this.#client.url}; /help tells more`);
    }
    using lines = await lineSource(this.#world);
    let isLeaving = false;
    for (;;) {
      const next = await lines.next(terminal.paintBeside("bold", "you › "));
      if (next.kind === "end") return 0;
      if (next.kind === "interrupt") {
        if (isLeaving || !this.#isTyped) throw new Interrupted("the chat was left");
        isLeaving = true;
        this.#note("Ctrl-C again or Ctrl-D leaves");
        continue;
      }
      isLeaving = false;
      if ((await this.#obey(next.text)) === "exit") return 0;
    }
  }

  /** Beside what is said: a program that reads the answers does not get it. */
  #note(text: string): void {
    const { terminal } = this.#world;
    terminal.error(terminal.paintBeside("dim", text));
  }

  async #obey(text: string): Promise<"exit" | "go on"> {
    const line = readChatLine(text);
    switch (line.kind) {
      case "exit":
        return "exit";
      case "nothing":
        return "go on";
      case "help":
        for (const help of chatHelp) this.#note(help);
        return "go on";
      case "clear":
        this.#messages = openingOf(this.#call);
        this.#note("Forgotten: the next question is the first");
        return "go on";
    }
    try {
      if (line.kind === "say") await this.#say(line.text);
      else if (line.kind === "model") await this.#changeModel(line.name);
      else if (line.kind === "save") await this.#save(line.path);
      else throw new CommandError(line.reason);
    } catch (error) {
      // A person corrects it and goes on; a program has to hear of it.
      if (!(error instanceof CommandError) || !this.#isTyped) throw error;
      this.#world.terminal.error(this.#world.terminal.paintBeside("red", `octo: ${error.message}`));
    }
    return "go on";
  }

  async #say(text: string): Promise<void> {
    const { terminal, interrupts, nowMs } = this.#world;
    const stopping = new AbortController();
    // A typed chat outlives an answer that is stopped; Ctrl-C on a pipe ends it all.
    using _ctrlC = this.#isTyped ? interrupts.take(() => stopping.abort()) : null;
    const signal = AbortSignal.any([interrupts.signal, stopping.signal]);
    const printer = new AnswerPrinter(terminal, isJson(this.#call));
    if (this.#isTyped)
      terminal.hint(terminal.paintBeside("dim", `${plainLine(this.#asking.model, 40)} › `));
    const messages: Message[] = [...this.#messages, { role: "user", content: text }];
    const question = { asking: this.#asking, messages, signal, nowMs };
    const answer = await streamAnswer(this.#client, question, printer).finally(() => printer.end());
    if (interrupts.signal.aborted) throw new Interrupted("the chat was left");
    // What was stopped before its first word was not said.
    if (answer.text !== "")
      this.#messages = [...messages, { role: "assistant", content: answer.text }];
    if (answer.kind === "stopped")
      return this.#note("stopped; what came is remembered, and paid for");
    if (answer.finish === "length") this.#note("cut at its most tokens; --max-tokens allows more");
    if (isJson(this.#call)) {
      const { taskId, usage, finish } = answer;
      const model = this.#asking.model;
      writeJson(this.#world, { model, text: answer.text, finish, usage, task_id: taskId });
    }
    if (this.#call.options["usage"] === undefined) return;
    this.#note(usageLine(answer, await costOf(this.#client, answer.taskId, nowMs)));
  }

  async #changeModel(name: string | null): Promise<void> {
    const known = await chatModels(this.#client, this.#world);
    if (name === null) {
      this.#note(
        `${plainLine(this.#asking.model, 128)} answers; models that chat: ${namesInWords(known)}`,
      );
      return;
    }
    // A strategy may follow a name, and a digest may stand for one: the edge is asked at the next
    // question. Here only plain mistakes are found.
    const isKnown = known.some((one) => name === one || name.startsWith(`${one}:`));
    if (!isKnown && !name.startsWith("sha256:")) {
      const those = namesInWords(known);
      throw new CommandError(`No model ${JSON.stringify(name)} chats now; those that do: ${those}`);
    }
    this.#asking = { ...this.#asking, model: name };
    this.#note(`${name} answers from now on`);
  }

  async #save(file: string): Promise<void> {
    const path = writtenPath(file, this.#world);
    const text = savedConversation(this.#messages, path.endsWith(".json"));
    try {
      // What was said is private, and what is there already is somebody's.
      await writeFile(path, text, { flag: "wx", mode: 0o600 });
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw fileError("write", path, error);
      throw new CommandError(`Cannot write ${path}: it is there already; choose another name`);
    }
    this.#note(`Written to ${path}`);
  }
}
