import { expect, test } from "vitest";
import { EngineError } from "../../../worker-agent/engine/engine.ts";
import { Serving } from "../../../worker-agent/serving/serving.ts";
import { until } from "../../helpers/until.ts";
import { openWorld } from "../upstream/open-recorded.ts";
import { ollamaRoutes } from "../upstream/recorded-ollama.ts";
import type { Route } from "../upstream/recorded-server.ts";

const hangs: Route = { hang: true };
const starts: Route = { text: "loading", status: 503 };

test.for([
  ["is gone", null],
  ["hangs", hangs],
  ["restarts", starts],
] as const)(
  "a server beside the worker that %s is withdrawn, and offered again when it is back",
  async ([, route]) => {
    await using world = await openWorld(ollamaRoutes());
    const engine = await world.open("llama3.2:latest");
    const whole = { ...world.server.routes };
    const serving = new Serving({
      enginesByModel: new Map([["llama", engine]]),
      pool: null,
      availability: { hours: null, maxLoad: null, yieldsGpu: false },
      pause: () => null,
      readLoad: () => Promise.resolve({ cpu: null, gpu: null }),
      log: () => undefined,
      onOffer: () => undefined,
    });
    serving.start();
    try {
      const replies =
        route === null ? [] : Object.keys(whole).map((path) => [path, route] as const);
      world.server.routes = Object.fromEntries(replies);
      serving.taskFailed("llama", new EngineError("engine_failed", "It broke"));
      await until("it is withdrawn", () => serving.offered.length === 0);
      expect(serving.view("llama").notOffered).toContain(`Ollama at ${world.server.url}`);
      world.server.routes = whole;
      await until("it is offered again", () => serving.offered.length === 1);
      expect(serving.view("llama")).toMatchObject({ health: { kind: "ready" }, notOffered: null });
    } finally {
      serving.stop();
    }
  },
);
