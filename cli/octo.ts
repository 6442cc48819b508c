#!/usr/bin/env node
import { homedir } from "node:os";
import { Interrupts } from "./interrupts.ts";
import { main } from "./main.ts";
import { systemTerminal } from "./screen/terminal.ts";

/** What shells say of a program that was ended by SIGINT, and by SIGPIPE. */
const interruptedCode = 130;
const pipeCode = 141;

const interrupts = new Interrupts();
process.on("SIGINT", () => {
  // Whoever asks twice does not wait for anything any more.
  if (interrupts.signal.aborted) process.exit(interruptedCode);
  interrupts.raise();
});
process.once("SIGTERM", () => interrupts.end());

// The reader of a pipe may have seen enough, as `head` does: that is no failure to speak of.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(pipeCode);
  throw error;
});

// Set, not called: what is still being written to a pipe gets out first.
process.exitCode = await main(process.argv.slice(2), {
  terminal: systemTerminal(process.env),
  input: {
    stream: process.stdin,
    echo: process.stdout.isTTY ? process.stdout : process.stderr,
    isInteractive: process.stdin.isTTY,
  },
  env: process.env,
  home: homedir(),
  cwd: process.cwd(),
  interrupts,
  nowMs: Date.now,
});
