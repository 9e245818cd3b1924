import assert from "node:assert/strict";
import { exposedLabels } from "../../src/core/exposed.ts";

const node = { cluster: "east", name: "node-1" };

describe("the labels of a series under targetvpc_index", () => {
  it("are the index, the node, the cluster and the series' own", () => {
    assert.deepEqual(exposedLabels(node, "cpu"), { index: "cpu", node: "node-1", cluster: "east" });
    assert.deepEqual(exposedLabels(node, 'disk{mount="/data"}'), {
      index: "disk",
      node: "node-1",
      cluster: "east",
      mount: "/data",
    });
  });

  it("get exported_ in front where the name is taken, as often as it has to be", () => {
    assert.deepEqual(
      exposedLabels(node, 'x{__name__="n",exported_node="e",index="i",node="own",void=""}'),
      {
        index: "x",
        node: "node-1",
        cluster: "east",
        exported___name__: "n",
        exported_node: "e",
        exported_index: "i",
        exported_exported_node: "own",
      },
    );
  });
});
