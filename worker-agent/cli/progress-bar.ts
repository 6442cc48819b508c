import type { Log } from "../../shared/log.ts";
import type { DownloadProgress } from "../models/download-progress.ts";
import type { Terminal } from "./terminal.ts";

/** Where a line can be drawn over the one before it. */
export interface Screen {
  readonly columns: number;
  write(text: string): void;
}

/** The terminal that errors go to: what a command says may go to another program. */
function systemScreen(): Screen | null {
  const { stderr } = process;
  if (!stderr.isTTY) return null;
  return {
    get columns() {
      // A terminal that does not tell its width has what they had for decades.
      return stderr.columns > 0 ? stderr.columns : 80;
    },
    write: (text) => void stderr.write(text),
  };
}

/** The bar of a command, or null where nobody watches or the answer is for a program. */
export function barFor(terminal: Terminal, isJson: boolean): ProgressBar | null {
  const screen = terminal.isInteractive && !isJson ? systemScreen() : null;
  return screen === null ? null : new ProgressBar(screen);
}

/** A log whose lines begin at the margin while a bar is drawn. */
export function logOver(bar: ProgressBar | null, log: Log): Log {
  if (bar === null) return log;
  return (level, message, fields) => {
    bar.clear();
    log(level, message, fields);
  };
}

const barColumns = 16;

/** One line that tells how far something is, drawn again in its place. */
export class ProgressBar {
  readonly #screen: Screen;
  #isDrawn = false;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  draw(label: string, progress: DownloadProgress): void {
    // Back to the margin, the new line, and nothing of the old one behind it.
    this.#screen.write(`\r${progressLine(label, progress, this.#screen.columns - 1)}\u001b[K`);
    this.#isDrawn = true;
  }

  /** Takes the line away, so that the next one begins at the margin. */
  clear(): void {
    if (this.#isDrawn) this.#screen.write("\r\u001b[K");
    this.#isDrawn = false;
  }
}

/** How far, how much, how fast and how long still, cut to `columns`. */
export function progressLine(label: string, progress: DownloadProgress, columns: number): string {
  const { receivedBytes, totalBytes, bytesPerSecond, secondsLeft } = progress;
  const parts = [label];
  if (totalBytes === null) parts.push(bytesInWords(receivedBytes));
  else {
    const share = totalBytes === 0 ? 1 : Math.min(1, receivedBytes / totalBytes);
    const filled = Math.floor(share * barColumns);
    parts.push(`${"█".repeat(filled)}${"░".repeat(barColumns - filled)}`);
    parts.push(`${String(Math.floor(share * 100)).padStart(3)} %`);
    parts.push(`${bytesInWords(receivedBytes)} of ${bytesInWords(totalBytes)}`);
  }
  if (bytesPerSecond > 0) parts.push(`${bytesInWords(bytesPerSecond)}/s`);
  if (secondsLeft !== null) parts.push(`${timeInWords(secondsLeft)} left`);
  return [...parts.join("  ")].slice(0, Math.max(0, columns)).join("");
}

export function bytesInWords(bytes: number): string {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  if (bytes >= 2 ** 20) return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return `${Math.ceil(bytes / 2 ** 10)} KiB`;
}

function timeInWords(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
