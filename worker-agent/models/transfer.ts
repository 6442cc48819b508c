import { assert } from "../../shared/assert.ts";
import type { ByteRange } from "./byte-ranges.ts";
import type { DownloadProgress } from "./download-progress.ts";
import { ProgressMeter } from "./download-progress.ts";
import type { PartFile } from "./part-file.ts";
import { claimPart } from "./part-file.ts";
import type { Opened, Remote } from "./range-request.ts";
import { getPiece, openRemote } from "./range-request.ts";
import type { RetryPolicy } from "./transient-error.ts";
import { isTransient, pause, retryDelayMs, TransientError } from "./transient-error.ts";

export interface TransferTarget {
  readonly url: string;
  readonly folder: string;
  readonly fileName: string;
  /** What the file must hash to; null where nobody knows. */
  readonly sha256: string | null;
  readonly token: string | null;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

export interface TransferOptions extends RetryPolicy {
  readonly connections: number;
  /** No connection is asked for less, but for the end of the file. */
  readonly pieceBytesLeast: number;
  readonly stallMs: number;
}

/** No piece is larger: a connection that lives for hours is the first to break. */
const pieceBytesMax = 2 ** 30;
/** What is lost when the process is killed. */
const saveEveryMs = 1000;

/** Brings the bytes of one version of a file into a part. */
export class Transfer {
  readonly #download: TransferTarget;
  readonly #options: TransferOptions;
  readonly #assertRoom: (neededBytes: number) => Promise<void>;
  readonly #remote: Remote;
  readonly #meter: ProgressMeter;
  #part: PartFile | null = null;
  #totalBytes: number | null = null;
  #isResumable = false;
  /** What connections are fetching now. */
  readonly #underWay = new Set<ByteRange>();
  #saving: Promise<void> = Promise.resolve();

  constructor(
    download: TransferTarget,
    options: TransferOptions,
    assertRoom: (neededBytes: number) => Promise<void>,
  ) {
    this.#download = download;
    this.#options = options;
    this.#assertRoom = assertRoom;
    this.#remote = { url: download.url, token: download.token };
    const tell = download.onProgress ?? (() => undefined);
    this.#meter = new ProgressMeter(tell, () => performance.now());
  }

  get receivedBytes(): number {
    return this.#isResumable ? (this.#part?.received.bytes ?? 0) : 0;
  }

  get path(): string {
    assert(this.#part !== null, "a transfer that received something has a part");
    return this.#part.path;
  }

  /** Resolves once the part holds the whole file and is closed. */
  async receiveAll(): Promise<void> {
    const opened = await this.#open();
    if (opened.whole === null) {
      const timer = setInterval(() => this.#save(), saveEveryMs);
      try {
        await this.#receivePieces(opened);
      } finally {
        clearInterval(timer);
      }
    }
    await this.#saving;
    await this.#part?.close();
    this.#report(true);
  }

  /** Keeps what was received for the next time, unless nothing can continue it. */
  async release(isWorthless: boolean): Promise<void> {
    await this.#saving.catch(() => undefined);
    if (this.#isResumable && !isWorthless) await this.#part?.release();
    else await this.#part?.discard();
  }

  async discard(): Promise<void> {
    this.#isResumable = false;
    await this.#part?.discard();
  }

  /** Asks what there is; a server that gives no parts gives the whole file in the same attempt. */
  async #open(): Promise<Opened> {
    const { signal } = this.#download;
    for (let failures = 1; ; failures++) {
      try {
        return await this.#watched(signal, async (watch, alive) => {
          const opened = await openRemote(this.#remote, watch);
          await this.#claim(opened);
          if (opened.whole !== null) await this.#receiveWhole(opened.whole, alive);
          return opened;
        });
      } catch (error) {
        signal.throwIfAborted();
        const delayMs = retryDelayMs(failures, error, this.#options);
        if (delayMs === null) throw error;
        await pause(delayMs, signal);
      }
    }
  }

  async #claim({ etag, totalBytes, whole }: Opened): Promise<void> {
    this.#totalBytes = totalBytes;
    this.#isResumable = whole === null;
    await this.#part?.discard();
    const { folder, fileName, sha256 } = this.#download;
    // A part that is never resumed has a name that only has to differ from all others.
    const name = this.#isResumable ? (etag ?? "") : `${Date.now()} ${Math.random()}`;
    const version = `${name} ${sha256 ?? ""}`;
    const kept = this.#isResumable ? totalBytes : null;
    const part = await claimPart({ folder, fileName, version, totalBytes: kept });
    this.#part = part;
    this.#meter.start(part.received.bytes);
    if (totalBytes !== null) await this.#assertRoom(totalBytes - part.received.bytes);
    await part.prepare();
  }

  async #receiveWhole(response: Response, alive: () => void): Promise<void> {
    let at = 0;
    for await (const chunk of response.body ?? []) {
      alive();
      await this.#part?.write(chunk, at);
      at += chunk.length;
      this.#report(false);
    }
    if (this.#totalBytes === null || at === this.#totalBytes) return;
    throw new TransientError(`the connection closed at byte ${at} of ${this.#totalBytes}`);
  }

  /**
   * Several connections take pieces from the front. One that gets nothing any more ends, and the
   * others take its piece; what none of them got is tried by one alone, as long as that helps.
   */
  async #receivePieces(opened: Opened): Promise<void> {
    const totalBytes = opened.totalBytes ?? 0;
    const { connections, pieceBytesLeast } = this.#options;
    let lanes = Math.max(1, Math.min(connections, Math.ceil(totalBytes / pieceBytesLeast)));
    while (this.#takePiece(1) !== null) {
      const before = this.receivedBytes;
      const failure = await this.#runLanes(opened.etag ?? "", lanes);
      if (failure === null) continue;
      if (!isTransient(failure) || (lanes === 1 && this.receivedBytes === before)) throw failure;
      lanes = 1;
    }
  }

  /** Gives what ended a connection early; what no other could do better is thrown. */
  async #runLanes(etag: string, lanes: number): Promise<unknown> {
    const others = new AbortController();
    const signal = AbortSignal.any([this.#download.signal, others.signal]);
    let failure: unknown = null;
    const running = Array.from({ length: lanes }, () =>
      this.#runLane(etag, lanes, signal).catch((error: unknown) => {
        if (others.signal.aborted) return;
        if (failure === null || !isTransient(error)) failure = error;
        if (!isTransient(error)) others.abort();
      }),
    );
    await Promise.all(running);
    this.#download.signal.throwIfAborted();
    return failure;
  }

  async #runLane(etag: string, lanes: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      const piece = this.#takePiece(lanes);
      if (piece === null) return;
      this.#underWay.add(piece);
      try {
        await this.#fetchPiece(piece, etag, signal);
      } finally {
        this.#underWay.delete(piece);
      }
    }
  }

  /** The next bytes that nobody has or fetches: less at a time toward the end. */
  #takePiece(lanes: number): ByteRange | null {
    const total = this.#totalBytes ?? 0;
    const received = this.#part?.received;
    const gap = received?.firstGap(total, [...this.#underWay]) ?? null;
    if (gap === null || received === undefined) return null;
    const share = Math.ceil((total - received.bytes) / (2 * lanes));
    const size = Math.min(Math.max(share, this.#options.pieceBytesLeast), pieceBytesMax);
    return { start: gap.start, end: Math.min(gap.end, gap.start + size) };
  }

  async #fetchPiece(piece: ByteRange, etag: string, signal: AbortSignal): Promise<void> {
    const progress = { at: piece.start, end: piece.end, etag };
    for (let failures = 0; progress.at < progress.end;) {
      const before = progress.at;
      try {
        await this.#watched(signal, (watch, alive) => this.#receivePiece(progress, watch, alive));
      } catch (error) {
        signal.throwIfAborted();
        failures = progress.at > before ? 1 : failures + 1;
        const delayMs = retryDelayMs(failures, error, this.#options);
        if (delayMs === null) throw error;
        await pause(delayMs, signal);
      }
    }
  }

  /** One request for what is left of a piece; `progress.at` moves with what came. */
  async #receivePiece(
    progress: { at: number; readonly end: number; readonly etag: string },
    signal: AbortSignal,
    alive: () => void,
  ): Promise<void> {
    const { end, etag } = progress;
    const asked = { start: progress.at, end, etag, totalBytes: this.#totalBytes ?? 0 };
    const response = await getPiece(this.#remote, asked, signal);
    for await (const chunk of response.body ?? []) {
      alive();
      const wanted = chunk.subarray(0, end - progress.at);
      await this.#part?.write(wanted, progress.at);
      progress.at += wanted.length;
      this.#report(false);
      // A server that sends more than it was asked for may never end.
      if (progress.at === end) return;
    }
    throw new TransientError(`the connection closed at byte ${progress.at} of ${end}`);
  }

  /** Runs `work` with a signal that also ends it once it has not been alive for too long. */
  async #watched<Result>(
    signal: AbortSignal,
    work: (signal: AbortSignal, alive: () => void) => Promise<Result>,
  ): Promise<Result> {
    const { stallMs } = this.#options;
    const stalled = new AbortController();
    const timer = setTimeout(() => {
      stalled.abort(new TransientError(`nothing was received for ${stallMs / 1000} seconds`));
    }, stallMs);
    try {
      return await work(AbortSignal.any([signal, stalled.signal]), () => void timer.refresh());
    } finally {
      clearTimeout(timer);
    }
  }

  #report(isLast: boolean): void {
    this.#meter.update(this.#part?.received.bytes ?? 0, this.#totalBytes, isLast);
  }

  #save(): void {
    const part = this.#part;
    this.#saving = this.#saving.then(() => part?.save());
    // Its failure is met where it is waited for.
    this.#saving.catch(() => undefined);
  }
}
