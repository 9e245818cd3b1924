import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { chart, generated } from "../../scripts/chart.ts";
import { valueSets } from "../../scripts/chart/golden.ts";
import {
  helms,
  kubeVersion,
  objectsOf,
  output,
  template,
  type KubernetesObject,
} from "../../scripts/chart/helm.ts";
import { Planter } from "./broken.ts";
import { podSpec, the } from "./support.ts";

/** What people write, and the word that the refusal must hold. */
const slips: readonly (readonly [string, RegExp])[] = [
  ["imag.tag=1", /'imag'/],
  ["image.pullPolciy=Always", /'pullPolciy'/],
  ["image.pullPolicy=Sometimes", /pullPolicy/],
  ["resources.limit.memory=1Gi", /'limit'/],
  ["redis.persistance.enabled=true", /'persistance'/],
  ["config.redis.hots=x", /'hots'/],
  ["config.metrics.colection_interval=5", /'colection_interval'/],
  ["config.metrics.collectors.cpuu=true", /'cpuu'/],
  ["config.metrics.collection_interval=fast", /config.collection_interval|collection_interval/],
  ["config.server.port=99999", /port/],
  ["config.admin.base_url=admin.example.com", /base_url/],
  ["rules[0].index=cpu,rules[0].treshold=80", /'treshold'/],
  ["rules[0].index=cpu", /threshold/],
  ["rules[0].index=cpu,rules[0].threshold=80,rules[0].for=soon", /for/],
  ["rules[0].index=cpu,rules[0].threshold=80,rules[0].nodes.matchLabel.a=b", /'matchLabel'/],
  ["rules[0].index=cpu,rules[0].levels.warn=80", /'warn'/],
  ["channels[0].type=fieshu", /type/],
  ["channels[0].type=feishu,channels[0].webhok_url=https://x", /'webhok_url'/],
  ["channels[0].type=feishu", /webhook_url/],
  [
    "channels[0].type=dingtalk,channels[0].webhook_url=https://x,channels[0].mention.al=true",
    /'al'/,
  ],
  ["secrets.key.serverToken=x", /'key'/],
  ["admissionPolicy.enabled=maybe", /admissionPolicy/],
  ["tolerations[0].efect=NoSchedule", /'efect'/],
  ["podMonitor.intervall=10s", /'intervall'/],
  ["redis.maxmemory=192Mi", /maxmemory/],
  ["redis.maxmemory=1.5gb", /maxmemory/],
  ["storage.sizeLimit=256mb", /sizeLimit/],
  ["redis.persistence.size=2gb", /size/],
  ["resources.limits.memory=96MB", /memory/],
];

/** Values that do not go together, and what is said of them. */
const clashes: readonly (readonly [string, RegExp])[] = [
  ["config.redis.password=x", /secrets\.redisPassword/],
  ["config.redis.sentinel_password=x", /sentinel_password_file/],
  ["config.server.token=x", /secrets\.serverToken/],
  ["config.admin.token=x", /secrets\.adminToken/],
  ["redis.enabled=false", /say where Redis is/],
  ["config.redis.host=redis.example.com", /set redis\.enabled to false/],
  ["config.redis.port=6380", /config\.redis\.port is not that of the bundled Redis/],
  ["config.redis.username=bob", /config\.redis\.username is not that of the bundled Redis/],
  ["config.redis.tls.enabled=true", /config\.redis\.tls is not that of the bundled Redis/],
  ["config.redis.tls=true", /config\.redis\.tls is not that of the bundled Redis/],
  ["config.redis.tls.ca_file=/ca.pem", /config\.redis\.tls is not that of the bundled Redis/],
  ["extraEnv[0].name=REDIS_PORT,extraEnv[0].value=x", /extraEnv REDIS_PORT is not that of/],
  ["config.server.port=0", /config\.server\.port is 0: .* need one that is known/],
  ["config.server.host=127.0.0.1", /config\.server\.host is 127\.0\.0\.1: .* reach nobody/],
  ["config.server.host=localhost", /config\.server\.host is localhost/],
  ["extraEnv[0].name=SERVER_PORT,extraEnv[0].value=x", /set config\.server\.port instead/],
  [
    "extraEnv[0].name=KUBERNETES_CONFIGMAP,extraEnv[0].value=x",
    /set config\.kubernetes\.configmap instead/,
  ],
  [
    "extraEnv[0].name=KUBERNETES_NODE_CONDITION,extraEnv[0].value=x",
    /set config\.kubernetes\.node_condition instead/,
  ],
  [
    "serviceAccount.create=false",
    /serviceAccount\.create is false: name yours in serviceAccount\.name/,
  ],
  [
    "config.kubernetes.namespace=other",
    /config\.kubernetes\.namespace is other, .* in monitoring, the release's namespace: leave it/,
  ],
  [
    "extraEnv[0].name=KUBERNETES_NAMESPACE,extraEnv[0].value=other",
    /extraEnv names KUBERNETES_NAMESPACE, .* the release's namespace: leave it/,
  ],
  ["fullnameOverride=1st", /the name 1st begins with no letter.*: set fullnameOverride/],
  ["podLabels.app\\.kubernetes\\.io/name=x", /podLabels.*app\.kubernetes\.io\/name/],
  ["secrets.existingSecret=x", /name its keys in secrets\.keys/],
  ["secrets.existingSecret=x,secrets.keys.serverToken=t", /secrets\.keys\.redisPassword/],
  [
    "secrets.existingSecret=x,secrets.keys.redisPassword=r,secrets.serverToken=t",
    /secrets\.serverToken stands beside/,
  ],
  ["secrets.keys.serverToken=t", /existingSecret, which is not set/],
  [
    "channels[0].type=feishu,channels[0].webhook_url=https://a,channels[1].type=feishu,channels[1].webhook_url=https://b",
    /channels\[1\]: the name "feishu" is taken/,
  ],
  [
    "channels[0].type=feishu,channels[0].webhook_url=https://a,channels[0].webhook_url_file=/b",
    /webhook_url_file stands beside webhook_url/,
  ],
  [
    "config.alerts.channels[0].type=feishu,config.alerts.channels[0].webhook_url=https://a",
    /config\.alerts\.channels\[0\]\.webhook_url would be readable/,
  ],
];

const defaults = path.join(valueSets, "default.yaml");

for (const helm of helms())
  describe(`values, checked by ${helm}`, () => {
    const render = (set: string): Promise<string> =>
      template(helm, { values: [], release: "tv", namespace: "monitoring", args: ["--set", set] });
    let dir: string;
    before(async () => {
      dir = await mkdtemp(path.join(os.tmpdir(), "values-"));
    });
    after(() => rm(dir, { recursive: true }));

    it("refuses an unknown key and a wrong type at every place there is, each by its name", async () => {
      const schema = JSON.parse(generated()["values.schema.json"] ?? "") as Record<string, unknown>;
      const { global: _global, ...properties } = schema["properties"] as Record<string, unknown>;
      const planter = new Planter(schema);
      const values = planter.broken({ ...schema, properties }, "");
      const file = path.join(dir, "broken.json");
      await writeFile(file, JSON.stringify(values));
      const said = await template(helm, { values: [file], release: "tv", namespace: "x" }).then(
        () => "nothing",
        (cause: unknown) => String(cause),
      );
      assert.ok(planter.planted.length > 250, `${planter.planted.length} places`);
      const missed = planter.planted.filter(({ at, unknownKey }) =>
        unknownKey === null ? !said.includes(`'${at}'`) : !said.includes(`'${unknownKey}'`),
      );
      assert.deepEqual(missed, []);
    });

    for (const [set, word] of slips) it(`refuses ${set}`, () => assert.rejects(render(set), word));

    for (const [set, word] of clashes)
      it(`says what to do about ${set}`, () => assert.rejects(render(set), word));

    it("stands back where a secret comes from a variable or a file of the user's, which would clash with its own", async () => {
      const fileVariables = async (set: string): Promise<readonly string[]> => {
        const args = ["--set", `secrets.adminToken=a,${set}`];
        const objects = objectsOf(
          await template(helm, { values: [defaults], release: "tv", namespace: "n", args }),
        );
        const [agent] = podSpec(the(objects, "DaemonSet/n/tv-targetvpc"))?.containers ?? [];
        const names = (agent?.env ?? []).map(({ name }) => name);
        assert.deepEqual(names, [...new Set(names)]);
        return names.filter((name) => /(PASSWORD|TOKEN)_FILE$/.test(name));
      };
      const [redis, admin, server] = [
        "REDIS_PASSWORD_FILE",
        "ADMIN_TOKEN_FILE",
        "SERVER_TOKEN_FILE",
      ];
      assert.deepEqual(await fileVariables("extraEnv[0].name=SERVER_TOKEN"), [redis, admin]);
      assert.deepEqual(await fileVariables("extraEnv[0].name=ADMIN_TOKEN"), [redis, server]);
      assert.deepEqual(await fileVariables("extraEnv[0].name=REDIS_PASSWORD"), [admin, server]);
      assert.deepEqual(await fileVariables("extraEnv[0].name=SERVER_TOKEN_FILE"), [
        redis,
        admin,
        server,
      ]);
      assert.deepEqual(await fileVariables("config.server.token_file=/vault/token"), [
        redis,
        admin,
      ]);
    });

    it("takes settings of the bundled Redis that are its own", () =>
      assert.doesNotReject(
        render("config.redis.port=6379,config.redis.tls.enabled=false,config.redis.db=3"),
      ));

    it("takes amounts as Redis and Kubernetes write them, numbers of a file too", async () => {
      const file = path.join(dir, "amounts.json");
      await writeFile(
        file,
        JSON.stringify({
          redis: { maxmemory: 200_000_000, persistence: { enabled: true, size: "1.5Ti" } },
          resources: { limits: { cpu: "0.5", memory: 1e8, "ephemeral-storage": "1e9" } },
        }),
      );
      const objects = objectsOf(
        await template(helm, { values: [file], release: "tv", namespace: "n" }),
      );
      const { data } = the(objects, "ConfigMap/n/tv-targetvpc-redis");
      assert.match(data?.["redis.conf"] ?? "", /^maxmemory 200000000$/m);
      for (const size of ["192mb", "1g", "1GB", "1048576", "64k"])
        await assert.doesNotReject(render(`redis.maxmemory=${size}`), size);
    });

    it("takes whatever is set in free maps, as text", async () => {
      const sets =
        "nodeSelector.pool=gpu,nodeSelector.fast=true,podAnnotations.a\\.b/c=1,podLabels.on=true,serviceAccount.annotations.role=7";
      const args = ["--set", sets];
      const objects = objectsOf(
        await template(helm, { values: [defaults], release: "tv", namespace: "n", args }),
      );
      const daemonset = the(objects, "DaemonSet/n/tv-targetvpc");
      assert.deepEqual(podSpec(daemonset)?.["nodeSelector"], {
        "kubernetes.io/os": "linux",
        fast: "true",
        pool: "gpu",
      });
      const pods = daemonset.spec?.["template"];
      const { metadata } = pods as { metadata: KubernetesObject["metadata"] };
      assert.deepEqual(metadata.annotations, {
        "kubectl.kubernetes.io/default-container": "agent",
        "a.b/c": "1",
      });
      assert.equal(metadata.labels?.["on"], "true");
      assert.deepEqual(the(objects, "ServiceAccount/n/tv-targetvpc").metadata.annotations, {
        role: "7",
      });
    });

    it("writes whole numbers of a file in all their digits", async () => {
      const file = path.join(dir, "numbers.json");
      const podLabels = { build: 20261125, ratio: 0.5 };
      await writeFile(file, JSON.stringify({ podLabels, podAnnotations: { at: 1_764_000_000 } }));
      const objects = objectsOf(
        await template(helm, { values: [file], release: "tv", namespace: "n" }),
      );
      const pods = the(objects, "DaemonSet/n/tv-targetvpc").spec?.["template"];
      const { labels, annotations } = (pods as KubernetesObject).metadata;
      assert.equal(labels?.["build"], "20261125");
      assert.equal(labels?.["ratio"], "0.5");
      assert.equal(annotations?.["at"], "1764000000");
    });

    it("takes a release and a namespace whose names look like numbers", async () => {
      const values = [path.join(valueSets, "everything.yaml")];
      const args = ["--set", "extraObjects=null"];
      await assert.rejects(
        template(helm, { values, release: "123", namespace: "2026", args }),
        /the name 123-agent begins with no letter.*: set fullnameOverride/,
      );
      args.push("--set", "fullnameOverride=v123");
      const objects = objectsOf(
        await template(helm, { values, release: "123", namespace: "2026", args }),
      );
      for (const { kind, metadata } of objects) {
        const { name, namespace = "", labels = {} } = metadata;
        for (const text of [name, namespace, ...Object.values(labels)])
          assert.equal(typeof text, "string", `${kind} ${name}: ${text}`);
      }
      const [agent] = podSpec(the(objects, "DaemonSet/2026/v123"))?.containers ?? [];
      for (const { name, value = "" } of agent?.env ?? [])
        assert.equal(typeof value, "string", name);
    });

    it("lets extraEnv and config replace the chart's own variables", async () => {
      const sets =
        "extraEnv[0].name=NODE_NAME,extraEnv[0].value=a,config.node.ip=10.0.0.2,config.kubernetes.configmap=other";
      const args = ["--set", sets];
      const objects = objectsOf(
        await template(helm, { values: [defaults], release: "tv", namespace: "n", args }),
      );
      const [agent] = podSpec(the(objects, "DaemonSet/n/tv-targetvpc"))?.containers ?? [];
      const replaced = ["NODE_NAME", "NODE_IP", "KUBERNETES_CONFIGMAP"];
      assert.deepEqual(
        agent?.env?.filter(({ name }) => replaced.includes(name)),
        [{ name: "NODE_NAME", value: "a" }],
      );
      const rules = the(objects, "Role/n/tv-targetvpc").rules ?? [];
      assert.deepEqual(rules[0]?.["resourceNames"], ["other"]);
    });

    it("takes the release's own namespace, and a ServiceAccount of the user's", async () => {
      const sets =
        "config.kubernetes.namespace=n,serviceAccount.create=false,serviceAccount.name=mine";
      const args = ["--set", sets];
      const objects = objectsOf(
        await template(helm, { values: [defaults], release: "tv", namespace: "n", args }),
      );
      assert.equal(
        podSpec(the(objects, "DaemonSet/n/tv-targetvpc"))?.["serviceAccountName"],
        "mine",
      );
    });

    it("gives every pod the port that its probes ask, however the config file changes later", async () => {
      const args = ["--set", "config.server.port=9100"];
      for (const [more, port] of [
        [[], 8001],
        [args, 9100],
      ] as const) {
        const objects = objectsOf(
          await template(helm, { values: [defaults], release: "tv", namespace: "n", args: more }),
        );
        const [agent] = podSpec(the(objects, "DaemonSet/n/tv-targetvpc"))?.containers ?? [];
        assert.deepEqual(agent?.ports, [{ name: "http", containerPort: port }]);
        assert.deepEqual(
          agent.env?.filter(({ name }) => name === "SERVER_PORT"),
          [{ name: "SERVER_PORT", value: String(port) }],
        );
      }
    });

    it("names nothing of the cluster's as another release in another namespace does", async () => {
      const values = [path.join(valueSets, "everything.yaml")];
      const wide = async (namespace: string, fullname: string): Promise<readonly string[]> => {
        const args = ["--set", `fullnameOverride=${fullname}`];
        const text = await template(helm, { values, release: "tv", namespace, args });
        return objectsOf(text)
          .filter(
            ({ metadata }) =>
              (metadata.namespace ?? namespace) !== namespace || !metadata.namespace,
          )
          .filter(({ kind }) => /Role|Policy/.test(kind))
          .map(({ kind, metadata }) => `${kind}/${metadata.name}`);
      };
      const [one, other] = [await wide("team-a", "targetvpc"), await wide("team", "a-targetvpc")];
      assert.ok(one.length >= 8, one.join());
      assert.deepEqual(
        one.filter((name) => other.includes(name)),
        [],
      );
      for (const name of await wide("n".repeat(63), "f".repeat(46)))
        assert.ok(name.length < 253, name);
    });

    /** Renders a template beside those of the chart, in a copy of it. */
    const renderWith = async (name: string, text: string, set: string): Promise<string> => {
      const copy = path.join(dir, name);
      await cp(chart, copy, { recursive: true });
      await writeFile(path.join(copy, `templates/${name}.yaml`), text);
      const args = ["tv", copy, "--namespace", "n", "--kube-version", kubeVersion];
      return output(helm, ["template", ...args, "--set", set]);
    };

    /** Without a cluster, not every helm shows the notes: they are rendered as an object of a copy. */
    const notes = async (set: string): Promise<string> => {
      const text = await readFile(path.join(chart, "templates/NOTES.txt"), "utf8");
      const object = `{{ define "notes" }}${text}{{ end }}kind: Notes\ndata: {{ include "notes" . | toJson }}\n`;
      const rendered = await renderWith("notes", object, set);
      return JSON.parse(/kind: Notes\ndata: (.*)/.exec(rendered)?.[1] ?? '""') as string;
    };

    it("notes how to uninstall where the job that takes the condition off cannot run", async () => {
      const line = /helm -n n uninstall tv --no-hooks/;
      assert.doesNotMatch(await notes("config.log.level=info"), line);
      assert.match(await notes("config.kubernetes.node_condition=true"), line);
      assert.doesNotMatch(
        await notes("config.kubernetes.node_condition=true,rbac.create=false"),
        line,
      );
    });

    it("notes how the bundled Redis gets a volume later, and refuses to change that of a StatefulSet", async () => {
      assert.match(
        await notes("redis.persistence.enabled=false"),
        /kubectl -n n delete statefulset tv-targetvpc-redis/,
      );
      const claim = (spec: object): object => ({ spec: { volumeClaimTemplates: [{ spec }] } });
      const of = (storage: string, storageClassName?: string): object =>
        claim({ resources: { requests: { storage } }, storageClassName });
      const judge = (found: object, set: string): Promise<string> =>
        renderWith(
          "claims",
          `{{ include "targetvpc.validateClaim" (list . (fromJson ${JSON.stringify(JSON.stringify(found))})) }}`,
          set,
        );
      const kept = "redis.persistence.enabled=true";
      for (const [found, set] of [
        [{}, kept],
        [{}, "redis.persistence.enabled=false"],
        [{ spec: {} }, "redis.persistence.enabled=false"],
        [of("2Gi"), kept],
        [of("2Gi"), `${kept},redis.persistence.size=2048Mi`],
        [of("1536Gi"), `${kept},redis.persistence.size=1.5Ti`],
        [of("2Gi", "fast"), `${kept},redis.persistence.storageClass=fast`],
      ] as const)
        await assert.doesNotReject(judge(found, set), JSON.stringify([found, set]));
      const why =
        /redis\.persistence differs from that of the StatefulSet tv-targetvpc-redis, .*: kubectl -n n delete statefulset tv-targetvpc-redis/;
      for (const [found, set] of [
        [{ spec: {} }, kept],
        [of("2Gi"), "redis.persistence.enabled=false"],
        [of("2Gi"), `${kept},redis.persistence.size=4Gi`],
        [of("2Gi"), `${kept},redis.persistence.storageClass=fast`],
        [of("2Gi", "fast"), kept],
      ] as const)
        await assert.rejects(judge(found, set), why, JSON.stringify([found, set]));
    });

    it("notes with what token the API answers", async () => {
      const open = await notes("config.server.protect=writes");
      assert.match(open, /Reading needs no token/);
      assert.doesNotMatch(open, /Authorization/);
      const closed = await notes("config.server.protect=all");
      assert.doesNotMatch(closed, /Reading needs no token/);
      assert.match(closed, /get secret tv-targetvpc/);
      assert.equal(closed.match(/curl -s -H "Authorization: Bearer \$TOKEN"/g)?.length, 2);
    });

    it("asks for no admission policy where the API server has none, unless told", async () => {
      const policies = async (args: readonly string[]): Promise<number> => {
        const text = await template(helm, {
          values: [defaults],
          release: "tv",
          namespace: "n",
          args,
        });
        return objectsOf(text).filter(({ kind }) => kind.startsWith("ValidatingAdmissionPolicy"))
          .length;
      };
      const there = ["--api-versions", "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"];
      assert.equal(await policies([]), 0);
      assert.equal(await policies(there), 2);
      assert.equal(await policies([...there, "--set", "admissionPolicy.enabled=false"]), 0);
      assert.equal(await policies(["--set", "admissionPolicy.enabled=true"]), 2);
    });

    for (const [release, name] of [
      ["prod", "prod-targetvpc"],
      ["targetvpc", "targetvpc"],
      ["my-targetvpc-2", "my-targetvpc-2"],
      ["a".repeat(53), "a".repeat(46)],
    ] as const)
      it(`calls the release ${release} ${name}`, async () => {
        const objects = objectsOf(
          await template(helm, { values: [defaults], release, namespace: "n" }),
        );
        the(objects, `DaemonSet/n/${name}`);
        for (const { metadata } of objects) {
          const longest = Math.max(
            ...Object.values(metadata.labels ?? {}).map((text) => text.length),
          );
          assert.ok(metadata.name.length <= 63 && longest <= 63, metadata.name);
        }
      });

    it("generates a password and a token, other ones each time", async () => {
      const secret = async (): Promise<Record<string, string>> => {
        const text = await template(helm, { values: [], release: "tv", namespace: "n" });
        return { ...the(objectsOf(text), "Secret/n/tv-targetvpc").data };
      };
      const [one, two] = [await secret(), await secret()];
      for (const key of ["redis-password", "server-token"]) {
        assert.equal(Buffer.from(one[key] ?? "", "base64").length, 32);
        assert.notEqual(one[key], two[key]);
      }
    });
  });
