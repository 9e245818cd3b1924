import type { Queue } from "../../core/delivery.ts";
import type { DayPart } from "../contract.ts";

/** The keys of a queue; in the same slot as the receipts of its channel. */
export interface QueueKeys {
  /** ZSET: ids of jobs by when they are due. */
  readonly waiting: string;
  /** HASH: jobs by id. */
  readonly jobs: string;
  /** ZSET: ids of jobs by when they came. */
  readonly came: string;
  /** HASH: who leads. */
  readonly lead: string;
  /** HASH: ids of what was over on a day since 1970. */
  readonly over: (day: number) => string;
}

/** Every key the agent uses in Redis. */
export interface Keys {
  /**
   * HASH of a node and day: blocks (`0`–`143`, `h0`–`h23`) with their schemas (`s<number>`), columns of a closed day by
   * series, or the tier by series; all of them in the node's slot.
   */
  day(part: DayPart, node: string, day: number): string;
  /** ZSET: nodes by when they were last seen. */
  readonly nodes: string;
  /** HASH: what each node said of itself. */
  readonly nodeInfos: string;
  /** HASH: alert states of a node. */
  states(node: string): string;
  /** HASH: small documents of a node by kind. */
  documents(node: string): string;
  /** ZSET: messages to a robot by when they arrived. */
  departures(robot: string): string;
  /** HASH: how long a robot is closed, and its messages of a day; in the same slot as its departures. */
  robot(robot: string): string;
  /** HASH: silences of the fleet by id. */
  readonly silences: string;
  /** HASH: acknowledgements of the fleet by alert. */
  readonly acknowledgements: string;
  /** HASH: keys that sign links by period. */
  readonly signing: string;
  /** ZSET: channels by when they last had a receipt. */
  readonly channels: string;
  /** ZSET: ids of a channel's receipts by the time of their message. */
  receiptIds(channel: string): string;
  /** HASH: a channel's receipts by id; in the same slot as their ids. */
  receipts(channel: string): string;
  queue(queue: Queue): QueueKeys;
  /** HASH: incidents of the fleet that began on a day, by id. */
  history(day: number): string;
}

const partLetters: Readonly<Record<DayPart, string>> = { blocks: "m", columns: "k", tier: "d" };

/** Nothing in a name can end the tag in braces that keeps a node's keys in one slot of a cluster. */
function escapeName(name: string): string {
  return encodeURIComponent(name.toWellFormed()).replaceAll("%2F", "/");
}

export function createKeys(prefix: string): Keys {
  const tag = (name: string): string => `{${escapeName(name)}}`;
  return {
    day: (part, node, day) => `${prefix}:${partLetters[part]}:${tag(node)}:${day}`,
    nodes: `${prefix}:nodes`,
    nodeInfos: `${prefix}:nodes:info`,
    states: (node) => `${prefix}:a:${tag(node)}`,
    documents: (node) => `${prefix}:c:${tag(node)}`,
    departures: (robot) => `${prefix}:b:${tag(robot)}`,
    robot: (robot) => `${prefix}:b:${tag(robot)}:d`,
    silences: `${prefix}:s`,
    acknowledgements: `${prefix}:s:acks`,
    signing: `${prefix}:s:keys`,
    channels: `${prefix}:r`,
    receiptIds: (channel) => `${prefix}:r:${tag(channel)}`,
    receipts: (channel) => `${prefix}:r:${tag(channel)}:d`,
    history: (day) => `${prefix}:h:${day}`,
    queue: ({ channel, robot }) => {
      const waiting = `${prefix}:q:${tag(channel)}:${escapeName(robot)}`;
      return {
        waiting,
        jobs: `${waiting}:d`,
        came: `${waiting}:c`,
        lead: `${waiting}:l`,
        over: (day) => `${waiting}:o:${day}`,
      };
    },
  };
}
