import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Agent, AgentConfig } from "../../../worker-agent/agent.ts";
import { createAgent } from "../../../worker-agent/agent.ts";
import type { SessionNotice, SessionStop } from "../../../worker-agent/connection/session.ts";
import type { Pause } from "../../../worker-agent/serving/availability.ts";
import { DayTally } from "../../../worker-agent/state/day-tally.ts";
import { ReceiptJournal } from "../../../worker-agent/tasks/receipt-journal.ts";
import type { AttemptSummary } from "../../../worker-agent/tasks/attempt.ts";
import { generateSigningKey } from "../../../shared/crypto/signing.ts";
import type { Engine } from "../../../worker-agent/engine/engine.ts";
import { createSyntheticEngine } from "../../../worker-agent/engine/synthetic/synthetic.ts";
import type { Random } from "../../../worker-agent/connection/session.ts";

export interface RunningWorker extends AsyncDisposable {
  readonly agent: Agent;
  readonly journal: ReceiptJournal;
  readonly worker: string;
  readonly notices: SessionNotice[];
  readonly summaries: AttemptSummary[];
  readonly stopped: Promise<SessionStop>;
}

export interface WorkerSetup {
  readonly config?: Partial<AgentConfig>;
  readonly engine?: Engine;
  readonly random?: Random;
  readonly pause?: () => Pause | null;
}

/** A real worker against `edge`, with a journal of its own that goes with it. */
export async function runWorker(edge: string, setup: WorkerSetup = {}): Promise<RunningWorker> {
  const folder = mkdtempSync(join(tmpdir(), "octo-worker-"));
  const journal = await ReceiptJournal.open(join(folder, "receipts.jsonl"), () => undefined);
  const { key } = await generateSigningKey();
  const notices: SessionNotice[] = [];
  const summaries: AttemptSummary[] = [];
  const config: AgentConfig = {
    edge,
    account: null,
    price: { inputMicrosPerMillion: 20_000, outputMicrosPerMillion: 60_000 },
    classCeiling: "public",
    drainMs: 5_000,
    availability: { hours: null, maxLoad: null, yieldsGpu: false },
    ...setup.config,
  };
  const engine = setup.engine ?? createSyntheticEngine({ name: "words", slots: 2 });
  const agent = createAgent({
    config,
    key,
    engines: [{ name: "words", engine, speed: null }],
    journal,
    pool: null,
    tally: await DayTally.open(folder),
    pause: setup.pause ?? (() => null),
    log: () => undefined,
    random: setup.random ?? (() => 0.1),
    onNotice: (notice) => notices.push(notice),
    onAttempt: (summary) => summaries.push(summary),
  });
  const stopped = agent.run();
  return {
    agent,
    journal,
    worker: key.publicKey,
    notices,
    summaries,
    stopped,
    async [Symbol.asyncDispose]() {
      agent.abort();
      await stopped;
      await journal[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
