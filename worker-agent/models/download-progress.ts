export interface DownloadProgress {
  readonly receivedBytes: number;
  /** Null where the server does not say. */
  readonly totalBytes: number | null;
  readonly bytesPerSecond: number;
  readonly secondsLeft: number | null;
}

/** Often enough for a person to watch. */
const everyMs = 250;
/** A rate over this long follows the line without jumping. */
const windowMs = 10_000;

/** Says how a download goes, at most four times a second. */
export class ProgressMeter {
  readonly #tell: (progress: DownloadProgress) => void;
  readonly #nowMs: () => number;
  readonly #samples: { readonly ms: number; readonly bytes: number }[] = [];
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(tell: (progress: DownloadProgress) => void, nowMs: () => number) {
    this.#tell = tell;
    this.#nowMs = nowMs;
  }

  /** Bytes that were there before do not count for the rate. */
  start(bytes: number): void {
    this.#samples.splice(0, this.#samples.length, { ms: this.#nowMs(), bytes });
  }

  /** Tells now where `isLast`, else when it is time. */
  update(receivedBytes: number, totalBytes: number | null, isLast: boolean): void {
    const ms = this.#nowMs();
    if (!isLast && ms - this.#toldMs < everyMs) return;
    this.#toldMs = ms;
    while ((this.#samples[1]?.ms ?? ms) < ms - windowMs) this.#samples.shift();
    const since = this.#samples[0] ?? { ms, bytes: receivedBytes };
    this.#samples.push({ ms, bytes: receivedBytes });
    const seconds = Math.max(1, ms - since.ms) / 1000;
    const bytesPerSecond = Math.max(0, receivedBytes - since.bytes) / seconds;
    const leftBytes = totalBytes === null ? null : totalBytes - receivedBytes;
    const isKnown = leftBytes !== null && (bytesPerSecond > 0 || leftBytes === 0);
    const secondsLeft = isKnown ? leftBytes / Math.max(1, bytesPerSecond) : null;
    this.#tell({ receivedBytes, totalBytes, bytesPerSecond, secondsLeft });
  }
}
