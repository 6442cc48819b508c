import { request } from "node:http";
import { expect, test } from "vitest";
import { MetricsError, serveMetrics } from "../../../worker-agent/metrics/metrics-server.ts";
import { prometheusText } from "../../../worker-agent/metrics/prometheus-text.ts";
import type { AgentStatus } from "../../../worker-agent/state/status-file.ts";
import { sampleModel, sampleStatus } from "../cli/sample-status.ts";

/** Reads the text format strictly: every sample under a family that was declared before it. */
function parse(text: string): Map<string, number> {
  const values = new Map<string, number>();
  let family = "";
  for (const line of text.trimEnd().split("\n")) {
    const help = /^# HELP (\S+) .+$/.exec(line)?.[1];
    const type = /^# TYPE (\S+) (?:counter|gauge)$/.exec(line)?.[1];
    if (help !== undefined) family = help;
    else if (type !== undefined) expect(type).toBe(family);
    else {
      const [, name, labels, value] =
        /^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)+\})? (\S+)$/.exec(line) ?? [];
      expect(name, line).toBe(family);
      values.set(`${name}${labels ?? ""}`, Number(value));
    }
  }
  return values;
}

test("every figure of the status is a metric in Prometheus' format", () => {
  const values = parse(prometheusText(sampleStatus));
  expect(values.get('octo_worker_tasks_total{model="llama",outcome="failed"}')).toBe(2);
  expect(values.get('octo_worker_tokens_per_second{model="llama"}')).toBe(41.25);
  expect(values.get("octo_worker_completion_tokens_total")).toBe(567);
  expect(values.get("octo_worker_gross_today_micros")).toBe(65_400);
  expect(values.get("octo_worker_connected")).toBe(1);
  for (const value of values.values()) expect(value).not.toBeNaN();
});

test("names that would break the format are escaped, and what is unknown is left out", () => {
  const model = { ...sampleModel, name: 'a"b\\c\nd', memory_bytes: null };
  const text = prometheusText({ ...sampleStatus, models: [model] });
  expect(parse(text).get('octo_worker_slots{model="a\\"b\\\\c\\nd"}')).toBe(4);
  expect(text).not.toContain("octo_worker_model_memory_bytes");
});

async function get(
  port: number,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.on("error", reject);
    asked.end();
  });
}

test("metrics are served to this machine alone, once the worker has started", async () => {
  let status: AgentStatus | null = null;
  await using server = await serveMetrics(0, () => status);
  expect((await get(server.port, "/metrics")).status).toBe(503);
  status = sampleStatus;
  expect((await get(server.port, "/metrics")).text).toBe(prometheusText(sampleStatus));
  expect((await get(server.port, "/other")).status).toBe(404);
  const rebound = await get(server.port, "/metrics", { host: `evil.example:${server.port}` });
  expect(rebound.status).toBe(403);
});

test("a port that is taken is one sentence", async () => {
  await using server = await serveMetrics(0, () => null);
  const second = serveMetrics(server.port, () => null);
  await expect(second).rejects.toThrow(MetricsError);
  await expect(second).rejects.toThrow("another program has it; choose another --metrics");
});
