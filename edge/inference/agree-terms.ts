import type { Price } from "../../shared/money.ts";
import type { Tariff } from "../../shared/tariff.ts";
import { limitOf } from "../billing/account-state.ts";
import { holdMs, type Terms } from "../billing/ticket.ts";
import type { Caller } from "../context.ts";
import type { InferenceTask } from "./task.ts";

/** What a task is agreed to be, before anybody is asked for it. */
export interface Agreement extends Pick<
  InferenceTask,
  "id" | "keyId" | "kind" | "model" | "region" | "streamed" | "mode" | "createdMs"
> {
  readonly strategy: NonNullable<Terms["strategy"]>;
  readonly promptTokensMax: number;
  readonly completionTokensMax: number;
  /** The highest that may be asked for it. */
  readonly price: Price;
  /** Only workers of the caller's own account may answer, which is free. */
  readonly own: boolean;
}

/** The terms of a task: they are frozen here, and everything that is paid later obeys them. */
export function agreeTerms(caller: Caller, agreement: Agreement, tariff: Tariff): Terms {
  const { price, createdMs, mode, own } = agreement;
  const factor = tariff.body.modes[mode];
  return {
    v: 1,
    task: agreement.id,
    account: caller.accountId,
    key: agreement.keyId,
    kind: agreement.kind,
    model: agreement.model,
    region: agreement.region,
    strategy: agreement.strategy,
    streamed: agreement.streamed,
    mode,
    factor,
    tariff: tariff.hash,
    ...(caller.teamId === null ? {} : { team: caller.teamId }),
    ...(caller.projectId === null ? {} : { project: caller.projectId }),
    limit: own ? "0" : limitOf(agreement, price, factor).toString(),
    ...(own ? { own } : {}),
    input_micros_per_million: price.inputMicrosPerMillion,
    output_micros_per_million: price.outputMicrosPerMillion,
    split: tariff.body.split,
    created_ms: createdMs,
    expires_ms: createdMs + holdMs,
  };
}
