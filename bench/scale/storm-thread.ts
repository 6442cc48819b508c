import { parentPort, workerData } from "node:worker_threads";
import { Operator } from "../../dev/operator.ts";
import { generateSigningKey } from "../../shared/crypto/signing.ts";
import type { StormCommand, StormOptions, StormReport } from "./storm.ts";
import { StormWorker } from "./storm-worker.ts";

const options = workerData as StormOptions;

/** Dials under way while the network is being filled: that is no storm yet. */
const dialsAtOnce = 16;

const workers: StormWorker[] = [];
const rejections = new Map<string, number>();
let rejected = 0;
let lost = 0;
let lastReadyMs = 0;
let readyOnce = 0;

const ports = {
  url: options.url,
  listing: options.listing,
  ready: () => {
    lastReadyMs = Date.now();
    readyOnce += 1;
  },
  rejected: (reason: string) => {
    rejected += 1;
    rejections.set(reason, (rejections.get(reason) ?? 0) + 1);
  },
  lost: () => {
    lost += 1;
  },
};

async function fill(): Promise<void> {
  const operator = new Operator(options.edge.url, options.edge.operatorKey);
  const taking: Promise<unknown>[] = [];
  for (let number = 0; number < options.workers; number++) {
    const { key } = await generateSigningKey();
    const account = options.accounts[number % options.accounts.length] ?? "";
    workers.push(new StormWorker(key, account, ports));
    const path = `/api/v1/account/workers/${key.publicKey}?account_id=${account}`;
    taking.push(operator.put(path, {}));
    if (taking.length >= dialsAtOnce) await Promise.all(taking.splice(0));
  }
  await Promise.all(taking);
  for (const [number, worker] of workers.entries()) {
    worker.start();
    await untilReady(number + 1 - dialsAtOnce);
  }
}

async function untilReady(count: number): Promise<void> {
  const isReady = () => readyOnce >= count;
  while (!isReady()) await new Promise((resolve) => setTimeout(resolve, 1));
}

function report(): StormReport {
  const ready = workers.filter(({ isReady }) => isReady);
  const workersByHub: Record<string, number> = {};
  for (const { hub } of ready) {
    if (hub !== null) workersByHub[hub] = (workersByHub[hub] ?? 0) + 1;
  }
  const reasons = Object.fromEntries(rejections);
  return { ready: ready.length, lost, rejected, reasons, lastReadyMs, workersByHub };
}

parentPort?.on("message", (command: StormCommand) => {
  switch (command) {
    case "report":
      parentPort?.postMessage(report());
      return;
    case "kill":
      rejected = 0;
      lost = 0;
      rejections.clear();
      for (const worker of workers) worker.destroy();
      parentPort?.postMessage(report());
      return;
    case "stop":
      for (const worker of workers) worker.stop();
      parentPort?.postMessage(report());
      return;
  }
});

await fill();
