import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import {
  goldens,
  manifests,
  renderManifests,
  renderOverlay,
  renderSet,
  setNames,
} from "../../scripts/chart/golden.ts";
import { helms, idOf, objectsOf, output } from "../../scripts/chart/helm.ts";
import { overlays } from "../../scripts/chart/manifests.ts";

const { KUBECTL = "kubectl" } = process.env;

for (const helm of helms())
  describe(`the chart, rendered by ${helm}`, () => {
    for (const name of setNames())
      it(`with the values ${name} is test/chart/golden/${name}.yaml (npm run golden)`, async () => {
        const expected = await readFile(path.join(goldens, `${name}.yaml`), "utf8");
        assert.equal(await renderSet(helm, name), expected);
      });

    it("is what manifests is made of (npm run golden)", async () => {
      for (const [name, text] of Object.entries(await renderManifests(helm)))
        assert.equal(await readFile(path.join(manifests, name), "utf8"), text, name);
    });
  });

describe("manifests", () => {
  const [helm = "helm"] = helms();
  let copy: string;
  before(async () => {
    copy = await mkdtemp(path.join(os.tmpdir(), "manifests-"));
    await cp(manifests, copy, { recursive: true });
  });
  after(() => rm(copy, { recursive: true }));

  for (const overlay of overlays) {
    it(`${overlay}: make nothing before the secrets are filled in`, async () => {
      const file = path.join(copy, "overlays", overlay, "secrets.env");
      await rm(file, { force: true });
      await assert.rejects(output(KUBECTL, ["kustomize", path.dirname(file)]), /secrets\.env/);
    });

    it(`${overlay}: is what helm makes of its values.yaml, and the Secret`, async () => {
      const dir = path.join(copy, "overlays", overlay);
      await writeFile(path.join(dir, "secrets.env"), "redis-password=a\nserver-token=b\n");
      const made = objectsOf(await output(KUBECTL, ["kustomize", dir]));
      const secret = "Secret/targetvpc/targetvpc-secrets";
      assert.deepEqual(
        made.filter((object) => idOf(object) !== secret),
        await renderOverlay(helm, overlay),
      );
      assert.deepEqual(made.find((object) => idOf(object) === secret)?.data, {
        "redis-password": "YQ==",
        "server-token": "Yg==",
      });
    });
  }

  it("restricted: asks the API server for nothing", async () => {
    const kinds = (await renderOverlay(helm, "restricted")).map(({ kind }) => kind);
    assert.deepEqual(
      kinds.filter((kind) => /Role|Admission/.test(kind)),
      [],
    );
  });
});
