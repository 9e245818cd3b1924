import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  createKubeClient,
  type KubeClient,
  type KubeReply,
  type KubeRequest,
} from "../../src/kubernetes/client.ts";
import { loadCredentials } from "../../src/kubernetes/credentials.ts";
import { rights } from "../../src/kubernetes/rights.ts";
import { systemClock } from "../../src/base/clock.ts";
import { eventually, ManualClock } from "../support/clock.ts";
import {
  agentNamespace,
  configMapName,
  fullToken,
  startKube,
  type KubeServer,
} from "../support/kube.ts";
import { makeTls } from "../support/tls.ts";
import { clientOf, clusterClient, kubeconfigClient, podFiles, type PodFiles } from "./kit.ts";

const allRights = Object.values(rights);
const never = new AbortController().signal;
const configMaps = `/api/v1/namespaces/${agentNamespace}/configmaps`;
const selector = { fieldSelector: `metadata.name=${configMapName}` };
const get: KubeRequest = { method: "GET", path: "/api/v1/nodes/node-1", signal: never };

function nameIn(reply: KubeReply): unknown {
  return (reply.body as { metadata?: { name?: unknown } } | undefined)?.metadata?.name;
}

describe("the client of the API server", () => {
  let server: KubeServer;
  const clients: KubeClient[] = [];
  const files: PodFiles[] = [];

  beforeEach(async () => {
    server = await startKube();
    server.setNode("node-1");
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    for (const each of files.splice(0)) each.remove();
    await server.stop();
  });
  const use = (client: KubeClient): KubeClient => {
    clients.push(client);
    return client;
  };
  const pod = (token?: string): PodFiles => {
    const made = podFiles(server.ca, token);
    files.push(made);
    return made;
  };

  it("needs two connections for any number of requests and a watch", async () => {
    const client = use(clientOf(server, new ManualClock()));
    const watch = await client.stream({
      path: configMaps,
      query: { ...selector, watch: "true" },
      signal: never,
    });
    assert.equal(watch.ok, true);
    for (let i = 0; i < 80; i++) assert.equal((await client.request(get)).status, 200);
    await Promise.all(Array.from({ length: 20 }, () => client.request(get)));
    assert.equal(server.connections, 2);
  });

  it("gives up on a server that takes requests and does not answer, and works when it does again", async () => {
    const clock = new ManualClock();
    const client = use(clientOf(server, clock));
    await client.request(get);
    server.freeze();
    const refused = assert.rejects(
      client.request(get),
      /API server at https:\/\/127\.0\.0\.1:\d+: no answer in 10000 ms/,
    );
    await eventually("the request is there", () => server.asked.length === 2);
    await clock.advance(10_000);
    await refused;
    const stream = assert.rejects(
      client.stream({ path: configMaps, query: { ...selector, watch: "true" }, signal: never }),
      /API server at https:\/\/127\.0\.0\.1:\d+: no answer in 10000 ms/,
    );
    await eventually("the watch is there", () => server.asked.length === 3);
    await clock.advance(10_000);
    await stream;
    server.thaw();
    assert.equal((await client.request(get)).status, 200);
    assert.equal(clock.waiting, 0, "no timer is left behind");
  });

  it("asks once more when a kept connection was closed just then, and only once", async () => {
    const client = use(clientOf(server, new ManualClock()));
    await client.request(get);
    server.answerOnce((reply) => reply.socket?.destroy());
    assert.equal((await client.request(get)).status, 200);
    assert.equal(server.asked.length, 3);
    server.answerOnce((reply) => reply.socket?.destroy());
    server.answerOnce((reply) => reply.socket?.destroy());
    await assert.rejects(client.request(get), /API server at \S+: socket hang up/);
    assert.equal(server.asked.length, 5);
  });

  it("says why it cannot connect", async () => {
    const client = use(clientOf(server, new ManualClock()));
    await server.stop();
    await assert.rejects(client.request(get), /API server at \S+: connect ECONNREFUSED/);
    await server.start();
    assert.equal((await client.request(get)).status, 200);
  });

  it("does not believe a server whose certificate another authority signed", async () => {
    const client = use(clientOf(server, new ManualClock()));
    await server.stop();
    await server.start(makeTls());
    await assert.rejects(client.request(get), /API server at \S+: .*certificate/);
  });

  it("finds its way in a Pod by the service account's files", async () => {
    const client = use(clusterClient(server, pod(), new ManualClock()));
    const reply = await client.request(get);
    assert.equal(reply.status, 200);
    assert.equal(nameIn(reply), "node-1");
  });

  it("sends a new token at once when the old one is refused", async () => {
    const account = pod("first");
    server.allow("first", ...allRights);
    const client = use(clusterClient(server, account, new ManualClock()));
    assert.equal((await client.request(get)).status, 200);
    server.allow("second", ...allRights);
    server.expire("first");
    account.write("token", "second");
    assert.equal((await client.request(get)).status, 200);
    assert.deepEqual(
      server.asked.map(({ token }) => token),
      ["first", "first", "second"],
    );
  });

  it("answers 401 when there is no better token", async () => {
    const client = use(clusterClient(server, pod("unknown"), new ManualClock()));
    assert.equal((await client.request(get)).status, 401);
    assert.equal(server.asked.length, 2);
  });

  it("goes on without a restart when the authority and the server's certificate were rotated", async () => {
    const account = pod();
    const client = use(clusterClient(server, account, new ManualClock()));
    await client.request(get);
    const next = makeTls();
    await server.stop();
    await server.start(next);
    await assert.rejects(client.request(get), /certificate/);
    account.write("ca.crt", next.ca);
    assert.equal((await client.request(get)).status, 200);
  });

  it("opens no new connection while files stay the same", async () => {
    const account = pod();
    const client = use(clusterClient(server, account, new ManualClock()));
    await client.request(get);
    account.write("ca.crt", server.ca);
    await client.request(get);
    assert.equal(server.connections, 1);
  });

  it("gives an answer that is no JSON its status and nothing else", async () => {
    const client = use(clientOf(server, new ManualClock()));
    server.answerOnce((reply) => reply.writeHead(502).end("<html>bad gateway</html>"));
    assert.deepEqual(await client.request(get), { status: 502, body: undefined });
    assert.equal((await client.request(get)).status, 200);
  });

  it("does not read an answer that is too long", async () => {
    const client = use(clientOf(server, new ManualClock()));
    server.answerOnce((reply) => reply.end(Buffer.alloc(8 * 1024 * 1024 + 1, " ")));
    await assert.rejects(
      client.request(get),
      /API server at \S+: answer longer than 8388608 bytes/,
    );
    assert.equal((await client.request(get)).status, 200);
  });

  it("goes by the server's clock where that differs by more than a second", async () => {
    const clock = new ManualClock();
    const client = use(clientOf(server, clock));
    assert.equal(client.serverNowMs(), clock.now());
    server.now = () => clock.now() + 300_000;
    await client.request(get);
    assert.equal(client.serverNowMs(), clock.now() + 300_000);
    server.now = () => clock.now() + 500;
    await client.request(get);
    assert.equal(client.serverNowMs(), clock.now());
    server.now = () => clock.now() - 60_000;
    await client.request(get);
    assert.equal(client.serverNowMs(), clock.now() - 60_000);
  });

  it("says what is missing without a kubeconfig, and what of one it cannot use", async () => {
    const client = use(kubeconfigClient(null, new ManualClock()));
    await assert.rejects(
      client.request(get),
      /API server: no kubeconfig: set KUBECONFIG or ~\/.kube\/config/,
    );
    await assert.rejects(
      use(
        kubeconfigClient(
          server.kubeconfig().replace('"server"', '"proxy-url":"http://p:1","server"'),
          systemClock,
        ),
      ).request(get),
      /proxy-url is not supported/,
    );
  });

  it("keeps what it knows when a kubeconfig is gone as its token is refused, and takes the next one", async () => {
    const home = mkdtempSync(path.join(tmpdir(), "targetvpc-home-"));
    const file = path.join(home, ".kube", "config");
    mkdirSync(path.dirname(file));
    writeFileSync(file, server.kubeconfig({ token: "old" }));
    const { HOME, KUBECONFIG } = process.env;
    delete process.env["KUBECONFIG"];
    process.env["HOME"] = home;
    try {
      const client = use(createKubeClient(() => loadCredentials("kubeconfig"), new ManualClock()));
      rmSync(file, { force: true });
      await assert.rejects(client.request(get), /no kubeconfig/);
      writeFileSync(file, server.kubeconfig({ token: "old" }));
      assert.equal((await client.request(get)).status, 401);
      rmSync(file);
      await assert.rejects(client.request(get), /no kubeconfig/);
      await assert.rejects(client.request(get), /no kubeconfig/);
      writeFileSync(file, server.kubeconfig());
      assert.equal((await client.request(get)).status, 200);
    } finally {
      process.env["HOME"] = HOME;
      if (KUBECONFIG !== undefined) process.env["KUBECONFIG"] = KUBECONFIG;
      rmSync(home, { recursive: true, force: true });
    }
  });

  it("waits for a kubeconfig's plugin no longer than for an answer, and for one of them at a time", async () => {
    const dir = mkdtempSync(path.join(tmpdir(), "targetvpc-plugin-"));
    const [pipe, runs] = [path.join(dir, "pipe"), path.join(dir, "runs")];
    execFileSync("mkfifo", [pipe]);
    // It hangs until somebody writes to the pipe what it is to say.
    const script = `echo run >> ${runs}; timeout 20 cat ${pipe}`;
    const apiVersion = "client.authentication.k8s.io/v1";
    const exec = { apiVersion, command: "sh", args: ["-c", script] };
    const clock = new ManualClock();
    const client = use(clientOf(server, clock, { exec }));
    const why = /API server at https:\S+: credentials: no answer in 10000 ms/;
    try {
      const refused = [client.request(get), client.request(get)].map((request) =>
        assert.rejects(request, why),
      );
      await eventually("the plugin runs", () => existsSync(runs));
      await clock.advance(10_000);
      await Promise.all(refused);
      const answered = client.request(get);
      const kind = "ExecCredential";
      writeFileSync(pipe, JSON.stringify({ apiVersion, kind, status: { token: fullToken } }));
      assert.equal((await answered).status, 200);
      assert.equal(readFileSync(runs, "utf8"), "run\n");
      assert.equal(clock.waiting, 0);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it("tells the refusal of a watch as an answer", async () => {
    const client = use(clientOf(server, new ManualClock(), { token: "nobody" }));
    const stream = await client.stream({
      path: configMaps,
      query: { ...selector, watch: "true" },
      signal: never,
    });
    assert.equal(stream.ok, false);
    assert.equal(stream.ok ? 0 : stream.reply.status, 401);
  });

  it("ends with its signal, whatever it was doing", async () => {
    const client = use(clientOf(server, new ManualClock()));
    await client.request(get);
    server.freeze();
    const stop = new AbortController();
    const running = assert.rejects(client.request({ ...get, signal: stop.signal }), /API server/);
    await eventually("the request is there", () => server.asked.length === 2);
    stop.abort();
    await running;
  });
});
