import type { Log } from "../../shared/log.ts";
import type { DownloadProgress } from "./download-progress.ts";

/** Is told how the download of the model of a name goes. */
export type OnDownload = (model: string, progress: DownloadProgress) => void;

/** A line every 10 s of a download: nobody wants more of them. */
const everyMs = 10_000;

/** Tells downloads where nobody watches. */
export function logDownloads(log: Log): OnDownload {
  let saidMs = Number.NEGATIVE_INFINITY;
  return (model, { receivedBytes, totalBytes, secondsLeft }) => {
    if (performance.now() - saidMs < everyMs) return;
    saidMs = performance.now();
    const mebibytes = Math.round(receivedBytes / 2 ** 20);
    const percent = totalBytes === null ? {} : { percent: percentOf(receivedBytes, totalBytes) };
    const left = secondsLeft === null ? {} : { seconds_left: Math.round(secondsLeft) };
    log("info", `Downloading ${model}`, { mebibytes, ...percent, ...left });
  };
}

function percentOf(part: number, whole: number): number {
  return Math.floor((100 * part) / Math.max(1, whole));
}
