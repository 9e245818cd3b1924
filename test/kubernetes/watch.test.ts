import assert from "node:assert/strict";
import type { Running } from "../../src/core/ports.ts";
import type { KubeClient } from "../../src/kubernetes/client.ts";
import { rights } from "../../src/kubernetes/rights.ts";
import { watchConfigMap, type Sight } from "../../src/kubernetes/watch.ts";
import { eventually, ManualClock } from "../support/clock.ts";
import {
  agentNamespace,
  configMapName,
  fullToken,
  startKube,
  type KubeServer,
} from "../support/kube.ts";
import { clientOf } from "./kit.ts";

function shown(sight: Sight): string {
  switch (sight.kind) {
    case "object":
      return sight.object.data?.["config.yaml"] ?? "";
    case "refused":
      return `refused ${sight.refusal.code}`;
    case "absent":
    case "unreachable":
      return sight.kind;
  }
}

describe("the watch of the ConfigMap", () => {
  let server: KubeServer;
  let client: KubeClient;
  let clock: ManualClock;
  let running: Running;
  let sights: string[];

  beforeEach(async () => {
    server = await startKube();
    clock = new ManualClock();
    client = clientOf(server, clock);
    sights = [];
  });
  afterEach(async () => {
    await running.stop();
    client.close();
    await server.stop();
  });
  const start = (random = (): number => 0): void => {
    running = watchConfigMap({
      client,
      clock,
      random,
      namespace: agentNamespace,
      name: configMapName,
      see: (sight) => void sights.push(shown(sight)),
    });
  };
  const last = (): string | undefined => sights.at(-1);
  /** Waits for what happens over the network, and lets that much time pass at each look. */
  const when = (what: string, check: () => boolean, stepMs = 0): Promise<void> =>
    eventually(what, async () => {
      await clock.advance(stepMs);
      return check();
    });
  const seen = (what: string): Promise<void> => when(`seen: ${what}`, () => last() === what);
  /** A request there and back: whatever the server has written before is here as well. */
  const heard = async (): Promise<void> => {
    await client.request({ method: "GET", path: "/version", signal: new AbortController().signal });
    await clock.advance(0);
  };
  const watching = async (): Promise<void> => {
    await when("it watches", () => server.watching === 1);
    await heard();
  };
  const lives = async (minutes: number): Promise<void> => {
    for (let minute = 0; minute < minutes; minute++) {
      await clock.advance(60_000);
      server.bookmark();
      await heard();
    }
  };
  const lists = (): number =>
    server.asked.filter(({ path, query }) => path !== "/version" && query["watch"] === undefined)
      .length;
  const trouble = (): string[] => sights.filter((each) => /unreachable|refused/.test(each));

  it("sees a change, a deletion and a new beginning, without asking again", async () => {
    server.setConfigMap({ "config.yaml": "one" });
    start();
    await watching();
    server.setConfigMap({ "config.yaml": "two" });
    await seen("two");
    server.deleteConfigMap();
    await seen("absent");
    server.setConfigMap({ "config.yaml": "three" });
    await seen("three");
    server.setConfigMap({ "config.yaml": "elsewhere" }, { name: "other" });
    server.setConfigMap({ "config.yaml": "elsewhere" }, { namespace: "other" });
    server.setConfigMap({ "config.yaml": "four" });
    await seen("four");
    assert.deepEqual(sights, ["one", "two", "absent", "three", "four"]);
    assert.equal(lists(), 1);
  });

  it("needs no more rights than those to the one object, whatever it asks", async () => {
    server.expire(fullToken);
    server.allow(fullToken, rights.configmap);
    start();
    await watching();
    await lives(4);
    server.endWatches();
    await when("it watches again", () => server.watching === 1 && lists() === 2);
    for (const { query } of server.asked.filter(({ path }) => path !== "/version"))
      assert.equal(query["fieldSelector"], `metadata.name=${configMapName}`);
    assert.deepEqual(trouble(), []);
  });

  it("lets the server end a watch after four to five minutes and lists again at once", async () => {
    start(() => 0.5);
    await watching();
    const asked = server.asked.find(({ query }) => query["watch"] === "true");
    assert.equal(asked?.query["timeoutSeconds"], "270");
    assert.equal(asked?.query["allowWatchBookmarks"], "true");
    await lives(4);
    server.endWatches();
    await when("it watches again", () => server.watching === 1 && lists() === 2);
    assert.deepEqual(sights, ["absent", "absent"]);
  });

  it("is kept alive by bookmarks, and gives up a connection that carries nothing", async () => {
    server.setConfigMap({ "config.yaml": "one" });
    start();
    await watching();
    await lives(10);
    assert.equal(lists(), 1);
    server.silenceWatches();
    server.setConfigMap({ "config.yaml": "two" });
    await clock.advance(149_000);
    assert.equal(lists(), 1);
    await clock.advance(1_000);
    await seen("two");
    assert.deepEqual(trouble(), []);
  });

  for (const as of ["status", "event"] as const)
    it(`lists again when its version was compacted away, told by ${as}`, async () => {
      server.setConfigMap({ "config.yaml": "one" });
      start();
      await watching();
      // The version it gets by its next list is gone before it can watch from it.
      server.answerOnce((reply) => {
        server.compact(as);
        reply.end(JSON.stringify({ metadata: { resourceVersion: "100" }, items: [] }));
      });
      server.cutWatches();
      await when("it has listed again", () => server.watching === 1 && lists() >= 3, 1_000);
      await seen("one");
      assert.deepEqual(trouble(), []);
    });

  it("lists again when the server ends a running watch with 410", async () => {
    start();
    await watching();
    server.compact("event");
    server.setConfigMap({ "config.yaml": "one" });
    await when("it has listed again", () => last() === "one", 1_000);
    assert.deepEqual(trouble(), []);
  });

  it("lists again at once when the connection was cut, and reports no trouble", async () => {
    start();
    await watching();
    await clock.advance(10_000);
    server.cutWatches();
    server.setConfigMap({ "config.yaml": "one" });
    await seen("one");
    assert.deepEqual(trouble(), []);
  });

  it("reports a server that is gone, and sees again what it says when it is back", async () => {
    server.setConfigMap({ "config.yaml": "one" });
    start();
    await watching();
    await clock.advance(10_000);
    await server.stop();
    await seen("unreachable");
    server.setConfigMap({ "config.yaml": "two" });
    await server.start();
    await when("it is seen again", () => last() === "two", 1_000);
  });

  it("asks a server that is gone less and less often, up to every thirty seconds", async () => {
    await server.stop();
    const gaps: number[] = [];
    const before = clock.sleep.bind(clock);
    clock.sleep = (ms, signal) => {
      if (ms !== 10_000 && ms !== 150_000) gaps.push(ms);
      return before(ms, signal);
    };
    start(() => 0.5);
    await eventually("eight tries", async () => {
      await clock.advance(gaps.at(-1) ?? 0);
      return gaps.length >= 8;
    });
    assert.deepEqual(gaps.slice(0, 8), [750, 1_500, 3_000, 6_000, 12_000, 22_500, 22_500, 22_500]);
    await server.start();
    await when("it watches", () => server.watching === 1, 10_000);
    await heard();
    await lives(1);
    gaps.length = 0;
    server.compact("event");
    await when("it waits", () => gaps.length > 0);
    assert.deepEqual(gaps, [750], "a watch that has worked begins the delays anew");
  });

  it("sees that it may not look, and that it may again", async () => {
    server.setConfigMap({ "config.yaml": "one" });
    server.deny(fullToken, rights.configmap);
    start();
    await seen("refused 403");
    server.allow(fullToken, rights.configmap);
    await clock.advance(1_000);
    await seen("one");
  });

  it("begins anew after a line that is none, and drops one that was torn", async () => {
    server.setConfigMap({ "config.yaml": "one" });
    start();
    for (const garbage of ["garbage\n", '{"type":"NEW"}\n', '{"type":"MODIFIED","object":{}}\n']) {
      const before = lists();
      await watching();
      server.writeToWatches(garbage);
      await when("it has listed again", () => lists() > before, 1_000);
    }
    await when("it watches again", () => server.watching === 1, 30_000);
    server.writeToWatches('{"type":"MODIFIED","object":{"metadata":{"na');
    server.cutWatches();
    server.setConfigMap({ "config.yaml": "two" });
    await when("the next version is seen", () => last() === "two", 1_000);
    assert.deepEqual(trouble(), []);
  });

  it("reads characters that are split over two pieces of the stream", async () => {
    start();
    await watching();
    const object = { metadata: { name: configMapName }, data: { "config.yaml": "告警 ✓" } };
    const bytes = Buffer.from(`${JSON.stringify({ type: "MODIFIED", object })}\n`);
    const middle = bytes.indexOf(Buffer.from("警")) + 1;
    server.writeToWatches(bytes.subarray(0, middle));
    await clock.advance(0);
    server.writeToWatches(bytes.subarray(middle));
    await seen("告警 ✓");
  });

  it("does not take a list that is none for an empty one", async () => {
    server.setConfigMap({ "config.yaml": "one" });
    server.answerOnce((reply) => reply.end(JSON.stringify({ kind: "APIVersions" })));
    start();
    await seen("unreachable");
    await clock.advance(1_000);
    await seen("one");
  });

  it("says nothing of what its own end broke off", async () => {
    server.freeze();
    start();
    await eventually("it has asked", () => server.asked.length === 1);
    await running.stop();
    assert.deepEqual(sights, []);
  });
});
