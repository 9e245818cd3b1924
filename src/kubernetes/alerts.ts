import type { Incident } from "../core/alert.ts";
import type { ProcessUse } from "../core/delivery.ts";
import { nodeId, type NodeIdentity } from "../core/node.ts";
import type { Clock, ComponentStatus, Running } from "../core/ports.ts";
import { loop } from "../base/every.ts";
import type { ConfigMap } from "./objects.ts";
import {
  firingKey,
  foreignNote,
  noteOf,
  type AlertTransition,
  type Note,
  type Regarding,
} from "./event.ts";
import type { EventRecorder } from "./recorder.ts";
import { TroubleNotes } from "./trouble.ts";

/** What happened to an alert. */
export interface AlertNews {
  readonly incident: Incident;
  readonly transition: AlertTransition;
  readonly atMs: number;
  readonly biggest?: ProcessUse | undefined;
}

export interface AlertEventsDeps {
  readonly recorder: EventRecorder;
  readonly clock: Clock;
  readonly node: NodeIdentity;
  /** The Node's UID; null while it is not known. */
  readonly nodeUid: () => string | null;
  /** The agent's own Pod; null outside of one. */
  readonly pod: { readonly name: string; readonly uid: string; readonly namespace: string } | null;
  /** Every alert that fires. */
  readonly firing: () => readonly Incident[];
  /** How the other parts of the agent are doing. */
  readonly parts: () => Readonly<Record<string, ComponentStatus>>;
}

const lookMs = 15_000;
/** An Event that goes on is renewed this often: often enough that it does not expire (an hour), and no more. */
const renewMs = 10 * 60_000;

/** Tells alerts as Events: those of this node on the Node, everything else on the agent's own Pod. */
export class AlertEvents {
  readonly #deps: AlertEventsDeps;
  readonly #troubles = new TroubleNotes();
  /** When an Event was last made or renewed, by its key; monotonic. */
  readonly #toldAtMs = new Map<string, number>();

  constructor(deps: AlertEventsDeps) {
    this.#deps = deps;
  }

  /** Never waits. `biggest` is the process that uses most. */
  tell({ incident, transition, atMs, biggest }: AlertNews): void {
    const note = noteOf(incident, transition, atMs, biggest);
    this.#toldAtMs.set(note.key, this.#deps.clock.monotonic());
    if (this.#isOwn(incident)) this.#deps.recorder.record(note, this.#node);
    else this.#tellByPod(foreignNote(note, incident));
  }

  /** A ConfigMap was refused: the one Event about this version, whichever agent tells it first. */
  refused({ metadata }: ConfigMap, reason: string): void {
    const { name, namespace = "default", uid, resourceVersion } = metadata;
    const note: Note = {
      key: `${uid}:${resourceVersion}`,
      type: "Warning",
      reason: "ConfigRefused",
      action: "Refuse",
      text: `refused, the last good version stays in force: ${reason}`,
      atMs: this.#deps.clock.now(),
    };
    const regarding: Regarding = { apiVersion: "v1", kind: "ConfigMap", name, namespace, uid };
    this.#deps.recorder.record(note, () => regarding);
  }

  start(): Running {
    return loop(
      this.#deps.clock,
      async () => {
        this.#renew();
        const { parts, clock } = this.#deps;
        for (const note of this.#troubles.look(parts(), clock.now())) this.#tellByPod(note);
        return lookMs;
      },
      () => lookMs,
    );
  }

  readonly #pod = (): Regarding | null => {
    const { pod } = this.#deps;
    return pod === null ? null : { apiVersion: "v1", kind: "Pod", ...pod };
  };

  readonly #node = (): Regarding | null => {
    const uid = this.#deps.nodeUid();
    return uid === null
      ? null
      : { apiVersion: "v1", kind: "Node", name: this.#deps.node.name, uid };
  };

  #isOwn({ subject }: Incident): boolean {
    return nodeId(subject.node) === nodeId(this.#deps.node);
  }

  #tellByPod(note: Note): void {
    const { pod, recorder } = this.#deps;
    if (pod !== null) recorder.record(note, this.#pod);
  }

  #renew(): void {
    const { clock, firing, recorder } = this.#deps;
    const nowMs = clock.monotonic();
    const own = firing().filter((incident) => this.#isOwn(incident));
    const keys = new Set(own.map(firingKey));
    for (const key of this.#toldAtMs.keys()) if (!keys.has(key)) this.#toldAtMs.delete(key);
    for (const incident of own) {
      const key = firingKey(incident);
      // One of an earlier run is taken up as if it had been told now.
      const toldAtMs = this.#toldAtMs.get(key) ?? nowMs;
      const isDue = nowMs - toldAtMs >= renewMs;
      this.#toldAtMs.set(key, isDue ? nowMs : toldAtMs);
      // The count follows from the time, so that a restart does not begin it anew.
      const count = 1 + Math.floor((clock.now() - incident.startedAtMs) / renewMs);
      if (isDue)
        recorder.renew(noteOf(incident, "firing", clock.now()), this.#node, Math.max(2, count));
    }
  }
}
