import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { startAgent } from "./support/agent.ts";
import { eventually } from "./support/clock.ts";
import { startSmtp, type Smtp } from "./support/smtp.ts";

const run = promisify(execFile);
const root = new URL("../", import.meta.url).pathname;

describe("the bundle, without node_modules", function () {
  this.timeout(60_000);
  let dir: string;
  let program: string;

  before(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "targetvpc-bundle-"));
    program = path.join(dir, "dist", "targetvpc.mjs");
    await run(process.execPath, ["scripts/build.ts", path.dirname(program)], { cwd: root });
  });
  after(() => rm(dir, { recursive: true, force: true }));

  it("reads YAML, whose parser is loaded when it is needed", async () => {
    const file = path.join(dir, "config.yaml");
    await writeFile(file, "alerts:\n  rules:\n    - {index: cpu, threshold: 42}\n");
    const { stdout } = await run(process.execPath, [program, "check-config", file], { cwd: dir });
    assert.match(stdout, /"cpu>warning"/);
  });

  it("says its version, its use, and what is wrong with a use", async () => {
    assert.match((await run(process.execPath, [program, "--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
    assert.match((await run(process.execPath, [program, "--help"])).stdout, /check-config FILE/);
    await assert.rejects(
      run(process.execPath, [program, "check-confg"]),
      (cause: { code: number; stderr: string }) => {
        assert.equal(cause.code, 2);
        assert.match(cause.stderr, /did you mean "check-config"/);
        return true;
      },
    );
  });

  it("looks at its surroundings, which is loaded when it is needed", async () => {
    const env = { PATH: process.env["PATH"], HOME: dir, STORAGE_BACKEND: "memory" };
    const { stdout } = await run(process.execPath, [program, "doctor", "--json"], {
      cwd: dir,
      env,
    }).catch((cause: { stdout: string }) => cause);
    const findings = JSON.parse(stdout) as { name: string; status: string }[];
    assert.equal(findings.find(({ name }) => name === "collector.load")?.status, "ok");
  });

  it("asks the agent for series, which is loaded when it is needed", async () => {
    const agent = await startAgent({ program, config: { storage: { backend: "memory" } } });
    await eventually("a sample", async () => {
      const args = [program, "query", "--url", agent.url, "--index", "memory"];
      const { stdout } = await run(process.execPath, args, { cwd: dir });
      return /^\S+ +memory +\d/m.test(stdout);
    });
    assert.equal(await agent.stop(), 0);
  });

  it("samples by the portable collectors, whose library is loaded when it is needed", async () => {
    const agent = await startAgent({
      program,
      config: { storage: { backend: "memory" }, host: { source: "portable" } },
    });
    await eventually("memory and disk", async () => {
      const { text } = await agent.get("/api/metrics?index=memory,disk");
      return /"memory":\d/.test(text) && /"disk":\d/.test(text);
    });
    assert.equal(await agent.stop(), 0);
  });

  it("sends mail, whose library is loaded when it is needed", async () => {
    const smtp: Smtp = await startSmtp();
    const ca = path.join(dir, "ca.pem");
    await writeFile(ca, smtp.ca);
    const file = path.join(dir, "mail.json");
    const mail = {
      type: "email",
      smtp_server: "localhost",
      smtp_port: smtp.port,
      from: "a@example.com",
      to_emails: ["b@example.com"],
      ca_file: ca,
    };
    await writeFile(file, JSON.stringify({ alerts: { channels: [mail] } }));
    const { stdout } = await run(
      process.execPath,
      [program, "test-channel", "email", "--config", file],
      { cwd: dir },
    );
    assert.match(stdout, /"outcome":"sent"/);
    assert.equal(smtp.received.length, 1);
    await smtp.close();
  });
});
